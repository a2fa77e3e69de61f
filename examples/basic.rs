//! The smallest whole program: a job, its handler, a worker that runs it.
//!
//! `cargo run --example basic`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use oxcart::{Failure, Job, Oxcart, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// What is stored in Redis until a worker takes it.
#[derive(Serialize, Deserialize)]
struct Greet {
    name: String,
}

impl Job for Greet {
    const NAME: &'static str = "greet";
    type Output = ();
}

/// What a worker does with it. Any error means: try again later.
async fn greet(job: Greet) -> Result<(), Failure> {
    println!("Hello, {}!", job.name);
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-basic")
        .connect(&url)
        .await?;
    let greetings = oxcart.queue("greetings")?;

    // One process enqueues: Redis has the job when this returns.
    let sent = greetings.enqueue(Greet { name: "Ada".into() }).await?;
    println!("enqueued job {}", sent.id());

    // Another one works. A real one would stop on `oxcart::shutdown_signal()`.
    let stop = CancellationToken::new();
    let worker = Worker::builder(&greetings).handle(greet).build()?;
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));

    // A caller can wait for the end of its job.
    sent.result().await?;
    println!("done");

    stop.cancel();
    running.await??;
    Ok(())
}
