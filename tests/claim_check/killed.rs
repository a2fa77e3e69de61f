//! Workers and producers in processes that are killed at any moment: each job that is there has its payload, and what is left over is swept.

use std::collections::HashSet;
use std::time::Duration;

use oxcart::{
    ClaimCheck, Failure, JobId, JobState, Oxcart, Queue, QueueSettings, Retention, Worker,
};
use tempfile::TempDir;

use crate::folder::Folder;
use crate::support::{Server, child_of_test, eventually_async, ids, spawn_self};
use crate::{HOUR, PATIENCE, Scan, of_bytes};

const URL: &str = "CLAIM_URL";
const FOLDER: &str = "CLAIM_FOLDER";
const OVER: usize = 10_000;

async fn queue(url: &str, folder: &Folder) -> Queue {
    let claim_check = ClaimCheck::over(OVER, folder.clone());
    let builder = Oxcart::builder().claim_check(claim_check);
    builder.connect(url).await.unwrap().queue("scans").unwrap()
}

/// Of the process that is to be killed.
fn begin<F: Future<Output = ()>>(run: impl Fn(Queue) -> F) {
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let [url, folder] = [URL, FOLDER].map(|name| std::env::var(name).unwrap());
        run(queue(&url, &Folder(folder.into())).await).await;
    });
}

/// Enqueues until it is killed.
#[test]
fn producer_process() {
    begin(async |queue| {
        for n in 0.. {
            let jobs = (0..3).map(|at| of_bytes(9_000 + (n * 3 + at) % 30 * 1_000));
            queue.enqueue_many(jobs).await.unwrap();
        }
    });
}

/// Works until it is killed.
#[test]
fn worker_process() {
    begin(async |queue| {
        let worker = Worker::builder(&queue)
            .lease(Duration::from_secs(1))
            .concurrency(4);
        let worker = worker.handle(async |scan: Scan| {
            tokio::time::sleep(Duration::from_millis(3)).await;
            Ok::<_, Failure>(scan.text.len())
        });
        worker
            .build()
            .unwrap()
            .run_until(std::future::pending())
            .await
            .unwrap();
    });
}

#[tokio::test]
async fn killed_processes_lose_no_payload_and_leave_none() {
    let (server, place) = (Server::start(), TempDir::new().unwrap());
    let folder = Folder(place.path().to_owned());
    let (url, path) = (server.url(), place.path().display().to_string());
    let queue = queue(&url, &folder).await;
    let settings = QueueSettings::new().keep_completed(Retention::Nothing);
    queue.change_settings(settings).await.unwrap();
    let env = [(URL, url.as_str()), (FOLDER, path.as_str())];
    for round in 0..4 {
        let producer = spawn_self("killed::producer_process", &env);
        let worker = spawn_self("killed::worker_process", &env);
        let before = queue.counts().await.unwrap().totals.completed;
        let more = async || queue.counts().await.unwrap().totals.completed > before + 20;
        eventually_async(PATIENCE, more).await;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..200))).await;
        drop(producer);
        drop(worker);
        println!("round {round}: {} files", folder.files("").len());
    }
    // Each job that is there has its payload.
    queue.pause().await.unwrap();
    let mut wanted = HashSet::new();
    for state in [JobState::Waiting, JobState::Active, JobState::Delayed] {
        let ids: Vec<JobId> = ids(&queue, state).await;
        for id in ids {
            let info = queue.job(&id).await.unwrap().unwrap();
            wanted.extend(info.ticket().map(|ticket| ticket.object.clone()));
            let scan: Scan = queue
                .load_payload(info)
                .await
                .unwrap()
                .reveal()
                .job()
                .unwrap();
            assert!(scan.text.len() >= 9_000);
        }
    }
    assert_eq!(ids(&queue, JobState::Dead).await, [] as [JobId; 0]);
    // Two at once: one of them may find that the other has deleted something.
    let sweep = || queue.sweep_payloads(HOUR);
    let (one, other) = tokio::join!(sweep(), sweep());
    let (one, other) = (one.unwrap(), other.unwrap());
    println!("{wanted:?} {one:?} {other:?}", wanted = wanted.len());
    let left: HashSet<String> = folder
        .files("oxcart")
        .into_iter()
        .map(|file| file.name)
        .collect();
    assert_eq!(left, wanted);
}
