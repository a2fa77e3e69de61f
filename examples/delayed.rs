//! Jobs for later: after a delay, or at a moment. None starts early, whatever the clocks of the
//! machines say: the clock of Redis decides.
//!
//! `cargo run --example delayed`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use std::time::{Duration, Instant, SystemTime};

use oxcart::{Failure, Job, JobState, Oxcart, State, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Remind {
    about: String,
}

impl Job for Remind {
    const NAME: &'static str = "remind";
    type Output = ();
}

async fn remind(job: Remind, started: State<Instant>) -> Result<(), Failure> {
    let after = started.elapsed().as_secs_f64();
    println!("after {after:.3} s: {}", job.about);
    Ok(())
}

fn about(text: &str) -> Remind {
    Remind {
        about: text.to_owned(),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-delayed")
        .connect(&url)
        .await?;
    let reminders = oxcart.queue("reminders")?;

    let stop = CancellationToken::new();
    let worker = Worker::builder(&reminders)
        .state(Instant::now())
        .handle(remind)
        .build()?;
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));

    let in_a_second = reminders
        .enqueue(about("the tea, after 1 s"))
        .delay(Duration::from_secs(1))
        .await?;
    let at_a_moment = reminders
        .enqueue(about("the cake, at a moment 2 s ahead"))
        .at(SystemTime::now() + Duration::from_secs(2))
        .await?;
    let now = reminders.enqueue(about("the oven, now")).await?;

    if let Some(info) = in_a_second.info().await? {
        assert_eq!(info.state, JobState::Delayed);
        let wait = info.due_at.map(|due| due.duration_since(info.enqueued_at));
        println!(
            "the tea is due {:?} after Redis had it",
            wait.unwrap_or_default()
        );
    }
    for sent in [now, in_a_second, at_a_moment] {
        sent.result().await?;
    }
    println!("all reminded");

    stop.cancel();
    running.await??;
    Ok(())
}
