//! Flows: a film is cut into parts, the parts are encoded in parallel, and the film is put together when all of them are done; a poster
//! that cannot be drawn holds nothing up.
//!
//! `cargo run --example flow`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use oxcart::{Child, Context, Ended, Failure, Flow, Job, JobState, OnDeath, Oxcart, Queue, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

const PARTS: u32 = 8;

#[derive(Serialize, Deserialize)]
struct Assemble {
    film: String,
}

impl Job for Assemble {
    const NAME: &'static str = "assemble";
    type Output = String;
}

#[derive(Serialize, Deserialize)]
struct Encode {
    part: u32,
}

impl Job for Encode {
    const NAME: &'static str = "encode";
    type Output = u64;
}

#[derive(Serialize, Deserialize)]
struct Poster;

impl Job for Poster {
    const NAME: &'static str = "poster";
    type Output = String;
}

async fn encode(job: Encode) -> Result<u64, Failure> {
    println!("part {} is encoded", job.part);
    Ok(1_000 + u64::from(job.part))
}

async fn draw(_: Poster) -> Result<String, Failure> {
    Err(Failure::dead("there is no picture"))
}

/// Runs when all of its children have ended.
async fn assemble(job: Assemble, context: Context) -> Result<String, Failure> {
    let children = context.children().await?;
    let bytes = children.outputs::<Encode>()?;
    let posters = children.outputs::<Poster>()?;
    for child in &children {
        if let Some(Ended::Dead(reason)) = &child.ended {
            println!("without `{}`: {reason}", child.name);
        }
    }
    Ok(format!(
        "{}: {} parts, {} bytes, {} posters",
        job.film,
        bytes.len(),
        bytes.iter().sum::<u64>(),
        posters.len()
    ))
}

fn film(queue: &Queue) -> Flow<Assemble> {
    let film = "Metropolis".to_owned();
    let poster = Child::new(queue.enqueue(Poster).attempts(1)).on_death(OnDeath::GoOn);
    Flow::new(queue.enqueue(Assemble { film }))
        .children((0..PARTS).map(|part| queue.enqueue(Encode { part })))
        .child(poster)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-flow")
        .connect(&url)
        .await?;
    let queue = oxcart.queue("films")?;

    // All jobs of the flow in one call, all of them or none.
    let film = film(&queue).await?;
    let waits = film.info().await?.map(|job| job.state);
    assert_eq!(waits, Some(JobState::Blocked));

    let stop = CancellationToken::new();
    let worker = Worker::builder(&queue)
        .concurrency(4)
        .handle(encode)
        .handle(draw)
        .handle(assemble)
        .build()?;
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));

    let result = film.result().await?;
    println!("{result}");
    assert_eq!(result, "Metropolis: 8 parts, 8028 bytes, 0 posters");

    stop.cancel();
    running.await??;
    Ok(())
}
