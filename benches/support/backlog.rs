//! A worker that gets through a backlog of jobs that do nothing, for the benches that measure it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, SamplingMode, Throughput};
use oxcart::{Enqueue, Error, Failure, QueueSettings, Retention, State, Worker};
use tokio::sync::Notify;

use super::{Bench, Nothing};

/// What it took.
pub(crate) struct Took {
    /// From an idle worker in front of a full queue until it has stopped with every outcome stored.
    pub(crate) time: Duration,
    /// The time of all script calls meanwhile, by Redis' own count.
    pub(crate) scripts: Duration,
}

struct Tally {
    left: AtomicU64,
    done: Notify,
}

async fn handle(_: Nothing, tally: State<Arc<Tally>>) -> Result<(), Failure> {
    if tally.left.fetch_sub(1, Ordering::Relaxed) == 1 {
        tally.done.notify_one();
    }
    Ok(())
}

/// One benchmark for each number of slots and its backlog, of what `shown` takes out.
pub(crate) fn bench_each(
    bench: &Bench,
    mut group: BenchmarkGroup<'_, WallTime>,
    slots_are: &str,
    cases: &[(usize, u64)],
    shown: impl Fn(Took) -> Duration,
) {
    group
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .sample_size(10);
    for &(slots, backlog) in cases {
        group.throughput(Throughput::Elements(backlog));
        group.bench_function(BenchmarkId::new(slots_are, slots), |bencher| {
            bencher.iter_custom(|times| {
                let drain = || bench.runtime.block_on(drain(bench, slots, backlog));
                (0..times)
                    .map(|_| shown(drain().expect("the server answers")))
                    .sum()
            });
        });
    }
    group.finish();
}

/// Enqueues a backlog, and measures how long a worker takes for it.
pub(crate) async fn drain(bench: &Bench, slots: usize, backlog: u64) -> Result<Took, Error> {
    drain_of(bench, slots, backlog, |job, _| job).await
}

/// The same of jobs that `with` changes, by their number.
pub(crate) async fn drain_of(
    bench: &Bench,
    slots: usize,
    backlog: u64,
    with: impl Fn(Enqueue<Nothing>, u64) -> Enqueue<Nothing>,
) -> Result<Took, Error> {
    bench.empty();
    let jobs = (0..backlog).map(|n| with(bench.queue.enqueue(Nothing::new()), n));
    bench.queue.enqueue_many(jobs).await?;
    let tally = Arc::new(Tally {
        left: AtomicU64::new(backlog),
        done: Notify::new(),
    });
    let worker = Worker::builder(&bench.queue)
        .concurrency(slots)
        .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing))
        .state(Arc::clone(&tally))
        .handle(handle)
        .build()?;
    let (_, before) = bench.scripts();
    let started = Instant::now();
    worker.run_until(tally.done.notified()).await?;
    let time = started.elapsed();
    let scripts = bench.scripts().1 - before;
    assert_eq!(bench.queue.counts().await?.totals.completed, backlog);
    Ok(Took { time, scripts })
}
