//! Queues in memory, as an application tests with them: the same behaviour, no Redis, and a
//! clock that the test turns.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures::{StreamExt, TryStreamExt};
use oxcart::{
    AttemptKind, Context, DeadReason, Ended, EventKind, Failure, Job, JobState, Missed, Outcome,
    Oxcart, Queue, ScheduleInfo, Scheduled, State, Timestamp, Worker, WorkerBuilder, WorkerEvent,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt};

const HOUR: Duration = Duration::from_secs(3_600);
/// What must not need any waiting gets this long at most.
const SOON: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Task {
    Say(u32),
    Fail,
    Panic,
    Follow(u32),
    HangOnce,
}

impl Job for Task {
    const NAME: &'static str = "task";
    type Output = u32;
}

#[derive(Default)]
struct Scene {
    hanging: Notify,
    hung: AtomicBool,
}

async fn task(job: Task, queue: Queue, scene: State<Arc<Scene>>) -> Result<u32, Failure> {
    match job {
        Task::Say(n) => Ok(n),
        Task::Fail => Err("broken".into()),
        Task::Panic => panic!("on purpose"),
        Task::Follow(n) => {
            queue.enqueue(Task::Say(n)).priority(1).await?;
            Ok(n)
        }
        Task::HangOnce => {
            if !scene.hung.swap(true, Ordering::SeqCst) {
                scene.hanging.notify_one();
                std::future::pending::<()>().await;
            }
            Ok(0)
        }
    }
}

fn queue() -> (Oxcart, Queue) {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue("test").unwrap();
    (oxcart, queue)
}

fn worker(queue: &Queue) -> WorkerBuilder {
    Worker::builder(queue)
        .state(Arc::new(Scene::default()))
        .handle(task)
}

#[tokio::test]
async fn a_drain_runs_what_is_due_most_urgent_first_and_what_follows_from_it() {
    let (_, queue) = queue();
    let worker = worker(&queue).build().unwrap();
    queue.enqueue(Task::Follow(1)).priority(2).await.unwrap();
    let last = queue.enqueue(Task::Say(7)).await.unwrap();
    queue.enqueue(Task::Say(8)).delay(HOUR).await.unwrap();

    let ran = worker.drain().await;
    assert_eq!(ran.len(), 3);
    assert!(ran.iter().all(|ran| ran.attempt.name == "task"));
    // What the first enqueued is more urgent than what was there.
    assert_eq!(&ran[2].attempt.id, last.id());
    assert_eq!(last.result().await.unwrap(), 7);
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.completed, counts.delayed), (3, 1));
    assert!(worker.drain().await.is_empty());
}

#[tokio::test]
async fn g4_many_jobs_are_there_in_their_order() {
    let (_, queue) = queue();
    let jobs = queue.enqueue_many((0..1000).map(Task::Say)).await.unwrap();
    let stored = queue.jobs(JobState::Waiting).stream();
    let stored: Vec<_> = stored.try_collect().await.unwrap();
    let stored = stored.iter().map(|job| &job.id);
    assert!(stored.eq(jobs.iter().map(|job| job.id())));
}

#[tokio::test]
async fn g5_time_passes_only_when_it_is_turned() {
    let (oxcart, queue) = queue();
    let worker = worker(&queue).build().unwrap();
    let sent = queue.enqueue(Task::Say(1)).delay(HOUR).await.unwrap();
    oxcart.advance_time(HOUR - Duration::from_secs(60));
    assert!(worker.drain().await.is_empty());
    oxcart.advance_time(Duration::from_secs(60));
    let ran = worker.drain().await;
    assert_eq!(&ran[0].attempt.id, sent.id());
    assert!(ran[0].outcome.is_completed());

    // Retention: one day.
    oxcart.advance_time(25 * HOUR);
    worker.drain().await;
    assert!(sent.info().await.unwrap().is_none());
}

async fn info(queue: &Queue, schedule: &str) -> ScheduleInfo {
    queue.schedule(schedule).info().await.unwrap().unwrap()
}

#[tokio::test]
async fn s1_a_schedule_fires_when_the_clock_is_turned_past_its_tick() {
    let (oxcart, queue) = queue();
    let start = Timestamp::from(SystemTime::now() + HOUR);
    let hourly = |job| {
        queue
            .schedule("hourly")
            .every(HOUR)
            .starting(start)
            .job(job)
    };
    let declaring = worker(&queue)
        .schedule(hourly(Task::Say(1)))
        .build()
        .unwrap();
    assert!(declaring.drain().await.is_empty());
    assert_eq!(hourly(Task::Say(2)).await.unwrap(), Scheduled::Changed);

    let worker = worker(&queue).build().unwrap();
    assert!(worker.drain().await.is_empty(), "it is not due");
    let before = oxcart.server().await.unwrap();
    oxcart.advance_time(HOUR + Duration::from_secs(1));
    let after = oxcart.server().await.unwrap();
    let turned = after.time.unwrap().duration_since(before.time.unwrap());
    assert!(turned > HOUR && before.version.is_none(), "{turned:?}");
    let ran = worker.drain().await;
    let tick = ran[0].attempt.id.tick();
    assert_eq!((ran.len(), tick), (1, Some(("hourly", start))));
    assert!(worker.drain().await.is_empty(), "once");
    let after = info(&queue, "hourly").await;
    assert_eq!((after.fired, after.missed), (1, 0));

    // No worker ran for a day.
    oxcart.advance_time(24 * HOUR);
    assert!(worker.drain().await.len() <= 1);
    assert!(info(&queue, "hourly").await.missed >= 23);
    let patient = queue.schedule("hourly").every(HOUR).starting(start);
    let patient = patient.missed(Missed::FireAll { at_most: 5 });
    patient.job(Task::Say(2)).await.unwrap();
    oxcart.advance_time(24 * HOUR);
    assert!(worker.drain().await.len() >= 5);

    assert!(queue.schedule("hourly").remove().await.unwrap());
    oxcart.advance_time(24 * HOUR);
    assert!(worker.drain().await.is_empty());
}

#[tokio::test]
async fn s2_turned_from_tick_to_tick_none_is_missed() {
    let (oxcart, queue) = queue();
    let nightly = queue.schedule("nightly").cron("0 3 * * *");
    nightly
        .timezone("europe/berlin")
        .job(Task::Say(1))
        .await
        .unwrap();
    let worker = worker(&queue).build().unwrap();
    for fired in 1..=40 {
        let tick = info(&queue, "nightly").await.next_tick.unwrap();
        oxcart.advance_to(tick);
        let ran = worker.drain().await;
        assert_eq!(ran.len(), 1);
        assert_eq!(ran[0].attempt.id.tick(), Some(("nightly", tick)));
        let after = info(&queue, "nightly").await;
        assert_eq!((after.fired, after.missed), (fired, 0));
        // It has passed: nothing is turned back.
        oxcart.advance_to(SystemTime::UNIX_EPOCH);
        oxcart.advance_to(tick);
        assert!(worker.drain().await.is_empty());
    }
    assert_eq!(
        oxcart.queues().await.unwrap(),
        ["test"],
        "none that was only asked"
    );
}

struct Warnings(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: LayerContext<'_, S>) {
        if *event.metadata().level() == tracing::Level::WARN {
            self.0.lock().unwrap().push(format!("{event:?}"));
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Unhandled;

impl Job for Unhandled {
    const NAME: &'static str = "unhandled";
    type Output = ();
}

#[tokio::test]
async fn a_job_waits_for_a_worker_that_has_its_handler_and_the_log_says_why() {
    let (_, queue) = queue();
    queue.enqueue(Unhandled).await.unwrap();
    let sent = queue.enqueue(Task::Say(3)).await.unwrap();
    let other = Worker::builder(&queue).handle(async |_: Unhandled| Ok::<_, Failure>(()));
    let other = other.build().unwrap();
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = tracing_subscriber::registry().with(Warnings(Arc::clone(&told)));
    let quiet = tracing::subscriber::set_default(log);
    let ran = other.drain().await;
    drop(quiet);
    assert!(
        matches!(&ran[1].outcome, Outcome::Bounced { entry, .. } if entry.error.contains("`task`")),
        "{ran:?}"
    );
    let told: Vec<String> = told.lock().unwrap().clone();
    assert!(
        told.len() == 1 && told[0].contains("no handler for jobs named `task`"),
        "{told:?}"
    );
    assert!(
        other.drain().await.is_empty(),
        "it comes back to nobody who cannot run it"
    );
    assert_eq!(sent.info().await.unwrap().unwrap().state, JobState::Waiting);

    let ran = worker(&queue).build().unwrap().drain().await;
    assert!(ran[0].outcome.is_completed(), "{ran:?}");
    assert_eq!(sent.result().await.unwrap(), 3);
}

#[tokio::test]
async fn g5_a_job_goes_to_the_worker_that_has_its_handler_in_memory_too() {
    let (_, queue) = queue();
    let other = || Worker::builder(&queue).handle(async |_: Unhandled| Ok::<_, Failure>(()));
    let builders = [other(), worker(&queue), other()];
    let stop = Arc::new(Semaphore::new(0));
    let running = builders.map(|builder| {
        let stop = Arc::clone(&stop);
        let worker = builder.build().unwrap();
        tokio::spawn(worker.run_until(async move { drop(stop.acquire().await) }))
    });
    timeout(SOON, async {
        for n in 0..20 {
            let sent = queue.enqueue(Task::Say(n)).await.unwrap();
            assert_eq!(sent.result().await.unwrap(), n);
        }
    })
    .await
    .unwrap();
    stop.close();
    for worker in running {
        worker.await.unwrap().unwrap();
    }
}

#[test]
fn a_worker_that_declares_what_it_does_not_handle_warns_and_one_that_does_does_not() {
    let (_, queue) = queue();
    let handled = || queue.schedule("handled").cron("@daily").job(Task::Say(1));
    let unhandled = queue.schedule("forgotten").cron("@daily").job(Unhandled);
    let told = Arc::default();
    let log = tracing_subscriber::registry().with(Warnings(Arc::clone(&told)));
    tracing::subscriber::with_default(log, || {
        let _ = worker(&queue).schedule(handled()).build().unwrap();
        assert!(told.lock().unwrap().is_empty());
        let both = worker(&queue).schedules([handled(), unhandled]);
        let _ = both.build().unwrap();
    });
    let told = told.lock().unwrap();
    assert!(told.len() == 1 && told[0].contains("forgotten"), "{told:?}");
    assert!(told[0].contains("unhandled"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_a_running_worker_hears_that_the_clock_was_turned_past_a_tick() {
    let (oxcart, queue) = queue();
    let worker = worker(&queue).build().unwrap();
    let running = tokio::spawn(worker.run_until(std::future::pending()));
    let start = Timestamp::from(SystemTime::now() + HOUR);
    let daily = queue.schedule("daily").every(24 * HOUR).starting(start);
    daily.job(Task::Say(1)).await.unwrap();
    oxcart.advance_time(HOUR);
    let fired = async {
        while info(&queue, "daily").await.fired == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, fired).await.unwrap();
    running.abort();
}

#[tokio::test]
async fn failures_are_retried_and_then_dead_and_replayed() {
    let (oxcart, queue) = queue();
    let worker = worker(&queue).build().unwrap();
    let sent = queue.enqueue(Task::Panic).attempts(2).await.unwrap();
    let ran = worker.drain().await;
    let Outcome::Retry { after, entry, .. } = &ran[0].outcome else {
        panic!("{ran:?}");
    };
    assert!(entry.error.contains("on purpose"));
    oxcart.advance_time(*after);
    worker.drain().await;
    let info = sent.info().await.unwrap().unwrap();
    assert_eq!(info.ended, Some(Ended::Dead(DeadReason::AttemptsSpent)));
    assert_eq!(info.history.len(), 2);
    assert!(sent.result().await.unwrap_err().is_dead());

    assert!(queue.replay(sent.id()).await.unwrap().is_done());
    assert_eq!(worker.drain().await.len(), 1);
}

#[tokio::test]
async fn what_is_enqueued_can_be_asserted() {
    let (_, queue) = queue();
    queue.enqueue(Task::Fail).await.unwrap();
    let later = queue.enqueue(Task::Say(3)).delay(HOUR).priority(9);
    later.await.unwrap();
    let found = queue.assert_enqueued(|job: &Task| *job == Task::Say(3));
    assert_eq!((found.priority, found.state), (9, JobState::Delayed));
    assert_eq!(queue.enqueued::<Task>(), [Task::Fail, Task::Say(3)]);

    let missing = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        queue.assert_enqueued(|job: &Task| *job == Task::Say(4));
    }));
    let message = *missing.unwrap_err().downcast::<String>().unwrap();
    for part in [
        "no `task` as wanted in `test`; in line: 2 `task`, 0 other",
        "\n  \"Fail\" (waiting, ",
        "\n  {\"Say\": 3} (delayed, ",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

/// The same worker that runs on Redis, with its wait for work, its timers and its renewal of leases.
#[tokio::test(flavor = "multi_thread")]
async fn g5_a_running_worker_hears_at_once_of_work_and_of_a_turned_clock() {
    let (oxcart, queue) = queue();
    let running = tokio::spawn(
        worker(&queue)
            .concurrency(50)
            .build()
            .unwrap()
            .run_until(std::future::pending()),
    );
    let asked = queue.enqueue(Task::Say(1)).result();
    assert_eq!(timeout(SOON, asked).await.unwrap().unwrap(), 1);

    let tomorrow = queue.enqueue(Task::Say(2)).delay(24 * HOUR).await.unwrap();
    oxcart.advance_time(24 * HOUR);
    let result = timeout(SOON, tomorrow.result()).await;
    assert_eq!(result.unwrap().unwrap(), 2);

    let shortly = queue.enqueue(Task::Say(3)).delay(Duration::from_millis(20));
    assert_eq!(timeout(SOON, shortly.result()).await.unwrap().unwrap(), 3);

    let many = queue.enqueue_many((0..5_000).map(Task::Say)).await.unwrap();
    let last = many.last().unwrap().result();
    timeout(10 * SOON, last).await.unwrap().unwrap();
    running.abort();
}

#[tokio::test]
async fn g6_a_worker_that_dies_leaves_a_stalled_job_to_the_next() {
    let (oxcart, queue) = queue();
    let scene = Arc::new(Scene::default());
    let dying = Worker::builder(&queue)
        .state(Arc::clone(&scene))
        .handle(task);
    let dying = dying.build().unwrap();
    let sent = queue.enqueue(Task::HangOnce).await.unwrap();
    tokio::select! {
        _ = dying.run_until(std::future::pending()) => panic!("it does not end"),
        () = scene.hanging.notified() => {}
    }
    let next = Worker::builder(&queue)
        .state(Arc::clone(&scene))
        .handle(task);
    let next = next.build().unwrap();
    assert!(next.drain().await.is_empty(), "its lease holds");

    oxcart.advance_time(Duration::from_secs(31));
    let ran = next.drain().await;
    assert!(ran[0].outcome.is_completed(), "{ran:?}");
    let info = sent.info().await.unwrap().unwrap();
    assert_eq!((info.stalls, info.failed), (1, 0));
    assert_eq!(info.history[0].kind, AttemptKind::Stalled);
}

/// Turning the clock by more than a lease is no reason to take a job from a worker that lives.
#[tokio::test(flavor = "multi_thread")]
async fn g6_a_live_worker_keeps_its_job_when_the_clock_jumps() {
    let (oxcart, queue) = queue();
    let gate = Arc::new(Semaphore::new(0));
    let patient = {
        let gate = Arc::clone(&gate);
        move |_: Task, _: Context| {
            let gate = Arc::clone(&gate);
            async move {
                let _ = gate.acquire().await?;
                Ok::<u32, Failure>(1)
            }
        }
    };
    let sent = queue.enqueue(Task::HangOnce).await.unwrap();
    let builder = Worker::builder(&queue).handle::<Task, (Context,)>(patient);
    let started = Arc::new(Notify::new());
    let told = Arc::clone(&started);
    let builder = builder
        .lease(Duration::from_secs(15))
        .on_event(move |event| {
            if matches!(event, WorkerEvent::Started(_)) {
                told.notify_one();
            }
        });
    let running = tokio::spawn(builder.build().unwrap().run_until(std::future::pending()));
    started.notified().await;
    oxcart.advance_time(HOUR);
    // Two rounds of recovery, and one of extending: only time shows that nothing happens.
    tokio::time::sleep(Duration::from_secs(9)).await;
    gate.add_permits(1);
    assert_eq!(timeout(SOON, sent.result()).await.unwrap().unwrap(), 1);
    let info = sent.info().await.unwrap().unwrap();
    assert_eq!(info.stalls, 0);
    running.abort();
}

#[tokio::test]
async fn events_are_told_in_memory_too() {
    let (_, queue) = queue();
    let mut events = queue.events().await.unwrap();
    let sent = queue.enqueue(Task::Say(1)).await.unwrap();
    worker(&queue).build().unwrap().drain().await;
    let id = sent.id().clone();
    let expected = [
        EventKind::Added(id.clone()),
        EventKind::Active(id.clone()),
        EventKind::Completed(id),
        EventKind::Drained,
    ];
    for kind in expected {
        let event = timeout(SOON, events.next()).await.unwrap().unwrap();
        assert_eq!(event.kind, kind);
    }
    assert_eq!(queue.name(), "test");
}

#[tokio::test]
async fn nothing_is_shared_and_queues_are_listed() {
    let (oxcart, queue) = queue();
    queue.enqueue(Task::Say(1)).await.unwrap();
    let twin = oxcart.queue("test").unwrap();
    assert_eq!(twin.counts().await.unwrap().waiting, 1);
    drop((queue, twin));
    let again = oxcart.queue("test").unwrap();
    assert_eq!(again.counts().await.unwrap().waiting, 1, "it stays");
    // The producer's task puts the queue on the list behind its first call.
    tokio::task::yield_now().await;
    assert_eq!(oxcart.queues().await.unwrap(), ["test"]);
    let (_, other) = self::queue();
    assert_eq!(other.counts().await.unwrap().waiting, 0);
}

#[test]
fn limits_are_checked_in_memory_too() {
    let refused = Oxcart::builder().namespace("a b").in_memory();
    assert!(refused.err().unwrap().is_invalid());
    assert!(Oxcart::builder().payload_max(10).in_memory().is_ok());
}
