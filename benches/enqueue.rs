//! How fast do jobs get into a queue? One after the other, from many callers, and in bulk.

mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use oxcart::Queue;
use tokio::task::JoinSet;

use support::{Bench, Nothing};

const CALLERS: u64 = 100;
const BULK: usize = 1_000;

fn enqueue(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("enqueue");
    group.warm_up_time(Duration::from_secs(1)).sample_size(30);

    group.throughput(Throughput::Elements(1));
    group.bench_function("one after the other", |bencher| {
        bencher.iter_custom(|times| measure(&bench, one_after_the_other(&bench.queue, times)));
    });

    group.throughput(Throughput::Elements(CALLERS));
    group.bench_function("100 callers in flight", |bencher| {
        bencher.iter_custom(|times| measure(&bench, many_callers(&bench.queue, times)));
    });

    group.throughput(Throughput::Elements(BULK as u64));
    group.bench_function("bulk of 1,000", |bencher| {
        bencher.iter_custom(|times| measure(&bench, bulk(&bench.queue, times)));
    });
    group.finish();
}

fn measure(bench: &Bench, work: impl Future<Output = ()>) -> Duration {
    bench.empty();
    let started = Instant::now();
    bench.runtime.block_on(work);
    started.elapsed()
}

async fn one_after_the_other(queue: &Queue, times: u64) {
    for _ in 0..times {
        let sent = queue.enqueue(Nothing::new()).await;
        black_box(sent.expect("the server answers"));
    }
}

/// Each caller waits for its own job before it sends the next.
async fn many_callers(queue: &Queue, times: u64) {
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let queue = queue.clone();
        callers.spawn(async move { one_after_the_other(&queue, times).await });
    }
    callers.join_all().await;
}

async fn bulk(queue: &Queue, times: u64) {
    for _ in 0..times {
        let jobs = std::iter::repeat_with(Nothing::new).take(BULK);
        let sent = queue.enqueue_many(jobs).await;
        black_box(sent.expect("the server answers"));
    }
}

criterion_group!(benches, enqueue);
criterion_main!(benches);
