//! A producer and a worker that go on whatever happens to the servers; a ledger decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oxcart::{Durability, Error, ErrorKind, JobId, Queue};
use tokio::task::JoinHandle;

use crate::support::eventually;
use crate::support::jobs::{Scene, Work};
use crate::support::workers::{RunningWorker, drained, run, worker};

/// What was found wrong does not wait for longer than this.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Load {
    queue: Queue,
    scene: Scene,
    worker: RunningWorker,
    stop: Arc<AtomicBool>,
    producer: JoinHandle<Produced>,
}

#[derive(Default)]
struct Produced {
    /// How many jobs were begun with.
    begun: usize,
    acknowledged: Vec<JobId>,
    failures: Vec<Error>,
}

impl Load {
    /// Begins; returns once jobs have run. A job is acknowledged when so many replicas have it: Redis replicates after it has
    /// answered, so a job that only the master has may die with it.
    pub(crate) async fn start(queue: &Queue, replicas: u8) -> Self {
        let durability = Durability::Replicated(replicas);
        let scene = Scene::new();
        let worker = run(worker(queue, &scene)
            .concurrency(4)
            .lease(Duration::from_secs(2)));
        let stop = Arc::new(AtomicBool::new(false));
        let producer = tokio::spawn(produce(queue.clone(), durability, Arc::clone(&stop)));
        let load = Self {
            queue: queue.clone(),
            scene,
            worker,
            stop,
            producer,
        };
        load.goes_on().await;
        load
    }

    /// Waits until jobs have run that began after this was called.
    pub(crate) async fn goes_on(&self) {
        let before = self.scene.books().done();
        eventually(LIMIT, || self.scene.books().done() > before + 10).await;
    }

    /// Ends, and looks at what ran: every job that was acknowledged, and nothing that was not enqueued.
    pub(crate) async fn check(self) {
        self.stop.store(true, Ordering::Relaxed);
        let produced = self.producer.await.unwrap();
        drained(&self.queue, LIMIT).await;
        self.worker.stop().await;
        let books = self.scene.books();
        let ran_well = |id: &JobId| books.of(id.as_str()).iter().any(|run| run.is_ok());
        let lost: Vec<_> = produced
            .acknowledged
            .iter()
            .filter(|id| !ran_well(id))
            .collect();
        println!(
            "{} acknowledged, {} runs, {} calls failed",
            produced.acknowledged.len(),
            books.runs().len(),
            produced.failures.len()
        );
        assert!(lost.is_empty(), "acknowledged and never run: {lost:?}");
        assert!(books.by_job().count() <= produced.begun);
        // Nobody is told that something is set up wrongly.
        let is_wrong = |error: &&Error| {
            matches!(
                error.kind(),
                ErrorKind::Unsuitable | ErrorKind::Invalid | ErrorKind::Incompatible
            )
        };
        let wrong = produced.failures.iter().find(is_wrong);
        assert!(wrong.is_none(), "{wrong:?}");
    }
}

/// Enqueues one job after the other. Each is tried until it is acknowledged, or it is known that it never will be.
async fn produce(queue: Queue, durability: Durability, stop: Arc<AtomicBool>) -> Produced {
    let mut produced = Produced::default();
    while !stop.load(Ordering::Relaxed) {
        let id = JobId::new(format!("job-{}", produced.begun)).unwrap();
        produced.begun += 1;
        loop {
            let request = queue.enqueue(Work::Quick).id(id.clone());
            match request.durability(durability).await {
                Ok(_) => produced.acknowledged.push(id),
                Err(error) => {
                    let is_over =
                        matches!(error.kind(), ErrorKind::NotDurable | ErrorKind::Unknowable);
                    produced.failures.push(error);
                    if !is_over {
                        continue;
                    }
                }
            }
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    produced
}
