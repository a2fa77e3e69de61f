//! Who works on a queue, and what runs.

use std::future::pending;
use std::sync::Arc;

use oxcart::{Failure, JobState, State, WorkerInfo};
use tokio::sync::Notify;

use crate::rig::{Number, PATIENCE, Rig, Running};
use crate::support::eventually_async;

async fn hold(job: Number, release: State<Arc<Notify>>) -> Result<u32, Failure> {
    release.notified().await;
    Ok(job.0)
}

impl Rig {
    async fn workers(&self) -> Vec<WorkerInfo> {
        self.queue.workers().await.unwrap()
    }

    /// Waits until so many workers are told.
    async fn until_seen(&self, workers: usize) {
        eventually_async(PATIENCE, async || self.workers().await.len() == workers).await;
    }
}

#[tokio::test]
async fn a_worker_tells_where_it_runs_and_what_until_it_stops() {
    let rig = Rig::new().await;
    assert!(rig.workers().await.is_empty());
    let release = Arc::new(Notify::new());
    let builder = rig.worker().concurrency(3).state(Arc::clone(&release));
    let worker = Running::start(builder.handle(hold));
    rig.until_seen(1).await;
    let told = rig.workers().await.remove(0);
    assert_eq!(told.process, std::process::id());
    assert_eq!(told.version, env!("CARGO_PKG_VERSION"));
    assert_eq!((told.concurrency, told.handlers.len()), (3, 1));
    assert!(told.handles("number") && !told.handles("letter"));
    assert!(told.started_at <= told.seen_at && told.running.is_empty());

    let job = rig.queue.enqueue(Number(1)).await.unwrap();
    worker.until_started(1).await;
    let told = rig.workers().await.remove(0);
    let running = &told.running[0];
    assert_eq!((&running.id, running.name.as_str()), (job.id(), "number"));
    let info = rig.queue.job(job.id()).await.unwrap().unwrap();
    assert_eq!(info.worker.as_ref(), Some(&told.id));
    assert_eq!(running.claimed_at, info.claimed_at);

    release.notify_one();
    rig.until(|counts| counts.active == 0).await;
    assert!(rig.workers().await[0].running.is_empty());
    worker.stop().await;
    assert!(rig.workers().await.is_empty());
    let keys: Vec<String> = rig.server.ask(&["KEYS", "*:about"]);
    assert!(keys.is_empty(), "{keys:?}");
}

/// It is told for a while yet; a job of it is recovered as ever.
#[tokio::test]
async fn a_worker_that_died_is_told_with_what_it_has_claimed() {
    let rig = Rig::new().await;
    let builder = rig.worker().state(Arc::new(Notify::new())).handle(hold);
    let worker = builder.build().unwrap();
    let task = tokio::spawn(worker.run_until(pending()));
    rig.until_seen(1).await;
    rig.queue.enqueue(Number(1)).await.unwrap();
    rig.until(|counts| counts.active == 1).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(rig.workers().await[0].running.len(), 1);
    let active = rig.queue.jobs(JobState::Active).await.unwrap();
    assert_eq!(active.jobs.len(), 1);
}

#[tokio::test]
async fn each_worker_of_a_process_tells_of_itself() {
    let rig = Rig::new().await;
    let start = || {
        let builder = rig.worker().state(Arc::new(Notify::new()));
        Running::start(builder.handle(hold))
    };
    let workers = [start(), start()];
    rig.until_seen(2).await;
    let told = rig.workers().await;
    assert!(told[0].id != told[1].id && told[0].started_at <= told[1].started_at);
    for worker in workers {
        worker.stop().await;
    }
    assert!(rig.workers().await.is_empty());
}
