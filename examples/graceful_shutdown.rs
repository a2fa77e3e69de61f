//! A worker that is told to stop: it claims nothing more, gives running jobs time to end, and hands
//! back those that do not, to their old place and without burning an attempt.
//!
//! `cargo run --example graceful_shutdown`, with a Redis at `REDIS_URL` (default
//! `redis://127.0.0.1/`).

use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use oxcart::{Context, Failure, Job, Oxcart, Queue, Worker, WorkerEvent};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

#[derive(Serialize, Deserialize)]
struct Copy {
    file: String,
    takes: Duration,
}

impl Job for Copy {
    const NAME: &'static str = "copy";
    type Output = ();
}

async fn copy(job: Copy, ctx: Context) -> Result<(), Failure> {
    println!("{}: attempt {} begins", job.file, ctx.attempt());
    tokio::select! {
        () = sleep(job.takes) => Ok(()),
        // Not obligatory: a handler that does not listen is stopped at its next await soon after.
        () = ctx.cancellation().cancelled() => {
            println!("{}: time to tidy up", job.file);
            Err("interrupted".into()) // while stopping, this is no failure
        }
    }
}

fn worker(files: &Queue) -> Result<Worker, oxcart::Error> {
    Worker::builder(files)
        .grace(Duration::from_millis(500))
        .handle(copy)
        .on_event(|event| match event {
            WorkerEvent::Completed { id } => println!("  {id} completed"),
            WorkerEvent::Released { id } => println!("  {id} handed back"),
            _ => {}
        })
        .build()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-shutdown")
        .connect(&url)
        .await?;
    let files = oxcart.queue("files")?;
    for (file, ms) in [("short", 300), ("long", 1_500)] {
        let takes = Duration::from_millis(ms);
        files
            .enqueue(Copy {
                file: file.into(),
                takes,
            })
            .await?;
    }

    println!("the first worker, and SIGTERM while it works");
    let running = tokio::spawn(worker(&files)?.run_until(oxcart::shutdown_signal()));
    while files.counts().await?.active < 2 {
        sleep(Duration::from_millis(50)).await;
    }
    raise(Signal::SIGTERM)?; // as a deployment does
    running.await??;
    let counts = files.counts().await?;
    println!(
        "stopped: {} waiting, {} active",
        counts.waiting, counts.active
    );

    println!("the second worker");
    let done = async {
        while files
            .counts()
            .await
            .is_ok_and(|counts| counts.waiting + counts.active > 0)
        {
            sleep(Duration::from_millis(50)).await;
        }
    };
    worker(&files)?.run_until(done).await?;
    println!("stopped: nothing is left");
    Ok(())
}
