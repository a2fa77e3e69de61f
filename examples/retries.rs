//! When a job fails: retried with a backoff of one's own, cancelled, or dead; how a dead one is
//! looked into and replayed; and how a queue is deleted.
//!
//! `cargo run --example retries`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oxcart::{Backoff, Context, Failure, Job, JobOptions, JobState, Oxcart, State, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Charge {
    card: String,
}

impl Job for Charge {
    const NAME: &'static str = "charge";
    type Output = String;

    /// Every charge is tried three times; the worker knows what `patient` means.
    fn options() -> JobOptions {
        JobOptions::new()
            .attempts(3)
            .backoff(Backoff::named("patient"))
    }
}

#[derive(Default)]
struct Bank {
    open: AtomicBool,
}

async fn charge(job: Charge, bank: State<Arc<Bank>>, ctx: Context) -> Result<String, Failure> {
    println!(
        "{}: attempt {} of {}",
        job.card,
        ctx.attempt().number,
        ctx.attempt().attempts
    );
    match job.card.as_str() {
        "flaky" if ctx.attempt().number < 3 => Err("the bank is busy".into()), // so does `?`
        "cancelled" => Err(Failure::cancel("the customer left")),
        "forged" => Err(Failure::dead("no retry makes this card good")),
        "abroad" if !bank.open.load(Ordering::Relaxed) => {
            let wait = Duration::from_millis(50);
            Err(Failure::retry_after(wait, "the bank is closed"))
        }
        card => Ok(format!("{card} charged")),
    }
}

/// From the number of failures and the last error to the wait.
fn patient(failures: u32, error: &str) -> Duration {
    let wait = Duration::from_millis(100) * failures;
    println!("  after failure {failures} ({error}): again in {wait:?}");
    wait
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-retries")
        .connect(&url)
        .await?;
    let charges = oxcart.queue("charges")?;

    let stop = CancellationToken::new();
    let bank = Arc::new(Bank::default());
    let worker = Worker::builder(&charges)
        .backoff("patient", patient)
        .state(Arc::clone(&bank))
        .handle(charge)
        .build()?;
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));

    for card in ["flaky", "cancelled", "forged", "abroad"] {
        let sent = charges.enqueue(Charge { card: card.into() }).await?;
        match sent.result().await {
            Ok(receipt) => println!("=> {receipt}"),
            Err(error) => println!("=> {error}"),
        }
    }

    println!("\nthe dead letters:");
    bank.open.store(true, Ordering::Relaxed);
    for letter in charges.jobs(JobState::Dead).await?.jobs {
        let job: Charge = letter.payload()?;
        for attempt in &letter.history {
            println!("{}: {}", job.card, attempt.error);
        }
        if job.card == "abroad" {
            // `Changed` says whether it is done; somebody else may have replayed or removed the job by now.
            anyhow::ensure!(charges.replay(&letter.id).await?.is_done());
            let receipt = charges.handle::<Charge>(letter.id).result().await?;
            println!("=> replayed: {receipt}");
        } else {
            anyhow::ensure!(charges.remove(&letter.id).await?.is_done());
            println!("=> removed");
        }
    }

    stop.cancel();
    running.await??;

    // The queue is not needed any more. A job that is left, or a dead letter, would keep it.
    let deleted = charges.delete().await?;
    println!("\nthe queue is deleted, with {} kept jobs", deleted.jobs());
    Ok(())
}
