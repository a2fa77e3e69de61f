//! How much of Redis' time does a script call take? What is shown as time is Redis' own count of
//! it (`INFO commandstats`), for as many jobs as the group is named after; the clients' time and
//! the network are not in it.

mod support;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use support::backlog::bench_each;
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

/// With one slot each call settles one job and claims another; with more, batches grow by
/// themselves.
fn advance(criterion: &mut Criterion, bench: &Bench) {
    let group = criterion.benchmark_group("scripts/advance");
    bench_each(bench, group, "slots", &ADVANCED, |took| took.scripts);
}

criterion_group!(benches, scripts);
criterion_main!(benches);
