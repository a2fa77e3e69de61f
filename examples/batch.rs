//! A batch of letters, with a job for when one of them cannot be sent, one for when none is on its way any more, and one for when all
//! are sent: an operator sends the one that failed again.
//!
//! `cargo run --example batch`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oxcart::{Context, Ended, Failure, Flow, Job, JobId, Oxcart, State, Worker};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Send {
    to: u32,
}

impl Job for Send {
    const NAME: &'static str = "send";
    type Output = ();
}

/// When all went well.
#[derive(Serialize, Deserialize)]
struct Report {
    batch: u32,
}

impl Job for Report {
    const NAME: &'static str = "report";
    type Output = ();
}

/// When the first one is dead.
#[derive(Serialize, Deserialize)]
struct Warn {
    batch: u32,
}

impl Job for Warn {
    const NAME: &'static str = "warn";
    type Output = ();
}

/// When nothing is on its way any more.
#[derive(Serialize, Deserialize)]
struct Close {
    batch: u32,
    report: String,
}

impl Job for Close {
    const NAME: &'static str = "close";
    type Output = ();
}

#[derive(Default)]
struct Post {
    /// Whether it takes letters to number 4.
    is_mended: AtomicBool,
    /// A batch is over.
    over: Notify,
}

async fn send(job: Send, post: State<Arc<Post>>) -> Result<(), Failure> {
    if job.to == 4 && !post.is_mended.load(Ordering::SeqCst) {
        return Err(Failure::dead("there is no number 4"));
    }
    Ok(())
}

async fn warn(job: Warn) -> Result<(), Failure> {
    println!(
        "somebody is told: a letter of batch {} cannot be sent",
        job.batch
    );
    Ok(())
}

async fn close(job: Close, context: Context, post: State<Arc<Post>>) -> Result<(), Failure> {
    let letters = context.queue().children(&JobId::new(job.report)?).await?;
    let ended = letters.iter().filter_map(|letter| letter.ended.as_ref());
    let (sent, dead): (Vec<_>, Vec<_>) = ended.partition(|ended| **ended == Ended::Completed);
    let (batch, sent, dead) = (job.batch, sent.len(), dead.len());
    println!("batch {batch} is over: {sent} sent, {dead} dead");
    post.over.notify_one();
    Ok(())
}

async fn report(job: Report, context: Context) -> Result<(), Failure> {
    let letters = context.children().await?.outputs::<Send>()?;
    println!(
        "the report of batch {}: {} letters",
        job.batch,
        letters.len()
    );
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-batch")
        .connect(&url)
        .await?;
    let queue = oxcart.queue("letters")?;

    let batch = 7;
    let letters = Flow::new(queue.enqueue(Report { batch }))
        .children((1..=10).map(|to| queue.enqueue(Send { to })));
    let report_id = letters.job_id().to_string();
    let all = letters
        .on_any_failure(queue.enqueue(Warn { batch }))
        .on_complete(queue.enqueue(Close {
            batch,
            report: report_id,
        }))
        .await?;

    let post = Arc::new(Post::default());
    let stop = CancellationToken::new();
    let worker = Worker::builder(&queue)
        .state(Arc::clone(&post))
        .handle(send)
        .handle(warn)
        .handle(close)
        .handle(report)
        .build()?;
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));

    // The batch is over, and its report waits for the letter that is dead.
    post.over.notified().await;
    post.is_mended.store(true, Ordering::SeqCst);
    let replayed = queue.dead_letters().replay().await?;
    println!("{replayed:?}");
    all.result().await?;

    stop.cancel();
    running.await??;
    Ok(())
}
