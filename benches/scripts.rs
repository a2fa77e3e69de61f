//! How much of Redis' time does a script call take? What is shown as time is Redis' own count of
//! it (`INFO commandstats`), for as many jobs as the group is named after; the clients' time and
//! the network are not in it.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use oxcart::{Error, Failure, Retention, State, Worker};
use tokio::sync::Notify;

use support::{Bench, Nothing};

/// Jobs of a call of `enqueue`: one, and as many as one call takes at most.
const ENQUEUED: [usize; 2] = [1, 256];
/// Slots of a worker, and a backlog for it. With one slot a call settles one job and claims one.
const ADVANCED: [(usize, u64); 3] = [(1, 500), (100, 10_000), (500, 20_000)];

fn scripts(criterion: &mut Criterion) {
    let bench = Bench::new();
    enqueue(criterion, &bench);
    advance(criterion, &bench);
}

fn enqueue(criterion: &mut Criterion, bench: &Bench) {
    let mut group = criterion.benchmark_group("scripts/enqueue");
    group.warm_up_time(Duration::from_secs(1)).sample_size(20);
    for jobs in ENQUEUED {
        group.throughput(Throughput::Elements(jobs as u64));
        group.bench_function(BenchmarkId::new("jobs a call", jobs), |bencher| {
            bencher.iter_custom(|times| {
                bench.empty();
                let (_, before) = bench.scripts();
                bench.runtime.block_on(async {
                    for _ in 0..times {
                        let batch = std::iter::repeat_with(Nothing::new).take(jobs);
                        let sending = bench.queue.enqueue_many(batch);
                        sending.await.expect("the server answers");
                    }
                });
                bench.scripts().1 - before
            });
        });
    }
    group.finish();
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

fn advance(criterion: &mut Criterion, bench: &Bench) {
    let mut group = criterion.benchmark_group("scripts/advance");
    group
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .sample_size(10);
    for (slots, backlog) in ADVANCED {
        group.throughput(Throughput::Elements(backlog));
        group.bench_function(BenchmarkId::new("slots", slots), |bencher| {
            bencher.iter_custom(|times| {
                let drain = || bench.runtime.block_on(drain(bench, slots, backlog));
                (0..times)
                    .map(|_| drain().expect("the server answers"))
                    .sum()
            });
        });
    }
    group.finish();
}

/// The time of all calls that it takes to settle and claim a backlog. With one slot each call
/// settles one job and claims another; with more, batches grow by themselves.
async fn drain(bench: &Bench, slots: usize, backlog: u64) -> Result<Duration, Error> {
    bench.empty();
    let jobs = std::iter::repeat_with(Nothing::new).take(backlog as usize);
    bench.queue.enqueue_many(jobs).await?;
    let tally = Arc::new(Tally {
        left: AtomicU64::new(backlog),
        done: Notify::new(),
    });
    let worker = Worker::builder(&bench.queue)
        .concurrency(slots)
        .keep_completed(Retention::Remove)
        .state(Arc::clone(&tally))
        .handle(handle)
        .build()?;
    let (_, before) = bench.scripts();
    worker.run_until(tally.done.notified()).await?;
    Ok(bench.scripts().1 - before)
}

criterion_group!(benches, scripts);
criterion_main!(benches);
