//! A worker watches its own tasks: if one of them breaks, by a bug, the worker does not go on
//! half dead. It ends in order, says which one it was, and the jobs are there for others.
//!
//! What breaks them here is a log that panics: it is called everywhere.

mod support;

use std::time::Duration;

use oxcart::{Error, ErrorKind, Queue};
use support::jobs::{Scene, Work};
use support::workers::{drained, run, server_and_queue, worker};
use support::{Server, eventually};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

const SECOND: Duration = Duration::from_secs(1);

/// Panics when something is logged at the level of errors or warnings by this module.
struct Breaks(&'static str);

impl<S: tracing::Subscriber> Layer<S> for Breaks {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        let is_bad = *meta.level() <= tracing::Level::WARN;
        assert!(
            !is_bad || meta.target() != self.0,
            "the log of {} broke",
            self.0
        );
    }
}

/// From here on, and on this thread.
fn break_log_of(module: &'static str) -> DefaultGuard {
    tracing::subscriber::set_default(tracing_subscriber::registry().with(Breaks(module)))
}

/// Runs a worker on this thread until `trouble` has broken it; what it ended with.
async fn broken(server: &Server, queue: &Queue, trouble: impl FnOnce(&Server)) -> Error {
    let scene = Scene::new();
    let running = run(worker(queue, &scene).lease(2 * SECOND).grace(SECOND));
    let ids = queue.enqueue_many(vec![Work::sleep(SECOND / 2); 5]).await;
    assert_eq!(ids.unwrap().len(), 5);
    eventually(10 * SECOND, || scene.running().len() == 5).await;
    trouble(server);
    eventually(30 * SECOND, || !running.is_running()).await;
    running.try_stop().await.unwrap_err()
}

/// Another worker does what is left.
async fn assert_nothing_is_lost(queue: &Queue) {
    let scene = Scene::new();
    let healthy = run(worker(queue, &scene).lease(2 * SECOND));
    let counts = drained(queue, 60 * SECOND).await;
    assert_eq!((counts.totals.completed, counts.dead), (5, 0));
    healthy.stop().await;
}

#[tokio::test]
async fn g1_a_worker_with_a_broken_lane_ends_and_says_so() {
    let (server, queue) = server_and_queue().await;
    let guard = break_log_of("oxcart::worker::pump");
    let error = broken(&server, &queue, |server| {
        // The next call of the lane cannot be carried out, which it logs.
        server.cli(&["SET", "oxcart:{work}:calls", "garbage"]);
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Internal, "{error:?}");
    assert!(error.to_string().contains("a lane"), "{error}");
    drop(guard);
    server.cli(&["DEL", "oxcart:{work}:calls"]);
    assert_nothing_is_lost(&queue).await;
}

#[tokio::test]
async fn g1_a_worker_with_a_broken_background_task_ends_and_says_so() {
    let (server, queue) = server_and_queue().await;
    let guard = break_log_of("oxcart::worker::waker");
    let error = broken(&server, &queue, |server| {
        // Whoever waits for work is told that the key is none to wait at, which it logs.
        server.cli(&["DEL", "oxcart:{work}:wake"]);
        server.cli(&["SET", "oxcart:{work}:wake", "garbage"]);
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Internal, "{error:?}");
    assert!(error.to_string().contains("a background task"), "{error}");
    drop(guard);
    server.cli(&["DEL", "oxcart:{work}:wake"]);
    assert_nothing_is_lost(&queue).await;
}
