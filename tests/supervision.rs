//! A worker watches its own tasks: if one of them breaks, by a bug, the worker does not go on
//! half dead. It ends in order, says which one it was, and the jobs are there for others.
//!
//! What breaks them here is a log that panics: it is called everywhere.

mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oxcart::{Error, ErrorKind, Oxcart, Queue, Workers};
use support::jobs::{Scene, Work};
use support::workers::{drained, run, server_and_queue, worker};
use support::{Server, eventually};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

const SECOND: Duration = Duration::from_secs(1);
/// Long enough for a machine that has much else to do.
const LEASE: Duration = Duration::from_secs(4);

/// The part that panics when it logs something.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// At the level of errors or warnings.
    Module(&'static str),
    /// At any level.
    Chatty(&'static str),
    /// At any level, but only the first time.
    Once(&'static str),
}

/// The log is that of the whole process, so one test at a time breaks a part.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
static BROKEN: Mutex<Option<Part>> = Mutex::new(None);

fn broken_part() -> MutexGuard<'static, Option<Part>> {
    BROKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Breaks;

impl<S: tracing::Subscriber> Layer<S> for Breaks {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        let mut part = broken_part();
        let breaks = match *part {
            None => false,
            Some(Part::Module(module)) => {
                *meta.level() <= tracing::Level::WARN && meta.target() == module
            }
            Some(Part::Chatty(module) | Part::Once(module)) => meta.target() == module,
        };
        if breaks && matches!(*part, Some(Part::Once(_))) {
            *part = None;
        }
        drop(part);
        assert!(!breaks, "the log of {} broke", meta.target());
    }
}

/// No other test breaks a part meanwhile; and the log is one that breaks.
async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    let alone = ONE_AT_A_TIME.lock().await;
    // The first test of the process does it for all.
    let log = tracing_subscriber::registry().with(Breaks);
    let _ = tracing::subscriber::set_global_default(log);
    *broken_part() = None;
    alone
}

/// Runs a worker with five jobs until the broken part has ended it; what it ended with.
async fn broken(
    (server, queue, scene): (&Server, &Queue, &Scene),
    (job, grace): (Work, Duration),
    part: Part,
    trouble: impl FnOnce(&Server),
) -> Error {
    let running = run(worker(queue, scene).lease(LEASE).grace(grace));
    let ids = queue.enqueue_many(vec![job; 5]).await;
    assert_eq!(ids.unwrap().len(), 5);
    eventually(10 * SECOND, || scene.running().len() == 5).await;
    *broken_part() = Some(part);
    trouble(server);
    eventually(30 * SECOND, || !running.is_running()).await;
    *broken_part() = None;
    running.try_stop().await.unwrap_err()
}

/// Another worker does what is left.
async fn assert_nothing_is_lost(queue: &Queue, scene: &Scene) {
    let healthy = run(worker(queue, scene).lease(LEASE));
    let counts = drained(queue, 60 * SECOND).await;
    assert_eq!((counts.totals.completed, counts.dead), (5, 0));
    healthy.stop().await;
}

#[tokio::test]
async fn g1_a_worker_with_a_broken_lane_ends_and_says_so() {
    let _alone = alone().await;
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let stage = (&server, &queue, &scene);
    let job = (Work::sleep(SECOND / 2), SECOND);
    let part = Part::Module("oxcart::worker::advance");
    let error = broken(stage, job, part, |server| {
        // The next call of the lane cannot be carried out, which it logs.
        server.cli(&["SET", "oxcart:{work}:calls", "garbage"]);
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Internal, "{error:?}");
    assert!(error.to_string().contains("a lane"), "{error}");
    server.cli(&["DEL", "oxcart:{work}:calls"]);
    assert_nothing_is_lost(&queue, &scene).await;
}

#[tokio::test]
async fn g1_a_worker_with_a_broken_background_task_ends_and_says_so() {
    let _alone = alone().await;
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let stage = (&server, &queue, &scene);
    let job = (Work::sleep(SECOND / 2), SECOND);
    let part = Part::Module("oxcart::worker::wakeups");
    let error = broken(stage, job, part, |server| {
        // The service that waits for work gets an error for a key of this type, and logs it.
        server.cli(&["DEL", "oxcart:{work}:wake"]);
        server.cli(&["SET", "oxcart:{work}:wake", "garbage"]);
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Internal, "{error:?}");
    assert!(error.to_string().contains("the wait for work"), "{error}");
    server.cli(&["DEL", "oxcart:{work}:wake"]);
    assert_nothing_is_lost(&queue, &scene).await;
}

#[tokio::test]
async fn g2_a_worker_that_keeps_no_leases_any_more_stops_its_handlers_in_time() {
    let _alone = alone().await;
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let stage = (&server, &queue, &scene);
    // Longer than a lease, in a worker that would let them end.
    let job = (Work::sleep(2 * LEASE + SECOND), 60 * SECOND);
    // It says at each round what it extends.
    let part = Part::Chatty("oxcart::worker::lease_renewal");
    let error = broken(stage, job, part, |_| {}).await;
    assert_eq!(error.kind(), ErrorKind::Internal, "{error:?}");
    assert!(
        error.to_string().contains("the renewal of leases"),
        "{error}"
    );
    let runs = scene.runs();
    assert_eq!(runs.len(), 5);
    assert!(runs.iter().all(|run| run.how == "dropped"), "{runs:?}");

    // They were handed back by a worker that still had them.
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.active), (5, 0));
    assert_nothing_is_lost(&queue, &scene).await;
    let totals = queue.counts().await.unwrap().totals;
    assert_eq!((totals.stalled, totals.refused, totals.retried), (0, 0, 0));
    for runs in scene.runs_by_job().values() {
        assert!(
            runs.windows(2)
                .all(|pair| pair[0].ended_ms <= Some(pair[1].began_ms))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_when_one_worker_of_several_breaks_the_others_end_well() {
    const JOBS: usize = 5;
    let _alone = alone().await;
    let server = Server::start();
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let [breaks, holds] = ["breaks", "holds"].map(|name| oxcart.queue(name).unwrap());
    let scene = Scene::new();
    let build = |queue: &Queue| worker(queue, &scene).lease(LEASE).build().unwrap();
    let workers = Workers::new([build(&breaks), build(&holds)]);
    let running = tokio::spawn(workers.run_until(std::future::pending()));
    // Longer than a lease.
    let long = vec![Work::sleep(2 * LEASE); JOBS];
    let sent = holds.enqueue_many(long).await.unwrap();
    eventually(10 * SECOND, || scene.running().len() == JOBS).await;

    *broken_part() = Some(Part::Module("oxcart::worker::advance"));
    server.cli(&["SET", "oxcart:{breaks}:calls", "garbage"]);
    // A job that comes is the reason for a call.
    server.cli(&["ZADD", "oxcart:{breaks}:wake", "0", "now"]);
    let error = running.await.unwrap().unwrap_err();
    *broken_part() = None;
    assert_eq!(error.kind(), ErrorKind::Internal, "{error:?}");
    assert!(error.to_string().contains("`breaks`"), "{error}");
    let counts = holds.counts().await.unwrap();
    assert_eq!((counts.completed, counts.active), (JOBS as u64, 0));
    assert_eq!((counts.totals.stalled, counts.totals.retried), (0, 0));
    for handle in sent {
        let runs = scene.runs_of(handle.id());
        assert!(runs.len() == 1 && runs[0].is_ok(), "{runs:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_when_one_worker_of_several_panics_the_others_end_well() {
    let _alone = alone().await;
    let server = Server::start();
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let queues = ["one", "two", "three"].map(|name| oxcart.queue(name).unwrap());
    let scene = Scene::new();
    let build = |queue: &Queue| worker(queue, &scene).lease(LEASE).build().unwrap();
    let workers = Workers::new(queues.each_ref().map(build));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(workers.run_until(async move { stopped.await.unwrap() }));
    for queue in &queues {
        queue.enqueue(Work::sleep(SECOND)).await.unwrap();
    }
    eventually(10 * SECOND, || scene.running().len() == queues.len()).await;

    // The first that says that it stops.
    *broken_part() = Some(Part::Once("oxcart::worker::lifecycle"));
    stop.send(()).unwrap();
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "{error:?}");
    assert!(error.to_string().contains("panicked"), "{error}");
    let mut completed = 0;
    for queue in &queues {
        completed += queue.counts().await.unwrap().completed;
    }
    assert_eq!(completed, 2, "{error}");
    eventually(5 * SECOND, || scene.running().is_empty()).await;
}
