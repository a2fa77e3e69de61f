//! What a job costs that uses a feature: the same, counted in the same way, one row for each feature.

use std::time::Duration;

use oxcart::{Batch, Batched, Enqueue, Failure, Queue, QueueSettings, Retention, State, Worker};

use crate::meter::{Budget, Meter, Used};
use crate::support::Server;
use crate::{JOBS, Nothing, Tally, nothing, server_and_queue, tally, work_off_what_is_there};
use std::sync::Arc;
use std::sync::atomic::Ordering;

const HOUR: Duration = Duration::from_secs(3_600);

/// A caller adds jobs one after the other; then they are worked off, one at a time, and removed. Both are counted once no text of a
/// script is sent any more.
async fn row(
    feature: &str,
    with_feature: impl Fn(Enqueue<Nothing>, usize) -> Enqueue<Nothing>,
    enqueue: &Budget,
    process: &Budget,
) {
    let (server, queue) = server_and_queue().await;
    row_in(&server, &queue, feature, with_feature, enqueue, process).await;
}

async fn row_in(
    server: &Server,
    queue: &Queue,
    feature: &str,
    with_feature: impl Fn(Enqueue<Nothing>, usize) -> Enqueue<Nothing>,
    enqueue: &Budget,
    process: &Budget,
) {
    let (added, worked_off) = loop {
        let added = add(server, queue, &with_feature).await;
        let settings = QueueSettings::new().keep_completed(Retention::Nothing);
        let worked_off = work_off_what_is_there(server, queue, 1, settings).await;
        if added.of("eval") + worked_off.of("eval") == 0 {
            break (added, worked_off);
        }
    };
    added.assert_within(&format!("{feature}: enqueue"), enqueue);
    worked_off.assert_within(&format!("{feature}: process"), process);
}

async fn add(
    server: &Server,
    queue: &Queue,
    with_feature: impl Fn(Enqueue<Nothing>, usize) -> Enqueue<Nothing>,
) -> Used {
    let meter = Meter::start(server);
    for n in 0..JOBS {
        with_feature(queue.enqueue(nothing()), n).await.unwrap();
    }
    meter.stop()
}

const BUDGET: Budget = Budget {
    calls: 0.0,
    commands: 0.0,
    received: 0.0,
    sent: 0.0,
};

#[tokio::test]
async fn delayed() {
    row(
        "delayed",
        |job, _| job.delay(Duration::from_millis(1)),
        &BUDGET,
        &BUDGET,
    )
    .await;
}

#[tokio::test]
async fn expiring() {
    row("expiring", |job, _| job.expires_in(HOUR), &BUDGET, &BUDGET).await;
}

/// The jobs of another name are paused.
#[tokio::test]
async fn beside_a_paused_name() {
    let (server, queue) = server_and_queue().await;
    assert!(queue.jobs_named("another").unwrap().pause().await.unwrap());
    row_in(
        &server,
        &queue,
        "paused name",
        |job, _| job,
        &BUDGET,
        &BUDGET,
    )
    .await;
}

/// Batches of 100 jobs, worked off at a concurrency of 100: as many calls as without batches.
#[tokio::test]
async fn in_batches() {
    let (server, queue) = server_and_queue().await;
    let worked_off = loop {
        let jobs = std::iter::repeat_with(nothing).take(JOBS);
        queue.enqueue_many(jobs).await.unwrap();
        let tally = tally();
        let worker = Worker::builder(&queue)
            .concurrency(100)
            .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing))
            .state(Arc::clone(&tally))
            .handle_batch(Batch::up_to(100), handle_batch)
            .build()
            .unwrap();
        let meter = Meter::start(&server);
        worker.run_until(tally.done.notified()).await.unwrap();
        let used = meter.stop();
        if used.of("eval") == 0 {
            break used;
        }
    };
    worked_off.assert_within("batches of 100: process", &BUDGET);
}

async fn handle_batch(
    jobs: Vec<Batched<Nothing>>,
    tally: State<Arc<Tally>>,
) -> Result<(), Failure> {
    if tally.left.fetch_sub(jobs.len(), Ordering::Relaxed) == jobs.len() {
        tally.done.notify_one();
    }
    Ok(())
}
