//! How long does one job take? Into an idle queue, until its handler begins, and until its result
//! is back with the caller that enqueued it.

mod support;

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use oxcart::{Failure, State, Worker};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use support::{Bench, Nothing};

const SLOTS: usize = 10;

async fn handle(_: Nothing, begun: State<UnboundedSender<Instant>>) -> Result<(), Failure> {
    begun
        .send(Instant::now())
        .expect("the bench outlives its worker");
    Ok(())
}

fn round_trip(criterion: &mut Criterion) {
    let bench = Bench::new();
    let (begun, mut began) = unbounded_channel::<Instant>();
    let worker = Worker::builder(&bench.queue)
        .concurrency(SLOTS)
        .state(begun)
        .handle(handle)
        .build()
        .expect("the settings are legal");
    let running = bench
        .runtime
        .spawn(worker.run_until(std::future::pending()));

    let mut group = criterion.benchmark_group("round-trip");
    group.warm_up_time(Duration::from_secs(1)).sample_size(50);
    group.bench_function("until the handler begins", |bencher| {
        bencher.iter_custom(|times| {
            bench.runtime.block_on(async {
                let mut took = Duration::ZERO;
                for _ in 0..times {
                    let sent = Instant::now();
                    let sending = bench.queue.enqueue(Nothing::new());
                    sending.await.expect("the server answers");
                    let began = began.recv().await.expect("the worker runs");
                    took += began.saturating_duration_since(sent);
                }
                took
            })
        });
    });
    group.bench_function("until the result is back", |bencher| {
        bencher.iter_custom(|times| {
            bench.runtime.block_on(async {
                let started = Instant::now();
                for _ in 0..times {
                    let request = bench.queue.enqueue(Nothing::new());
                    request.result().await.expect("the job succeeds");
                    began.recv().await.expect("the worker runs");
                }
                started.elapsed()
            })
        });
    });
    group.finish();
    running.abort();
}

criterion_group!(benches, round_trip);
criterion_main!(benches);
