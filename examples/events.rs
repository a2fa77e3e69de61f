//! Events: what happens to every job of a queue, seen from any process, and how to go on after a
//! break without missing any.
//!
//! `cargo run --example events`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use std::time::Duration;

use futures::StreamExt;
use oxcart::{Backoff, Context, EventKind, Failure, Job, Oxcart, Queue, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Bake {
    cake: String,
}

impl Job for Bake {
    const NAME: &'static str = "bake";
    type Output = ();
}

async fn bake(job: Bake, ctx: Context) -> Result<(), Failure> {
    if job.cake == "soufflé" && ctx.attempt().number == 1 {
        return Err("it fell in".into());
    }
    ctx.progress("in the oven").await?;
    Ok(())
}

async fn enqueue(kitchen: &Queue, cake: &str) -> Result<(), oxcart::Error> {
    let job = Bake { cake: cake.into() };
    let soon = Backoff::fixed(Duration::from_millis(50));
    kitchen.enqueue(job).backoff(soon).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-events")
        .connect(&url)
        .await?;
    let kitchen = oxcart.queue("kitchen")?;
    let stop = CancellationToken::new();
    let worker = Worker::builder(&kitchen).handle(bake).build()?;
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));

    let mut events = kitchen.events().await?;
    enqueue(&kitchen, "soufflé").await?;
    let mut last_seen = None;
    while let Some(event) = events.next().await {
        let job = event.kind.job_id().map_or("", |id| id.as_str());
        println!("{} {:9} {job}", event.at, event.kind.name());
        last_seen = Some(event.cursor);
        match &event.kind {
            EventKind::Progress(_, Some(value)) => println!("  {}", value.get::<String>()?),
            EventKind::Retrying(_, due) => println!("  next attempt at {due}"),
            EventKind::Drained => break,
            _ => {}
        }
    }

    // While no reader is connected, Redis keeps the events. A cursor can be stored, as text.
    drop(events);
    enqueue(&kitchen, "cheesecake").await?;
    if let Some(cursor) = last_seen {
        println!("somebody else goes on:");
        let mut events = kitchen.events_after(cursor.to_string().parse()?);
        while let Some(event) = events.next().await {
            println!("{} {}", event.at, event.kind.name());
            if event.kind == EventKind::Drained {
                break;
            }
        }
    }

    stop.cancel();
    running.await??;
    Ok(())
}
