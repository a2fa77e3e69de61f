//! Middleware: what wraps every handler of a worker. One measures, one lets only signed jobs through.
//!
//! `cargo run --example middleware --features memory`; with a Redis it is the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use oxcart::{Backoff, Context, Failure, Job, Middleware, Next, Outcome, Oxcart, State, Worker};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
enum Transfer {
    Pay { cents: u64 },
    Stall,
    Crash,
}

impl Job for Transfer {
    const NAME: &'static str = "transfer";
    type Output = u64;
}

async fn transfer(job: Transfer, bank: State<Bank>) -> Result<u64, Failure> {
    match job {
        Transfer::Pay { cents } if cents > bank.limit => Err("over the limit")?,
        Transfer::Pay { cents } => Ok(cents),
        Transfer::Stall => std::future::pending().await,
        Transfer::Crash => panic!("a bug"),
    }
}

struct Bank {
    limit: u64,
}

/// How many attempts ended in which way, and how long all of them took.
#[derive(Clone, Default)]
struct Metrics {
    by_outcome: Arc<Mutex<BTreeMap<String, (u32, Duration)>>>,
}

impl Metrics {
    fn by_outcome(&self) -> MutexGuard<'_, BTreeMap<String, (u32, Duration)>> {
        self.by_outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Middleware for Metrics {
    async fn run(&self, context: Context, next: Next) -> Outcome {
        let began = Instant::now();
        let outcome = next.run(context).await;
        // Time limits and panics come as outcomes, and a retry is not a death.
        let label = match outcome.error() {
            Some(entry) => format!("{} ({:?})", outcome.as_str(), entry.kind),
            None => outcome.as_str().to_owned(),
        };
        let mut by_outcome = self.by_outcome();
        let (attempts, took) = by_outcome.entry(label).or_default();
        *attempts += 1;
        *took += began.elapsed();
        outcome
    }
}

/// A plain function does as well. This one answers without running the handler.
async fn signed_only(context: Context, next: Next) -> Outcome {
    match context.header("signed-by") {
        Some("the till") => next.run(context).await,
        Some(other) => next.fail(Failure::dead(format!("{other} may not pay"))),
        None => next.fail(Failure::cancel("nobody signed it")),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let metrics = Metrics::default();
    let oxcart = Oxcart::in_memory();
    let bank = oxcart.queue("bank")?;
    let worker = Worker::builder(&bank)
        .state(Bank { limit: 1_000 })
        .wrap(metrics.clone()) // the first one is the outermost: it sees what the second one answers
        .wrap(signed_only)
        .handle(transfer)
        .build()?;

    let signed = |job| bank.enqueue(job).header("signed-by", "the till");
    let paid = signed(Transfer::Pay { cents: 250 }).await?;
    let too_much = Transfer::Pay { cents: 9_999 };
    signed(too_much).attempts(2).backoff(Backoff::NONE).await?;
    let short = Duration::from_millis(20);
    signed(Transfer::Stall).attempts(1).timeout(short).await?;
    signed(Transfer::Crash).attempts(1).await?;
    bank.enqueue(Transfer::Pay { cents: 1 }).await?;
    let forged = bank.enqueue(Transfer::Pay { cents: 1 });
    forged.header("signed-by", "a stranger").await?;

    for ran in worker.drain().await {
        println!("attempt {}: {}", ran.attempt.number, ran.outcome);
    }
    println!("paid {} cents", paid.result().await?);
    for (label, (attempts, took)) in &*metrics.by_outcome() {
        println!("{attempts} x {label}, {} ms", took.as_millis());
    }
    Ok(())
}
