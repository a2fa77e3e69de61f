//! What is deleted: jobs, queues, and jobs that are in no list any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use oxcart::{
    Backoff, Context, EventKind, EventStream, Failure, JobHandle, JobState, Outcome, Oxcart,
    Retention, State, WorkerEvent,
};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::rig::{Number, PATIENCE, Rig, Running};
use crate::support::{Proxy, eventually, eventually_async};

const MINUTE: Duration = Duration::from_secs(60);

/// How often each number ran.
type Ran = Arc<Mutex<BTreeMap<u32, u32>>>;

async fn quick(Number(n): Number) -> Result<u32, Failure> {
    Ok(n)
}

async fn next(events: &mut EventStream) -> EventKind {
    let next = timeout(PATIENCE, events.next()).await;
    next.expect("an event in time")
        .expect("the stream goes on")
        .kind
}

impl Rig {
    fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.server.ask(&["KEYS", "*"]);
        keys.sort();
        keys
    }

    fn list_key(part: &str) -> String {
        format!("oxcart:{{test}}:{part}")
    }

    fn lose(&self, part: &str) {
        let deleted: u64 = self.server.ask(&["DEL", &Self::list_key(part)]);
        assert_eq!(deleted, 1, "{part} is not there");
    }
}

#[tokio::test]
async fn removed_jobs_are_told_and_the_last_one_makes_the_queue_drained() {
    let rig = Rig::new().await;
    let mut events = rig.queue.events().await.unwrap();
    let a = rig.queue.enqueue(Number(1)).await.unwrap();
    let later = rig.queue.enqueue(Number(2)).delay(MINUTE).await.unwrap();
    for expected in ["added", "added", "delayed"] {
        assert_eq!(next(&mut events).await.name(), expected);
    }
    assert!(rig.queue.remove(a.id()).await.unwrap().is_done());
    assert_eq!(next(&mut events).await, EventKind::Removed(a.id().clone()));
    assert!(rig.queue.remove(later.id()).await.unwrap().is_done());
    let removed = next(&mut events).await;
    assert_eq!(removed.job_id(), Some(later.id()));
    assert_eq!(removed, EventKind::Removed(later.id().clone()));
    assert_eq!(next(&mut events).await, EventKind::Drained);
}

/// A job whose attempt is over does not show what that said, as if it were still true.
#[tokio::test]
async fn the_progress_of_an_attempt_that_is_over_does_not_show() {
    let rig = Rig::new().await;
    let said = Arc::new(Notify::new());
    let handle = async |_: Number, context: Context, said: State<Arc<Notify>>| {
        context.progress(&50).await?;
        said.notify_one();
        match context.attempt().number {
            1 => Err("once".into()),
            _ => std::future::pending::<Result<u32, Failure>>().await,
        }
    };
    let lease = Duration::from_secs(1);
    let builder = rig.worker().lease(lease).state(Arc::clone(&said));
    let worker = builder.handle(handle).build().unwrap();
    let running = tokio::spawn(worker.run_until(std::future::pending()));
    let backoff = Backoff::fixed(Duration::from_secs(3));
    let sent = rig.queue.enqueue(Number(1)).backoff(backoff).await.unwrap();
    let progress = async || {
        let info = sent.info().await.unwrap().unwrap();
        (info.state, info.progress::<u32>().unwrap())
    };
    said.notified().await;
    eventually_async(PATIENCE, async || {
        progress().await == (JobState::Delayed, None)
    })
    .await;
    said.notified().await;
    assert_eq!(progress().await, (JobState::Active, Some(50)));
    // The worker dies, and another one takes its job back, and claims nothing.
    running.abort();
    rig.queue.pause().await.unwrap();
    let other = Running::start(rig.worker().lease(lease).handle(quick));
    eventually_async(PATIENCE, async || {
        progress().await == (JobState::Waiting, None)
    })
    .await;
    other.stop().await;
}

#[tokio::test]
async fn a_queue_is_deleted_only_if_nobody_wants_what_it_holds_or_all_of_it_is_to_go() {
    let rig = Rig::new().await;
    assert_eq!(rig.queue.delete().await.unwrap().jobs(), 0);
    rig.queue.enqueue_many((0..3).map(Number)).await.unwrap();
    rig.queue.enqueue(Number(9)).delay(MINUTE).await.unwrap();
    let hourly = rig.queue.schedule("hourly").every(60 * MINUTE);
    hourly.job(Number(5)).await.unwrap();
    eventually_async(PATIENCE, async || {
        rig.oxcart.queues().await.unwrap() == ["test"]
    })
    .await;

    let before = rig.keys();
    let refused = rig.queue.delete().await.unwrap_err();
    assert_eq!(refused.kind(), oxcart::ErrorKind::NotEmpty);
    assert!(!refused.is_retryable());
    assert_eq!(
        refused.to_string(),
        "`test` is not deleted: it holds jobs (3 waiting, 1 delayed) and schedules (1); \
         `.delete().with_jobs()` deletes them as well"
    );
    assert_eq!(rig.keys(), before);

    let deleted = rig.queue.delete().with_jobs().await.unwrap();
    assert_eq!(
        (deleted.waiting, deleted.delayed, deleted.schedules),
        (3, 1, 1)
    );
    assert_eq!((deleted.jobs(), deleted.orphans), (4, 0));
    assert_eq!(rig.oxcart.queues().await.unwrap(), [""; 0]);
    // The numbers of the last calls, for an hour.
    assert_eq!(rig.keys(), [Rig::list_key("calls")]);
    let seconds: i64 = rig.server.ask(&["TTL", &Rig::list_key("calls")]);
    assert!((3_500..=3_600).contains(&seconds), "{seconds} s");

    // Again, and with nothing there.
    assert_eq!(rig.queue.delete().with_jobs().await.unwrap().jobs(), 0);
}

/// Dead letters keep a queue from being deleted; completed jobs do not.
#[tokio::test]
async fn a_queue_with_dead_letters_is_not_deleted_and_one_with_completed_jobs_is() {
    let rig = Rig::new().await;
    let number = async |Number(n): Number| match n {
        0 => Err(Failure::dead("zero")),
        n => Ok(n),
    };
    let running = Running::start(rig.worker().handle(number));
    let dead = rig.queue.enqueue(Number(0)).await.unwrap();
    rig.queue.enqueue(Number(1)).result().await.unwrap();
    rig.until(|counts| (counts.dead, counts.completed) == (1, 1))
        .await;
    running.stop().await;
    let refused = rig.queue.delete().await.unwrap_err();
    assert!(refused.to_string().contains("jobs (1 dead)"), "{refused}");
    assert!(rig.queue.remove(dead.id()).await.unwrap().is_done());
    let deleted = rig.queue.delete().await.unwrap();
    assert_eq!((deleted.completed, deleted.jobs()), (1, 1));
    assert_eq!(rig.keys(), [Rig::list_key("calls")]);
}

/// Values that another program has put under the queue's keys are deleted only with `with_jobs`.
#[tokio::test]
async fn a_queue_with_keys_of_somebody_else_is_deleted_only_with_everything() {
    let rig = Rig::new().await;
    rig.queue.enqueue(Number(1)).await.unwrap();
    for part in ["active", "delayed", "schedules", "jobs", "events"] {
        rig.server.cli(&["DEL", &Rig::list_key(part)]);
        rig.server.cli(&["SET", &Rig::list_key(part), "odd"]);
    }
    let refused = rig.queue.delete().await.unwrap_err();
    assert!(refused.to_string().contains("WRONGTYPE"), "{refused}");
    assert_eq!(rig.queue.delete().with_jobs().await.unwrap().waiting, 1);
    assert_eq!(rig.keys(), [Rig::list_key("calls")]);
}

/// The figures in docs/redis-layout.md.
#[tokio::test]
async fn g8_what_stays_of_a_queue_that_was_used_once() {
    let rig = Rig::new().await;
    let running = Running::start(rig.worker().handle(quick));
    let request = rig.queue.enqueue(Number(1));
    let id = request.job_id().clone();
    assert_eq!(request.result().await.unwrap(), 1);
    assert!(rig.queue.remove(&id).await.unwrap().is_done());
    running.stop().await;
    let bytes = || -> BTreeMap<String, u64> {
        let keys = rig.keys().into_iter();
        keys.map(|key| {
            let bytes = rig.server.ask(&["MEMORY", "USAGE", &key, "SAMPLES", "0"]);
            (key, bytes)
        })
        .collect()
    };
    let used = bytes();
    println!("used once: {used:?}, {} bytes", used.values().sum::<u64>());
    rig.queue.delete().await.unwrap();
    let deleted = bytes();
    println!("deleted: {deleted:?}");
    assert_eq!(rig.keys(), [Rig::list_key("calls")]);
    assert!(deleted.values().sum::<u64>() < 2_000, "{deleted:?}");
}

/// The producer that had put it on the list before does not know of the deletion.
#[tokio::test]
async fn a_queue_that_is_used_again_is_listed_again_at_once() {
    let rig = Rig::new().await;
    let elsewhere = Oxcart::connect(&rig.server.url()).await.unwrap();
    let theirs = elsewhere.queue("test").unwrap();
    for queue in [&rig.queue, &theirs, &rig.queue] {
        queue.enqueue(Number(1)).await.unwrap();
        eventually_async(PATIENCE, async || {
            rig.oxcart.queues().await.unwrap() == ["test"]
        })
        .await;
        rig.queue.delete().with_jobs().await.unwrap();
        assert_eq!(rig.oxcart.queues().await.unwrap(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_running_worker_is_told_that_its_queue_was_deleted_and_goes_on() {
    let rig = Rig::new().await;
    let hold = async |Number(n): Number| match n {
        0 => std::future::pending::<Result<u32, Failure>>().await,
        n => Ok(n),
    };
    let running = Running::start(rig.worker().lease(Duration::from_secs(1)).handle(hold));
    let held = rig.queue.enqueue(Number(0)).await.unwrap();
    running.until_started(1).await;
    let elsewhere = Oxcart::connect(&rig.server.url()).await.unwrap();
    let theirs: JobHandle<Number> = elsewhere.queue("test").unwrap().handle(held.id().clone());
    let waits = tokio::spawn(async move { theirs.result().await });
    let ours = held.clone();
    let waits_here = tokio::spawn(async move {
        let waited = ours.result().await;
        (waited, Instant::now())
    });
    let awaited = Rig::list_key("awaited");
    eventually(PATIENCE, || {
        let waiting: u64 = rig.server.ask(&["ZCARD", &awaited]);
        waiting == 1
    })
    .await;

    let deleted = rig.queue.delete().with_jobs().await.unwrap();
    let at = Instant::now();
    assert_eq!((deleted.active, deleted.jobs()), (1, 1));
    let (here, heard) = waits_here.await.unwrap();
    assert!(here.unwrap_err().is_not_found());
    assert!(heard - at < Duration::from_secs(2), "{:?}", heard - at);
    assert!(waits.await.unwrap().unwrap_err().is_not_found());
    let is_lost = |event: &WorkerEvent| event.outcome() == Some(&Outcome::LeaseLost);
    eventually(PATIENCE, || {
        running.told.lock().unwrap().iter().any(is_lost)
    })
    .await;

    // Nothing of the old queue comes back, and the worker takes what is new.
    assert!(held.info().await.unwrap().is_none());
    assert_eq!(rig.queue.enqueue(Number(7)).result().await.unwrap(), 7);
    let counts = rig.counts().await;
    assert_eq!((counts.left(), counts.totals.added), (0, 1));
    assert_eq!(counts.totals.stalled, 0);
    running.stop().await;
    rig.queue.delete().await.unwrap();
    assert_eq!(rig.keys(), [Rig::list_key("calls")]);
}

/// Redis has carried it out, and the producer does not know that before the queue is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_an_enqueue_whose_answer_was_lost_does_not_bring_its_job_back() {
    let rig = Rig::new().await;
    let proxy = Proxy::start(rig.server.tcp_addr());
    let oxcart = Oxcart::connect(&proxy.url()).await.unwrap();
    let queue = oxcart.queue("test").unwrap();
    queue.enqueue(Number(1)).await.unwrap();
    proxy.drop_reply_every(1);
    let sending = {
        let queue = queue.clone();
        tokio::spawn(async move { queue.enqueue(Number(2)).await })
    };
    rig.until(|counts| counts.waiting == 2).await;
    assert_eq!(rig.queue.delete().with_jobs().await.unwrap().waiting, 2);
    proxy.drop_reply_every(0);
    let sent = sending.await.unwrap().unwrap();
    assert!(sent.info().await.unwrap().is_none());
    assert_eq!(rig.counts().await.totals.added, 0);
    queue.enqueue(Number(3)).await.unwrap();
    assert_eq!(rig.counts().await.left(), 1);
}

/// As when Redis was emptied.
#[tokio::test]
async fn a_reader_of_events_is_told_that_those_of_a_deleted_queue_are_gone() {
    let rig = Rig::new().await;
    let mut events = rig.queue.events().await.unwrap();
    for _ in 0..2 {
        rig.queue.enqueue(Number(1)).await.unwrap();
        assert_eq!(next(&mut events).await.name(), "added");
    }
    rig.queue.delete().with_jobs().await.unwrap();
    // In the same millisecond the new entry would lie before the cursor.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let new = rig.queue.enqueue(Number(1)).await.unwrap();
    assert_eq!(next(&mut events).await, EventKind::Missed);
    assert_eq!(next(&mut events).await, EventKind::Added(new.id().clone()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_jobs_in_a_list_that_somebody_deleted_are_found_and_put_back() {
    const JOBS: u32 = 700;
    let rig = Rig::new().await;
    let sent = rig
        .queue
        .enqueue_many((1..=JOBS).map(Number))
        .await
        .unwrap();
    let later = rig.queue.enqueue(Number(0)).delay(MINUTE).await.unwrap();
    assert!(rig.queue.orphans().list().await.unwrap().is_empty());
    rig.lose("waiting");
    rig.lose("delayed");
    let found = rig.queue.orphans().list().await.unwrap();
    assert_eq!(found.len(), 256);
    let refused = rig.queue.delete().await.unwrap_err().to_string();
    assert!(refused.contains("701 in no list"), "{refused}");

    // Beside a worker that runs: some jobs are done before the last ones are back.
    let ran = Ran::default();
    let count = async |Number(n): Number, ran: State<Ran>| {
        *ran.lock().unwrap().entry(n).or_default() += 1;
        Ok::<_, Failure>(n)
    };
    let builder = rig.worker().concurrency(20).state(Arc::clone(&ran));
    let running = Running::start(builder.handle(count));
    assert_eq!(rig.queue.orphans().put_back().await.unwrap(), 701);
    rig.until(|counts| counts.left() == 0).await;
    running.stop().await;
    assert!(rig.queue.orphans().list().await.unwrap().is_empty());
    let ran = ran.lock().unwrap().clone();
    assert_eq!(ran.len(), sent.len() + 1, "the delayed one runs, too");
    assert!(ran.values().all(|times| *times == 1), "{ran:?}");
    assert_eq!(
        later.info().await.unwrap().unwrap().state,
        JobState::Completed
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_what_has_ended_or_runs_is_not_run_again_when_its_list_is_lost() {
    let rig = Rig::new().await;
    let release = Arc::new(Notify::new());
    let number = async |Number(n): Number, release: State<Arc<Notify>>| match n {
        0 => Err(Failure::dead("zero")),
        1 => {
            release.notified().await;
            Ok(n)
        }
        n => Ok(n),
    };
    let builder = rig.worker().lease(Duration::from_secs(2));
    let running = Running::start(builder.state(Arc::clone(&release)).handle(number));
    let dead = rig.queue.enqueue(Number(0)).await.unwrap();
    let held = rig.queue.enqueue(Number(1)).await.unwrap();
    let done = rig.queue.enqueue(Number(2)).await.unwrap();
    let apart = rig.queue.enqueue(Number(3)).keep(Retention::For(MINUTE));
    let apart = apart.await.unwrap();
    running.until_started(4).await;
    rig.until(|counts| (counts.dead, counts.completed, counts.active) == (1, 2, 1))
        .await;
    rig.queue.pause().await.unwrap();
    for part in ["dead", "completed", "kept", "active"] {
        rig.lose(part);
    }
    // The worker's next renewal may be faster for the one that it holds.
    let back = rig.queue.orphans().put_back().await.unwrap();
    assert!((3..=4).contains(&back), "{back}");
    let state = async |job: &JobHandle<Number>| job.info().await.unwrap().unwrap().state;
    assert_eq!(state(&dead).await, JobState::Dead);
    assert_eq!(state(&done).await, JobState::Completed);
    assert_eq!(state(&apart).await, JobState::Completed);
    assert_eq!(state(&held).await, JobState::Active);
    release.notify_one();
    assert_eq!(held.result().await.unwrap(), 1);
    let told = running.stop().await;
    let lost = told
        .iter()
        .any(|event| event.outcome() == Some(&Outcome::LeaseLost));
    assert!(!lost, "{told:?}");
}

#[tokio::test]
async fn orphans_can_be_removed() {
    let rig = Rig::new().await;
    rig.queue.enqueue_many((0..300).map(Number)).await.unwrap();
    rig.lose("waiting");
    let mut events = rig.queue.events().await.unwrap();
    assert_eq!(rig.queue.orphans().remove().await.unwrap(), 300);
    for _ in 0..300 {
        assert_eq!(next(&mut events).await.name(), "removed");
    }
    assert_eq!(next(&mut events).await, EventKind::Drained);
    let gone: u64 = rig.server.ask(&["EXISTS", &Rig::list_key("jobs")]);
    assert_eq!(gone, 0);
    assert_eq!(rig.queue.orphans().remove().await.unwrap(), 0);
    assert_eq!(rig.counts().await.totals.removed, 300);
}
