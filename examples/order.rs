//! Order: the events of one order run one after the other, also through a failure; other orders go on meanwhile.
//!
//! `cargo run --example order`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use std::time::Duration;

use oxcart::{Backoff, Context, Failure, Job, Oxcart, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Event {
    order: u32,
    what: String,
}

impl Job for Event {
    const NAME: &'static str = "event";
    type Output = ();
}

async fn apply(event: Event, context: Context) -> Result<(), Failure> {
    let Event { order, what } = event;
    if what == "paid" && context.attempt().number == 1 {
        println!("order {order}: the bank does not answer");
        return Err("no answer".into());
    }
    println!("order {order}: {what}");
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-order")
        .connect(&url)
        .await?;
    let events = oxcart.queue("events")?;

    let mut sent = Vec::new();
    for what in ["placed", "paid", "shipped"] {
        for order in [17, 18] {
            let event = Event {
                order,
                what: what.to_owned(),
            };
            sent.push(
                events
                    .enqueue(event)
                    .backoff(Backoff::fixed(Duration::from_millis(300)))
                    .ordered_by(format!("order-{order}"))
                    .await?,
            );
        }
    }
    println!("{} are blocked", events.counts().await?.blocked);

    let stop = CancellationToken::new();
    let worker = Worker::builder(&events)
        .concurrency(10)
        .handle(apply)
        .build()?;
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));
    for event in sent {
        event.result().await?;
    }
    println!("both orders are shipped");

    stop.cancel();
    running.await??;
    Ok(())
}
