//! Unique keys, with callers in several processes and a worker that fails. The events, which tell all that happened to each job in
//! its order, are the ledger that decides whether there were ever two.
//!
//! `UNIQUE=full cargo test --release --test unique` has the large numbers.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use oxcart::{
    Backoff, Enqueued, Event, EventKind, Failure, Job, JobId, JobState, Oxcart, Queue,
    QueueSettings, State, Unique, Worker,
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

/// How many run at this moment, how many ran at once at most, and how many have run.
#[derive(Default)]
struct Runs {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

/// What the events say.
#[derive(Default)]
struct Ledger {
    /// Jobs that have not ended.
    open: BTreeSet<JobId>,
    /// The most of them that there were at once.
    most: usize,
    added: usize,
    replayed: usize,
    removed: usize,
    last: Option<JobId>,
}

impl Ledger {
    fn note(&mut self, event: &Event) {
        let Some(id) = event.kind.job_id().cloned() else {
            assert!(!matches!(event.kind, EventKind::Missed), "{event:?}");
            return;
        };
        match event.kind {
            EventKind::Added(_) => self.added += 1,
            EventKind::Replayed(_) => self.replayed += 1,
            EventKind::Removed(_) => self.removed += 1,
            EventKind::Completed(_) | EventKind::Cancelled(_) | EventKind::Dead(..) => {}
            _ => return,
        }
        match event.kind {
            EventKind::Added(_) | EventKind::Replayed(_) => self.open.insert(id.clone()),
            _ => self.open.remove(&id),
        };
        self.most = self.most.max(self.open.len());
        self.last = Some(id);
    }
}

async fn refresh(job: Refresh, runs: State<Arc<Runs>>) -> Result<usize, Failure> {
    let now = runs.now.fetch_add(1, Ordering::SeqCst) + 1;
    runs.most.fetch_max(now, Ordering::SeqCst);
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

/// How many calls each caller makes, and how long it waits between them: a job comes and goes in some 10 ms.
fn calls() -> (usize, Duration) {
    match std::env::var("UNIQUE").as_deref() {
        Ok("full") => (1_000, Duration::from_millis(1)),
        _ => (15, Duration::from_millis(20)),
    }
}

async fn enqueue(queue: &Queue, turn: usize) -> Enqueued {
    let request = queue.enqueue(Refresh { turn });
    let request = request.backoff(Backoff::fixed(Duration::from_millis(5)));
    request.expires_in(PATIENCE).await.unwrap().enqueued()
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
                let (calls, pause) = calls();
                for call in 0..calls {
                    let turn = caller * calls + call;
                    enqueue(&queue, turn).await;
                    tokio::time::sleep(pause).await;
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
    let mut events = queue.events().await.unwrap();
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
    // Meanwhile one more caller, who is the operator as well, cancels what waits, and replays or removes what is dead.
    let (mut round, mut duplicates, mut replayed, mut removed) = (0_usize, 0, 0, 0);
    while callers.iter_mut().any(|caller| caller.is_running()) || replayed == 0 || removed == 0 {
        round += 1;
        enqueue(&queue, round).await;
        let counts = queue.counts().await.unwrap();
        assert!(counts.left() <= 1, "{counts:?}");
        for id in ids(&queue, JobState::Dead).await {
            if round.is_multiple_of(2) {
                replayed += usize::from(queue.replay(&id).await.unwrap().is_done());
            } else {
                removed += usize::from(queue.remove(&id).await.unwrap().is_done());
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
    let calls = (PROCESSES * CALLERS * calls().0 + round) as u64;
    assert_eq!(totals.added + totals.duplicates, calls);
    for part in ["unique", "remembered", "expires"] {
        let left: u64 = server.ask(&["EXISTS", &format!("oxcart:{{test}}:{part}")]);
        assert_eq!(left, 0, "{part}");
    }
    let free = queue.enqueue(Refresh { turn: 0 }).await.unwrap(); // its event is the last one that is read
    assert_eq!(free.enqueued(), Enqueued::New);
    let mut ledger = Ledger::default();
    while ledger.last.as_ref() != Some(free.id()) {
        ledger.note(&events.next().await.unwrap());
    }
    assert_eq!((ledger.most, runs.most.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(ledger.added as u64, totals.added + 1);
    assert_eq!((ledger.replayed, ledger.removed), (replayed, removed));
    println!(
        "{calls} calls, {} jobs, {replayed} replayed, {removed} removed",
        ledger.added
    );
    let _ = stop.send(());
    running.await.unwrap().unwrap();
}
