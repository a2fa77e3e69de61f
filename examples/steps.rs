//! A job of several steps: each is done once, and between them the job sleeps for an hour and waits for an answer, without a slot.
//!
//! `cargo run --example steps --features memory`; the clock is that of the queue in memory, which a test turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oxcart::{Context, ErrorKind, Failure, Job, JobState, Outcome, Oxcart, State, Worker};
use serde::{Deserialize, Serialize};

/// Publishes a post: drafts it, lets an hour pass, waits for an approval, and sends it.
#[derive(Debug, Serialize, Deserialize)]
struct Publish {
    title: String,
}

impl Job for Publish {
    const NAME: &'static str = "publish";
    type Output = String;
}

#[derive(Debug, Serialize, Deserialize)]
struct Approval {
    by: String,
}

/// What really happens, counted.
#[derive(Default)]
struct Press {
    drafts: AtomicU32,
    sent: AtomicU32,
}

async fn publish(
    job: Publish,
    press: State<Arc<Press>>,
    context: Context,
) -> Result<String, Failure> {
    let draft: String = context
        .step("draft", async || {
            press.drafts.fetch_add(1, Ordering::SeqCst);
            Ok(format!("{}: once upon a time", job.title))
        })
        .await?;
    context.sleep("cooling-off", HOUR).await?;
    let approval = context.wait_for::<Approval>("approved", 24 * HOUR).await?;
    let Some(approval) = approval else {
        return Err(Failure::cancel("nobody has approved it in a day"));
    };
    context
        .step("send", async || {
            // The first time the line is busy. The next attempt does this step again, and no other.
            match press.sent.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Failure::retry_after(HOUR, "the line is busy")),
                _ => Ok(()),
            }
        })
        .await?;
    Ok(format!("{draft} (approved by {})", approval.by))
}

const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let oxcart = Oxcart::in_memory();
    let posts = oxcart.queue("posts")?;
    let press = Arc::new(Press::default());
    let worker = Worker::builder(&posts)
        .state(Arc::clone(&press))
        .handle(publish)
        .build()?;
    let title = "Oxen".to_owned();
    let job = posts.enqueue(Publish { title }).await?;

    // Nobody can answer before the handler has come there.
    let early = posts.signal(job.id(), "approved", "too early").await;
    assert_eq!(
        early.map_err(|error| error.kind()),
        Err(ErrorKind::NotWaiting)
    );

    let ran = worker.drain().await;
    assert!(matches!(ran[0].outcome, Outcome::Suspended { .. }));
    let state = async || job.info().await.map(|info| info.map(|info| info.state));
    assert_eq!(state().await?, Some(JobState::Delayed));
    assert_eq!(posts.counts().await?.active, 0);
    println!("drafted; the job sleeps, and holds no slot and no lease");

    oxcart.advance_time(HOUR);
    assert_eq!(worker.drain().await.len(), 1);
    assert_eq!(state().await?, Some(JobState::Delayed));
    println!("an hour later it waits for an approval, for a day at most");

    let by = "Ana".to_owned();
    posts.signal(job.id(), "approved", &Approval { by }).await?;
    assert_eq!(state().await?, Some(JobState::Waiting));
    let ran = worker.drain().await;
    assert!(matches!(ran[0].outcome, Outcome::Retry { .. }));
    println!("approved; the line was busy, so the attempt has failed");

    oxcart.advance_time(HOUR);
    worker.drain().await;
    println!("published: {}", job.result().await?);
    assert_eq!(press.drafts.load(Ordering::SeqCst), 1);
    assert_eq!(press.sent.load(Ordering::SeqCst), 2);
    println!("drafted once in 4 attempts");
    Ok(())
}
