//! How fast does a worker settle and claim? It gets through a backlog of jobs that do nothing, from
//! the first claim to the last stored outcome, at several numbers of slots.

mod support;

use criterion::{Criterion, criterion_group, criterion_main};

use support::Bench;
use support::backlog::bench_each;

/// How many run at once, and a backlog that takes about a third of a second.
const CASES: [(usize, u64); 4] = [(1, 1_500), (10, 7_000), (100, 30_000), (500, 40_000)];

fn claim_settle(criterion: &mut Criterion) {
    let bench = Bench::new();
    let group = criterion.benchmark_group("claim-settle");
    bench_each(&bench, group, "concurrency", &CASES, |took| took.time);
}

criterion_group!(benches, claim_settle);
criterion_main!(benches);
