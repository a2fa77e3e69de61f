//! How fast does a worker settle and claim? It gets through a backlog of jobs that do nothing, from
//! the first claim to the last stored outcome, at several numbers of slots.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use oxcart::{Error, Failure, Retention, State, Worker};
use tokio::sync::Notify;

use support::{Bench, Nothing};

/// How many run at once, and a backlog that takes about a third of a second.
const CASES: [(usize, u64); 4] = [(1, 1_500), (10, 7_000), (100, 30_000), (500, 40_000)];

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

fn claim_settle(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("claim-settle");
    group
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .sample_size(10);
    for (concurrency, backlog) in CASES {
        group.throughput(Throughput::Elements(backlog));
        let id = BenchmarkId::new("concurrency", concurrency);
        group.bench_function(id, |bencher| {
            bencher.iter_custom(|times| {
                let drain = || bench.runtime.block_on(drain(&bench, concurrency, backlog));
                (0..times)
                    .map(|_| drain().expect("the server answers"))
                    .sum()
            });
        });
    }
    group.finish();
}

/// From an idle worker in front of a full queue until it has stopped with every outcome stored.
async fn drain(bench: &Bench, concurrency: usize, backlog: u64) -> Result<Duration, Error> {
    bench.empty();
    let jobs = std::iter::repeat_with(Nothing::new).take(backlog as usize);
    bench.queue.enqueue_many(jobs).await?;
    let tally = Arc::new(Tally {
        left: AtomicU64::new(backlog),
        done: Notify::new(),
    });
    let worker = Worker::builder(&bench.queue)
        .concurrency(concurrency)
        .keep_completed(Retention::Remove)
        .state(Arc::clone(&tally))
        .handle(handle)
        .build()?;
    let started = Instant::now();
    worker.run_until(tally.done.notified()).await?;
    let took = started.elapsed();
    assert_eq!(bench.queue.counts().await?.totals.completed, backlog);
    Ok(took)
}

criterion_group!(benches, claim_settle);
criterion_main!(benches);
