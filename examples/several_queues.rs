//! Several queues, several types of jobs: a worker per queue, each with its own concurrency, in
//! one process; jobs that know their queue; handlers that enqueue more.
//!
//! `cargo run --example several_queues`, with a Redis at `REDIS_URL` (default
//! `redis://127.0.0.1/`).

use std::time::Duration;

use oxcart::{Context, Failure, Job, Oxcart, State, Worker, Workers};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Resize {
    photo: String,
    width: u32,
}

impl Job for Resize {
    const NAME: &'static str = "resize";
    const QUEUE: &'static str = "photos";
    type Output = ();
}

#[derive(Serialize, Deserialize)]
struct Describe {
    photo: String,
}

impl Job for Describe {
    const NAME: &'static str = "describe";
    const QUEUE: &'static str = "photos";
    type Output = ();
}

#[derive(Serialize, Deserialize)]
struct Notify {
    text: String,
}

impl Job for Notify {
    const NAME: &'static str = "notify";
    const QUEUE: &'static str = "mail";
    type Output = ();
}

/// Handlers take the job and then whatever they need, in any order.
async fn resize(job: Resize, oxcart: State<Oxcart>) -> Result<(), Failure> {
    println!("[photos] {} is {} wide now", job.photo, job.width);
    let text = format!("{} is ready", job.photo);
    oxcart.enqueue(Notify { text }).await?;
    Ok(())
}

async fn describe(job: Describe, ctx: Context) -> Result<(), Failure> {
    let from = ctx.header("from").unwrap_or("nobody");
    println!("[photos] {} shows a cat, says {from}", job.photo);
    Ok(())
}

async fn notify(job: Notify) -> Result<(), Failure> {
    println!("[mail] {}", job.text);
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-queues")
        .connect(&url)
        .await?;
    let (photos, mail) = (oxcart.queue(Resize::QUEUE)?, oxcart.queue(Notify::QUEUE)?);

    // Each goes into the queue that its type names.
    let photo = || "cat.jpg".to_owned();
    let resize_job = Resize {
        photo: photo(),
        width: 640,
    };
    let describe_job = Describe { photo: photo() };
    let resized = oxcart.enqueue(resize_job).await?;
    let described = oxcart.enqueue(describe_job).header("from", "Ada").await?;

    let stop = CancellationToken::new();
    let on_photos = Worker::builder(&photos)
        .concurrency(2)
        .state(oxcart.clone())
        .handle(resize)
        .handle(describe)
        .build()?;
    let on_mail = Worker::builder(&mail)
        .concurrency(50)
        .handle(notify)
        .build()?;
    // A program would run until `oxcart::shutdown_signal()`; this one until all is done.
    let working = Workers::new([on_photos, on_mail]).run_until(stop.cancelled());

    let watch = async {
        resized.result().await?;
        described.result().await?;
        // The notification was enqueued before its photo was done.
        let left = async || mail.counts().await.map(|jobs| jobs.waiting + jobs.active);
        while left().await? > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("all done in {}", oxcart.queues().await?.join(" and "));
        Ok::<_, oxcart::Error>(())
    };
    // Even if the task that watches fails, the workers end well.
    let watch = async {
        let watched = watch.await;
        stop.cancel();
        watched
    };
    let (worked, watched) = tokio::join!(working, watch);
    worked?;
    watched?;
    Ok(())
}
