//! A dependency is down for a while, and many jobs of many workers call it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use oxcart::{Backoff, Breaker, BreakerSettings, BreakerState, Failure, Oxcart, State, Worker};
use tokio::time::sleep;

use super::{Charge, Dependency, SECOND};
use crate::support::workers::run;
use crate::support::{Server, eventually_async};

/// So many failures open it.
const FAILURES: u32 = 5;
/// A process that knows a breaker as closed hears within this time that it is not; with room for a machine that is busy.
const HEARD: Duration = Duration::from_millis(1_500);

struct Size {
    jobs: usize,
    workers: usize,
    down: Duration,
    open_for: Duration,
    probes: usize,
    drained_within: Duration,
}

const SHORT: Size = Size {
    jobs: 1_000,
    workers: 3,
    down: Duration::from_secs(5),
    open_for: Duration::from_secs(1),
    probes: 2,
    drained_within: Duration::from_secs(30),
};

const FULL: Size = Size {
    jobs: 10_000,
    workers: 8,
    down: Duration::from_secs(60),
    open_for: Duration::from_secs(1),
    probes: 2,
    drained_within: Duration::from_secs(120),
};

fn breaker(oxcart: &Oxcart, size: &Size) -> Breaker {
    let settings = BreakerSettings::new()
        .trips_at(FAILURES, 10 * SECOND)
        .open_for(size.open_for)
        .probes(size.probes as u32)
        .rising(50, 5 * SECOND);
    oxcart
        .breaker("stripe")
        .unwrap()
        .settings(settings)
        .unwrap()
}

async fn charge(
    charge: Charge,
    stripe: State<Breaker>,
    service: State<Dependency>,
) -> Result<(), Failure> {
    stripe.call(|| service.charge(charge.number)).await?;
    Ok(())
}

/// The most that began within one second.
fn most_in_a_second(calls: &[Instant]) -> usize {
    let within = |from: &Instant| {
        calls
            .iter()
            .filter(|at| *at >= from && **at < *from + SECOND)
            .count()
    };
    calls.iter().map(within).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dependency_that_is_down_for_a_while_costs_as_many_attempts_as_open_the_breaker() {
    let is_full = std::env::var("BREAKERS").is_ok_and(|size| size == "full");
    let size = if is_full { FULL } else { SHORT };
    let server = Server::start();
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let queue = oxcart.queue("billing").unwrap();
    let service = Dependency::default();
    let mut workers = Vec::new();
    for _ in 0..size.workers {
        // As in a process of its own: nothing is shared but Redis.
        let oxcart = Oxcart::connect(&server.url()).await.unwrap();
        let builder = Worker::builder(&oxcart.queue("billing").unwrap())
            .concurrency(20)
            .state(breaker(&oxcart, &size))
            .state(service.clone())
            .handle(charge);
        workers.push(run(builder));
    }
    let stripe = breaker(&oxcart, &size);
    let state = async || stripe.info().await.unwrap().state;
    // All have called while it was well.
    let backoff = || Backoff::fixed(Duration::from_millis(100));
    let enqueue = async |numbers: std::ops::Range<usize>| {
        let jobs = numbers.map(|number| queue.enqueue(Charge { number }).backoff(backoff()));
        queue.enqueue_many(jobs).await.unwrap();
    };
    enqueue(0..100).await;
    let left = async || queue.counts().await.unwrap().left();
    eventually_async(SECOND * 20, async || left().await == 0).await;

    service.is_down(true);
    let down_since = Instant::now();
    enqueue(100..100 + size.jobs).await;
    eventually_async(SECOND * 20, async || state().await == BreakerState::Open).await;
    let open_since = Instant::now();
    sleep(size.down.saturating_sub(down_since.elapsed())).await;
    let counts = queue.counts().await.unwrap();
    assert_eq!(counts.totals.completed, 100);
    let failed = service.failed();
    let up_since = Instant::now();
    service.is_down(false);
    eventually_async(size.drained_within, async || left().await == 0).await;
    let drained = up_since.elapsed();

    let totals = queue.counts().await.unwrap().totals;
    assert_eq!(totals.completed, 100 + size.jobs as u64);
    assert_eq!((totals.dead, totals.retried), (0, u64::from(FAILURES)));
    // What comes after the breaker has opened, and before it has closed, are probes.
    let calls = service.calls();
    let probes: Vec<Instant> = calls
        .iter()
        .copied()
        .filter(|at| *at > open_since + HEARD && *at < up_since)
        .collect();
    let most = most_in_a_second(&probes);
    assert!(most <= size.probes, "{most} probes in a second");
    assert!(!probes.is_empty());
    // The first second after that is slow.
    let risen = calls
        .iter()
        .filter(|at| **at >= up_since && **at < up_since + SECOND)
        .count();
    assert!(
        risen <= 80 + size.probes,
        "{risen} calls in the first second"
    );
    let done: BTreeSet<usize> = service
        .inner
        .calls
        .lock()
        .unwrap()
        .iter()
        .map(|(_, number)| *number)
        .collect();
    assert_eq!(done.len(), 100 + size.jobs);
    let info = stripe.info().await.unwrap();
    println!(
        "{} jobs, {} workers, down for {:?}: {} attempts burnt, {failed} calls failed, {} probes, at most {most} in a second; {} snoozes; \
         drained {drained:?} after it was back; opened {} times",
        size.jobs,
        size.workers,
        size.down,
        totals.retried,
        probes.len(),
        totals.snoozed,
        info.opened
    );
    assert_eq!(info.opened, 1);
    for worker in workers {
        worker.stop().await;
    }
}
