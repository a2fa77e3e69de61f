//! Jobs that are not wanted any more, come too early, or are to be different: cancelled while they run, when
//! their caller is gone, put off by their handler, and edited.
//!
//! `cargo run --example cancel`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use std::time::Duration;

use oxcart::{Changed, Context, Failure, Job, Oxcart, Worker};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const HOUR: Duration = Duration::from_secs(60 * 60);
const PAGE: Duration = Duration::from_millis(20);

/// An export of so many pages, each of which takes a moment.
#[derive(Serialize, Deserialize)]
struct Export {
    pages: u32,
}

impl Job for Export {
    const NAME: &'static str = "export";
    type Output = u32;
}

async fn export(job: Export, ctx: Context) -> Result<u32, Failure> {
    // The numbers of the day are there when this is asked for the third time.
    let snoozes = ctx.attempt().snoozes;
    if job.pages == 3 && snoozes < 2 {
        println!("  too early ({snoozes} times before)");
        return Err(Failure::snooze(PAGE));
    }
    for page in 0..job.pages {
        tokio::select! {
            () = sleep(PAGE) => {}
            () = ctx.cancellation().cancelled() => {
                let why = ctx.cancel_reason().unwrap_or("the worker stops");
                println!("  stopped at page {page}: {why}");
                return Err("stopped".into()); // if only the worker stops, the job is released: no attempt is burnt
            }
        }
    }
    Ok(job.pages)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-cancel")
        .connect(&url)
        .await?;
    let exports = oxcart.queue("exports")?;
    let stop = CancellationToken::new();
    let worker = Worker::builder(&exports)
        .concurrency(5)
        .snooze_for(HOUR)
        .handle(export)
        .build()?;
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));

    println!("one that runs is cancelled:");
    let long = exports.enqueue(Export { pages: 10_000 }).await?;
    sleep(10 * PAGE).await;
    match long.cancel().reason("the customer has left").await? {
        Changed::Requested => println!("  it is told"),
        other => println!("  it does not run: {other:?}"),
    }
    if let Err(error) = long.result().await {
        println!("=> {error}");
    }

    println!("\none whose caller is gone:");
    let waiting = exports
        .enqueue(Export { pages: 10_000 })
        .result()
        .cancel_on_drop();
    let gone = timeout(20 * PAGE, waiting.into_future()).await;
    println!(
        "=> the caller went on after {:?}: {}",
        20 * PAGE,
        gone.is_err()
    );

    println!("\none that comes too early:");
    let early = exports.enqueue(Export { pages: 3 }).await?;
    let pages = early.result().await?;
    let snoozes = early.info().await?.map_or(0, |info| info.snoozes);
    println!("=> {pages} pages, put off {snoozes} times");

    println!("\none that is edited:");
    let tonight = exports.enqueue(Export { pages: 5 }).delay(HOUR).await?;
    let changed = tonight.edit().payload(&Export { pages: 2 }).now().await?;
    println!("=> {changed:?}: {} pages, at once", tonight.result().await?);
    println!("=> too late: {:?}", tonight.edit().priority(1).await?);

    while exports.counts().await?.left() > 0 {
        sleep(PAGE).await;
    }
    stop.cancel();
    running.await??;
    exports.delete().await?;
    Ok(())
}
