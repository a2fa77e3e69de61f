//! Dead letters that are replayed at a rate while the workers are killed. The events tell what was replayed, and in which order; a
//! ledger outside of Redis tells what ran.
//!
//! `REPLAY=full cargo test --release --test replay -- --nocapture` has the large numbers.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::StreamExt;
use oxcart::{
    AuditPhase, Event, EventKind, Failure, Job, JobId, JobState, Oxcart, Queue, QueueSettings,
    State, Stopped, Worker,
};
use serde::{Deserialize, Serialize};
use support::{
    Ledger, Process, Server, child_of_test, eventually, eventually_async, ids, spawn_self,
};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Serialize, Deserialize)]
struct Pay {
    invoice: usize,
}

impl Job for Pay {
    const NAME: &'static str = "pay";
    type Output = ();
}

/// The provider of payments, as the handler sees it.
#[derive(Clone, Copy)]
struct Provider {
    is_down: bool,
}

async fn pay_in_process(_: Pay, provider: State<Provider>) -> Result<(), Failure> {
    match provider.is_down {
        true => Err(Failure::dead("the provider is down")),
        false => Ok(()),
    }
}

/// How many dead letters, and how many of them are replayed in a second.
fn size() -> (usize, u32) {
    match std::env::var("REPLAY").as_deref() {
        Ok("full") => (10_000, 500),
        _ => (600, 200),
    }
}

async fn queue_of(operator: &str, url: &str) -> Queue {
    let oxcart = Oxcart::builder().operator(operator).connect(url);
    oxcart.await.unwrap().queue("payments").unwrap()
}

/// A worker whose provider is down, and how to stop it.
fn broken_worker(queue: &Queue) -> (tokio::sync::oneshot::Sender<()>, JoinHandle<()>) {
    let worker = Worker::builder(queue).concurrency(100);
    let worker = worker.state(Provider { is_down: true });
    let worker = worker.handle(pay_in_process).build().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        let until = async {
            let _ = stopped.await;
        };
        worker.run_until(until).await.unwrap();
    });
    (stop, running)
}

/// As many dead letters.
async fn die(queue: &Queue, jobs: usize) {
    let settings = QueueSettings::new()
        .keep_at_most(jobs as u64)
        .max_stalls(50);
    queue.change_settings(settings).await.unwrap();
    let (stop, running) = broken_worker(queue);
    let requests = (0..jobs).map(|invoice| queue.enqueue(Pay { invoice }).id(id(invoice)));
    queue.enqueue_many(requests).await.unwrap();
    dead_are(queue, jobs).await;
    let _ = stop.send(());
    running.await.unwrap();
}

async fn dead_are(queue: &Queue, jobs: usize) {
    eventually_async(PATIENCE, async || {
        queue.counts().await.unwrap().dead == jobs as u64
    })
    .await;
}

fn id(invoice: usize) -> JobId {
    JobId::new(format!("invoice-{invoice:05}")).unwrap()
}

#[test]
fn worker_process() {
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open(std::env::var("LEDGER").unwrap());
        let pay = move |Pay { invoice }| {
            ledger.record(&format!("{} {}", std::process::id(), id(invoice)));
            async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok::<_, Failure>(())
            }
        };
        let queue = queue_of("worker", &std::env::var("SERVER").unwrap()).await;
        let worker = Worker::builder(&queue).concurrency(20);
        let worker = worker.lease(Duration::from_secs(1)).handle(pay);
        let ended = worker.build().unwrap().run_until(oxcart::shutdown_signal());
        ended.await.unwrap();
    });
}

/// What the events say.
#[derive(Default)]
struct Story {
    replayed: Vec<(JobId, oxcart::Timestamp)>,
    completed: BTreeMap<JobId, usize>,
    stalled: BTreeSet<JobId>,
}

impl Story {
    fn note(&mut self, event: Event) {
        match event.kind {
            EventKind::Replayed(id) => self.replayed.push((id, event.at)),
            EventKind::Completed(id) => *self.completed.entry(id).or_default() += 1,
            EventKind::Stalled(id) => {
                self.stalled.insert(id);
            }
            EventKind::Dead(..) | EventKind::Missed => panic!("{event:?}"),
            _ => {}
        }
    }

    /// The most that were replayed within a second.
    fn most_in_a_second(&self) -> usize {
        let moments = self.replayed.iter().map(|(_, at)| at.as_millis());
        let moments: Vec<u64> = moments.collect();
        let within = |from: &u64| {
            let later = moments.partition_point(|at| *at < from + 1_000);
            later - moments.partition_point(|at| at < from)
        };
        moments.iter().map(within).max().unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_replayed_at_a_rate_while_workers_are_killed_is_all_done_once_in_its_order() {
    let (jobs, rate) = size();
    let server = Server::start();
    let queue = queue_of("ada", &server.url()).await;
    die(&queue, jobs).await;
    let expected = ids(&queue, JobState::Dead).await;
    assert_eq!(expected.len(), jobs);
    let mut events = queue.events().await.unwrap();
    let reading = tokio::spawn(async move {
        let mut story = Story::default();
        while story.completed.len() < jobs {
            story.note(events.next().await.unwrap());
        }
        story
    });

    let ledger = Ledger::create();
    let (url, path) = (server.url(), ledger.path().to_str().unwrap().to_owned());
    let spawn = || spawn_self("worker_process", &[("SERVER", &url), ("LEDGER", &path)]);
    let mut workers: Vec<Process> = (0..2).map(|_| spawn()).collect();
    let replay = queue.dead_letters().replay().per_second(rate);
    let started = Instant::now();
    let replay = tokio::spawn(async move { replay.await.unwrap() });
    let mut killed = 0;
    while !replay.is_finished() {
        // The worker at this place is killed when it has begun a job: then it is in the middle of others.
        let victim = &mut workers[killed % 2];
        let pid = format!("{} ", victim.id());
        let has_begun = || ledger.lines().iter().any(|line| line.starts_with(&pid));
        eventually(PATIENCE, || has_begun() || replay.is_finished()).await;
        victim.kill();
        workers[killed % 2] = spawn();
        killed += 1;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    let took = started.elapsed();
    let tally = replay.await.unwrap();
    let story = tokio::time::timeout(PATIENCE, reading)
        .await
        .unwrap()
        .unwrap();

    // None lost, none replayed twice, all in their order, not faster than asked.
    assert_eq!(
        (tally.done, tally.gone, tally.stopped),
        (jobs as u64, 0, None)
    );
    let replayed: Vec<JobId> = story.replayed.iter().map(|(id, _)| id.clone()).collect();
    assert!(
        replayed == expected,
        "replayed in another order than they died, or twice: {replayed:?}"
    );
    let steps_ahead = (rate / 4) as usize;
    let most = story.most_in_a_second();
    assert!(most <= rate as usize + steps_ahead, "{most} in a second");
    // Each was completed once. What ran twice was in the hands of a worker that was killed.
    assert!(story.completed.values().all(|times| *times == 1));
    let mut began: BTreeMap<JobId, usize> = BTreeMap::new();
    for line in ledger.lines() {
        let (_, id) = line.split_once(' ').unwrap();
        *began.entry(JobId::new(id).unwrap()).or_default() += 1;
    }
    assert_eq!(began.len(), jobs);
    let twice = began.iter().filter(|(_, times)| **times > 1);
    let unexplained = twice.filter(|(id, _)| !story.stalled.contains(*id));
    assert_eq!(unexplained.collect::<Vec<_>>(), []);
    assert!(killed > 0 && !story.stalled.is_empty(), "{killed} killed");
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.dead, counts.left()), (0, 0));
    let audit = queue.audit().await.unwrap();
    let audit: Vec<_> = audit
        .iter()
        .map(|it| (&*it.action, it.phase, it.jobs))
        .collect();
    let (began, ended) = (AuditPhase::Began, AuditPhase::Ended);
    let both = [
        ("replay", ended, Some(jobs as u64)),
        ("replay", began, None),
    ];
    assert_eq!(audit[..2], both);
    println!(
        "{jobs} replayed in {took:.1?}, {most} in a second at most; {killed} workers killed, {} jobs in their hands",
        story.stalled.len()
    );
    for worker in &mut workers {
        worker.terminate();
        assert!(worker.wait(PATIENCE).success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_at_a_rate_stops_by_itself_while_the_handler_still_fails() {
    let (jobs, rate) = size();
    let server = Server::start();
    let queue = queue_of("ada", &server.url()).await;
    die(&queue, jobs).await;
    let (stop, running) = broken_worker(&queue);
    let replay = queue.dead_letters().replay().per_second(rate);
    let tally = replay.stop_if_failing(0.2).await.unwrap();
    assert_eq!(tally.stopped, Some(Stopped::Failing), "{tally:?}");
    assert!(tally.done <= jobs as u64 / 5, "{tally:?}");
    dead_are(&queue, jobs).await;
    let _ = stop.send(());
    running.await.unwrap();
    let dead = ids(&queue, JobState::Dead).await;
    assert_eq!(dead.into_iter().collect::<BTreeSet<_>>().len(), jobs);
    let ended = &queue.audit().await.unwrap()[0];
    assert_eq!(
        (ended.phase, ended.jobs),
        (AuditPhase::Ended, Some(tally.done))
    );
    println!("{tally:?}");
}
