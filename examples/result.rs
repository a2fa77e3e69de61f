//! Request and reply: a job's result, typed, from whichever process ran it; and the errors that
//! come instead of one.
//!
//! `cargo run --example result`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use std::time::Duration;

use oxcart::{Failure, Job, Oxcart, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Divide {
    dividend: u64,
    divisor: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Quotient {
    quotient: u64,
    remainder: u64,
}

impl Job for Divide {
    const NAME: &'static str = "divide";
    type Output = Quotient;
}

async fn divide(job: Divide) -> Result<Quotient, Failure> {
    let Some(quotient) = job.dividend.checked_div(job.divisor) else {
        return Err(Failure::dead("nothing can be divided by zero"));
    };
    let remainder = job.dividend % job.divisor;
    Ok(Quotient {
        quotient,
        remainder,
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-result")
        .connect(&url)
        .await?;
    let sums = oxcart.queue("sums")?;
    let request = |dividend, divisor| sums.enqueue(Divide { dividend, divisor });

    // No worker runs yet: the wait has a limit, and the job stays in line.
    let patience = Duration::from_millis(100);
    let sent = request(17, 5).await?;
    match sent.result().within(patience).await {
        Err(error) if error.is_timeout() => println!("not yet: {error}"),
        other => println!("{other:?}"),
    }

    let stop = CancellationToken::new();
    let worker = Worker::builder(&sums).handle(divide).build()?;
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));

    // Another process needs nothing but the id to ask for the result.
    let elsewhere = sums.handle::<Divide>(sent.id().clone());
    println!("17 / 5 = {:?}", elsewhere.result().await?);

    // Enqueue and wait in one go.
    println!("99 / 7 = {:?}", request(99, 7).result().await?);

    // Many at once.
    let (one, two) = tokio::try_join!(request(10, 3).result(), request(20, 3).result())?;
    println!("together: {one:?} and {two:?}");

    // No result: the error says why, with what the handler said last.
    match request(1, 0).result().await {
        Err(error) if error.is_dead() => {
            println!("1 / 0: {error}");
            if let Some(id) = error.job_id() {
                let _ = sums.remove(id).await?;
            }
        }
        other => println!("{other:?}"),
    }

    stop.cancel();
    running.await??;
    Ok(())
}
