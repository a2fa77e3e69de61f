//! Testing your jobs without a Redis: a queue in memory, a clock that the test turns.
//!
//! `cargo run --example testing --features memory`; in an application, the body of `main` is a
//! `#[tokio::test]`.

use std::time::Duration;

use oxcart::{Failure, Job, JobState, Outcome, Oxcart, Queue, Worker};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Welcome {
    user: u64,
}

impl Job for Welcome {
    const NAME: &'static str = "welcome";
    type Output = ();
}

#[derive(Debug, Serialize, Deserialize)]
struct AskForReview {
    user: u64,
}

impl Job for AskForReview {
    const NAME: &'static str = "ask-for-review";
    type Output = String;
}

/// What is to be tested: welcomes, and asks for a review a week later.
async fn welcome(job: Welcome, mail: Queue) -> Result<(), Failure> {
    let review = AskForReview { user: job.user };
    mail.enqueue(review).delay(WEEK).await?;
    Ok(())
}

async fn ask_for_review(job: AskForReview) -> Result<String, Failure> {
    if job.user == 13 {
        return Err("the mail server hung up".into());
    }
    Ok(format!("asked user {}", job.user))
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // The ten lines.
    let oxcart = Oxcart::in_memory();
    let mail = oxcart.queue("mail")?;
    let worker = Worker::builder(&mail)
        .handle(welcome)
        .handle(ask_for_review)
        .build()?;
    mail.enqueue(Welcome { user: 7 }).await?;
    assert_eq!(worker.drain().await.len(), 1);
    mail.assert_enqueued(|job: &AskForReview| job.user == 7);
    oxcart.advance_time(WEEK);
    assert_eq!(worker.drain().await.len(), 1);
    println!("asked for a review after a week, in no time");

    // Results and failures are read as with Redis.
    let sent = mail.enqueue(AskForReview { user: 8 }).await?;
    worker.drain().await;
    println!("the handler said: {}", sent.result().await?);

    let fails = mail.enqueue(AskForReview { user: 13 }).attempts(2).await?;
    let ran = worker.drain().await;
    let Outcome::Retry { after, .. } = &ran[0].outcome else {
        anyhow::bail!("{ran:?}");
    };
    println!("failed once, and would be tried again soon");
    oxcart.advance_time(*after);
    worker.drain().await;
    let info = fails.info().await?;
    assert_eq!(info.map(|job| job.state), Some(JobState::Dead));
    println!("failed twice, and is dead");
    Ok(())
}
