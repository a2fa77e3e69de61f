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
struct CopyFile {
    file: String,
    takes: Duration,
}

impl Job for CopyFile {
    const NAME: &'static str = "copy-file";
    type Output = ();
}

async fn copy_file(job: CopyFile, ctx: Context) -> Result<(), Failure> {
    println!("{}: attempt {} begins", job.file, ctx.attempt().number);
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
        .grace(Duration::from_secs(1))
        .handle(copy_file)
        .on_event(|event| {
            if let WorkerEvent::Ended {
                attempt, outcome, ..
            } = event
            {
                println!("  {} {outcome}", attempt.id);
            }
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
    for (file, ms) in [("short", 200), ("long", 3_000)] {
        let takes = Duration::from_millis(ms);
        files
            .enqueue(CopyFile {
                file: file.into(),
                takes,
            })
            .await?;
    }

    println!("the first worker, and SIGTERM while it works");
    let first = worker(&files)?;
    let control = first.control();
    let running = tokio::spawn(first.run_until(oxcart::shutdown_signal()));
    while control.running() == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    sleep(Duration::from_millis(50)).await;
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
