//! The idempotency key of an HTTP endpoint: three requests with one key make one charge, and get one answer.
//!
//! `cargo run --example unique`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use std::time::Duration;

use oxcart::{Enqueued, Error, Failure, Job, Oxcart, Queue, Retention, Unique, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Serialize, Deserialize)]
struct Charge {
    cents: u64,
}

impl Job for Charge {
    const NAME: &'static str = "charge";
    type Output = String;
}

async fn charge(job: Charge) -> Result<String, Failure> {
    println!("charged {} cents", job.cents);
    Ok(format!("receipt over {} cents", job.cents))
}

/// `POST /charges` with the header `Idempotency-Key`. Whether it is the first request, a second one while the charge is under
/// way, or one that comes an hour later: the answer is the same.
async fn post(payments: &Queue, idempotency_key: &str, cents: u64) -> Result<String, Error> {
    let once = Unique::by(idempotency_key).for_time(DAY);
    let job = payments
        .enqueue(Charge { cents })
        .unique(once)
        .keep(Retention::For(DAY))
        .await?;
    if job.enqueued() == Enqueued::Duplicate {
        println!("the same request again");
    }
    job.result().within(Duration::from_secs(10)).await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-unique")
        .connect(&url)
        .await?;
    let payments = oxcart.queue("payments")?;
    let stop = CancellationToken::new();
    let worker = Worker::builder(&payments).handle(charge).build()?;
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));

    let key = format!("order-{}", std::process::id());
    let at_once = tokio::join!(post(&payments, &key, 4200), post(&payments, &key, 4200));
    let later = post(&payments, &key, 4200).await?;
    println!("{}, {}, {later}", at_once.0?, at_once.1?);

    stop.cancel();
    running.await??;
    payments.delete().with_jobs().await?;
    Ok(())
}
