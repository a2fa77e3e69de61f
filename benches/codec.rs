//! What does a payload cost its process? Encoding it into a request, and decoding it from a stored
//! job, at several sizes. Nothing is sent meanwhile.

mod support;

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use oxcart::{Job, JobInfo};
use serde::{Deserialize, Serialize};

use support::Bench;

/// Text and numbers, as jobs have them.
#[derive(Clone, Serialize, Deserialize)]
struct Order {
    id: u64,
    customer: String,
    lines: Vec<Line>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Line {
    article: String,
    pieces: u32,
    price: f64,
}

impl Job for Order {
    const NAME: &'static str = "order";
    type Output = ();
}

impl Order {
    fn of(lines: usize) -> Self {
        let line = |number: usize| Line {
            article: format!("article number {number:05}"),
            pieces: 3,
            price: 12.5,
        };
        Self {
            id: 1_234_567_890,
            customer: "somebody@example.com".to_owned(),
            lines: (0..lines).map(line).collect(),
        }
    }
}

/// About 100 bytes, 1 KiB and 10 KiB.
const LINES: [usize; 3] = [1, 20, 200];

fn codec(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("codec");
    for lines in LINES {
        let order = Order::of(lines);
        let stored = stored(&bench, &order);
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("encode, lines", lines), |bencher| {
            bencher.iter_batched(
                || order.clone(),
                |order| black_box(bench.queue.enqueue(order)),
                BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new("decode, lines", lines), |bencher| {
            bencher.iter(|| stored.payload::<Order>().expect("it was encoded so"));
        });
    }
    group.finish();
}

fn stored(bench: &Bench, order: &Order) -> JobInfo {
    bench.runtime.block_on(async {
        let sending = bench.queue.enqueue(order.clone());
        let handle = sending.await.expect("the server answers");
        let info = handle.info().await.expect("the server answers");
        info.expect("the job was just added")
    })
}

criterion_group!(benches, codec);
criterion_main!(benches);
