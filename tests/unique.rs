//! Unique keys, with callers in several processes and a worker that fails.
//!
//! `UNIQUE=full cargo test --release --test unique` has the large numbers.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use oxcart::{
    Backoff, Enqueued, Failure, Job, JobState, Oxcart, Queue, QueueSettings, State, Unique, Worker,
};
use serde::{Deserialize, Serialize};
use support::{Server, child_of_test, eventually_async, ids, spawn_self};

const PROCESSES: usize = 4;
const CALLERS: usize = 25;
const PATIENCE: Duration = Duration::from_secs(60);

/// What a caller wants only one of.
#[derive(Serialize, Deserialize)]
struct Refresh {
    turn: usize,
}

impl Job for Refresh {
    const NAME: &'static str = "refresh";
    type Output = usize;

    fn unique(&self) -> Option<Unique> {
        Some(Unique::by("the-only-one"))
    }
}

/// How many run at this moment, and how many have run.
#[derive(Default)]
struct Runs {
    now: AtomicUsize,
    all: AtomicUsize,
}

async fn refresh(job: Refresh, runs: State<Arc<Runs>>) -> Result<usize, Failure> {
    assert_eq!(
        runs.now.fetch_add(1, Ordering::SeqCst),
        0,
        "two run at once"
    );
    let all = runs.all.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(2)).await;
    runs.now.fetch_sub(1, Ordering::SeqCst);
    match all % 4 {
        0 => Ok(job.turn),
        1 => Err(Failure::retry("again")),
        2 => Err(Failure::dead("for good")),
        _ => Err(Failure::cancel("moot")),
    }
}

async fn queue(url: &str) -> Queue {
    let oxcart = Oxcart::connect(url).await.unwrap();
    oxcart.queue("test").unwrap()
}

fn calls() -> usize {
    match std::env::var("UNIQUE").as_deref() {
        Ok("full") => 10_000 / PROCESSES / CALLERS,
        _ => 1_500 / PROCESSES / CALLERS,
    }
}

#[test]
fn producer_process() {
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let queue = queue(&std::env::var("SERVER").unwrap()).await;
        let caller = |caller: usize| {
            let queue = queue.clone();
            async move {
                for call in 0..calls() {
                    let turn = caller * calls() + call;
                    let request = queue.enqueue(Refresh { turn });
                    let request = request.backoff(Backoff::fixed(Duration::from_millis(5)));
                    request.await.unwrap();
                }
            }
        };
        join_all((0..CALLERS).map(caller)).await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_callers_in_four_processes_one_has_the_key_at_a_time() {
    let server = Server::start();
    let queue = queue(&server.url()).await;
    let settings = QueueSettings::new().keep_at_most(100);
    queue.change_settings(settings).await.unwrap();
    let runs = Arc::new(Runs::default());
    let worker = Worker::builder(&queue)
        .concurrency(8)
        .state(Arc::clone(&runs))
        .handle(refresh)
        .build()
        .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(worker.run_until(async {
        let _ = stopped.await;
    }));

    let url = server.url();
    let mut callers: Vec<_> = (0..PROCESSES)
        .map(|_| spawn_self("producer_process", &[("SERVER", &url)]))
        .collect();
    // Meanwhile an operator cancels what waits, and replays or removes what is dead.
    let (mut round, mut duplicates) = (0_usize, 0);
    while callers.iter_mut().any(|caller| caller.is_running()) {
        round += 1;
        let counts = queue.counts().await.unwrap();
        assert!(counts.left() <= 1, "{counts:?}");
        for id in ids(&queue, JobState::Dead).await {
            if round.is_multiple_of(2) {
                let _ = queue.replay(&id).await.unwrap();
            } else {
                let _ = queue.remove(&id).await.unwrap();
            }
        }
        for id in ids(&queue, JobState::Delayed).await {
            if round.is_multiple_of(3) {
                let _ = queue.cancel(&id).await.unwrap();
            }
        }
        duplicates = counts.totals.duplicates;
    }
    assert!(duplicates > 0, "they never met");
    eventually_async(PATIENCE, async || queue.counts().await.unwrap().left() == 0).await;
    let totals = queue.counts().await.unwrap().totals;
    let calls = (PROCESSES * CALLERS * calls()) as u64;
    assert_eq!(totals.added + totals.duplicates, calls);
    for part in ["unique", "remembered"] {
        let left: u64 = server.ask(&["EXISTS", &format!("oxcart:{{test}}:{part}")]);
        assert_eq!(left, 0, "{part}");
    }
    let free = queue.enqueue(Refresh { turn: 0 }).await.unwrap();
    assert_eq!(free.enqueued(), Enqueued::New);
    let _ = stop.send(());
    running.await.unwrap().unwrap();
}
