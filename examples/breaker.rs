//! A payment service is down for two seconds. Its breaker opens, the jobs of two workers wait without burning an attempt,
//! a probe finds out that it is back, and the jobs flow again, more of them in each second.
//!
//! `cargo run --example breaker`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use std::io;
use std::time::{Duration, Instant};

use futures::StreamExt;
use oxcart::{Breaker, BreakerSettings, Failure, Job, Oxcart, Queue, State, Worker, Workers};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Serialize, Deserialize)]
struct Charge {
    customer: u32,
}

impl Job for Charge {
    const NAME: &'static str = "charge";
    type Output = ();
}

/// It is down for its first two seconds.
#[derive(Clone)]
struct Payments {
    started: Instant,
}

impl Payments {
    async fn charge(&self, _customer: u32) -> Result<(), io::Error> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        match self.started.elapsed() < 2 * SECOND {
            true => Err(io::Error::other("503 Service Unavailable")),
            false => Ok(()),
        }
    }
}

async fn charge(
    charge: Charge,
    breaker: State<Breaker>,
    payments: State<Payments>,
) -> Result<(), Failure> {
    breaker.call(|| payments.charge(charge.customer)).await?;
    Ok(())
}

/// As one process would make it: the breaker is shared through Redis alone.
fn worker(queue: &Queue, breaker: Breaker, payments: &Payments) -> Result<Worker, oxcart::Error> {
    Worker::builder(queue)
        .state(breaker)
        .state(payments.clone())
        .handle(charge)
        .build()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-breaker")
        .connect(&url)
        .await?;
    let billing = oxcart.queue("billing")?;
    let settings = BreakerSettings::new()
        .trips_at(3, 10 * SECOND)
        .open_for(SECOND)
        .rising(40, 3 * SECOND);
    let breaker = || oxcart.breaker("payments")?.settings(settings);

    let seen = breaker()?;
    seen.delete().await?;
    let mut events = seen.events().await?;
    let payments = Payments {
        started: Instant::now(),
    };
    let started = payments.started;
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            let after = started.elapsed().as_secs_f64();
            println!("{after:.1} s: {:?}", event.kind);
        }
    });

    let stop = CancellationToken::new();
    let workers = [
        worker(&billing, breaker()?, &payments)?,
        worker(&billing, breaker()?, &payments)?,
    ];
    let running = tokio::spawn(Workers::new(workers).run_until(stop.clone().cancelled_owned()));
    let before = billing.counts().await?.totals;
    let charges = (1..=100).map(|customer| Charge { customer });
    for charge in billing.enqueue_many(charges).await? {
        charge.result().await?;
    }
    let totals = billing.counts().await?.totals;
    println!(
        "100 charged; {} attempts failed: those that opened the breaker",
        totals.retried - before.retried
    );
    println!("{:?}", seen.info().await?);

    stop.cancel();
    running.await??;
    Ok(())
}
