//! What a job costs that uses a feature: the same, counted in the same way, one row for each feature.

use std::time::Duration;

use oxcart::{
    Batch, Batched, Context, Enqueue, Failure, Queue, QueueSettings, Retention, State, Worker,
    WorkerBuilder,
};

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

const fn budget(calls: f64, commands: f64, received: f64, sent: f64) -> Budget {
    Budget {
        calls,
        commands,
        received,
        sent,
    }
}

#[tokio::test]
async fn delayed() {
    row(
        "delayed",
        |job, _| job.delay(Duration::from_millis(1)),
        &budget(1.0, 9.1, 725.0, 35.2),
        &budget(1.012, 27.4, 925.0, 344.0),
    )
    .await;
}

#[tokio::test]
async fn expiring() {
    row(
        "expiring",
        |job, _| job.expires_in(HOUR),
        &budget(1.0, 19.1, 1_130.0, 35.2),
        &budget(1.012, 32.4, 1_311.0, 366.0),
    )
    .await;
}

/// The jobs of another name are paused. Three commands ask for the types of the keys to which a job of that name would go.
#[tokio::test]
async fn beside_a_paused_name() {
    let (server, queue) = server_and_queue().await;
    assert!(queue.jobs_named("another").unwrap().pause().await.unwrap());
    row_in(
        &server,
        &queue,
        "paused name",
        |job, _| job,
        &budget(1.0, 10.1, 713.0, 35.2),
        &budget(1.012, 34.4, 1_300.0, 346.0),
    )
    .await;
}

/// Jobs that were enqueued together are worked off by a handler of their own. It is counted once no text of a script is sent any more.
async fn work_off(concurrency: usize, handled: impl Fn(WorkerBuilder) -> WorkerBuilder) -> Used {
    let (server, queue) = server_and_queue().await;
    loop {
        let jobs = std::iter::repeat_with(nothing).take(JOBS);
        queue.enqueue_many(jobs).await.unwrap();
        let tally = tally();
        let worker = Worker::builder(&queue)
            .concurrency(concurrency)
            .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing))
            .state(Arc::clone(&tally));
        let worker = handled(worker).build().unwrap();
        let meter = Meter::start(&server);
        worker.run_until(tally.done.notified()).await.unwrap();
        let used = meter.stop();
        if used.of("eval") == 0 {
            return used;
        }
    }
}

/// Batches of 100 jobs, worked off at a concurrency of 100: as many calls as without batches.
#[tokio::test]
async fn in_batches() {
    let handled = |worker: WorkerBuilder| worker.handle_batch(Batch::up_to(100), handle_batch);
    let worked_off = work_off(100, handled).await;
    worked_off.assert_within("batches of 100: process", &budget(0.06, 1.2, 110.0, 210.0));
}

/// Each job says one line while it runs: one call more than without. A machine that is busy makes a few calls more, here and below.
#[tokio::test]
async fn that_log() {
    let worked_off = work_off(1, |worker| worker.handle(handle_and_log)).await;
    worked_off.assert_within("logging: process", &budget(2.02, 37.4, 1_425.0, 378.0));
}

/// Each job has two steps: one call more for each.
#[tokio::test]
async fn with_two_steps() {
    let worked_off = work_off(1, |worker| worker.handle(handle_in_steps)).await;
    worked_off.assert_within("two steps: process", &budget(3.02, 45.4, 1_860.0, 412.0));
}

async fn handle_in_steps(
    _: Nothing,
    context: Context,
    tally: State<Arc<Tally>>,
) -> Result<(), Failure> {
    context.step("first", async || Ok(7)).await?;
    context.step("second", async || Ok(())).await?;
    if tally.left.fetch_sub(1, Ordering::Relaxed) == 1 {
        tally.done.notify_one();
    }
    Ok(())
}

async fn handle_and_log(
    _: Nothing,
    context: Context,
    tally: State<Arc<Tally>>,
) -> Result<(), Failure> {
    context.log("half of it is done");
    if tally.left.fetch_sub(1, Ordering::Relaxed) == 1 {
        tally.done.notify_one();
    }
    Ok(())
}

async fn handle_batch(
    jobs: Vec<Batched<Nothing>>,
    tally: State<Arc<Tally>>,
) -> Result<(), Failure> {
    let many = jobs.len();
    jobs.into_iter().for_each(|job| job.complete(()));
    if tally.left.fetch_sub(many, Ordering::Relaxed) == many {
        tally.done.notify_one();
    }
    Ok(())
}
