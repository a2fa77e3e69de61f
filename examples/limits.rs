//! A provider allows five requests a second, and says `429` now and then: the queue has limits that hold for all of its
//! workers together, and a handler that is told to wait holds the queue.
//!
//! `cargo run --example limits`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use oxcart::{
    Context, EventKind, Failure, Job, Oxcart, Queue, QueueSettings, Rate, State, Worker, Workers,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Serialize, Deserialize)]
struct SendText {
    to: String,
}

impl Job for SendText {
    const NAME: &'static str = "send-text";
    type Output = ();
}

/// It has a bad moment at its eighth request.
#[derive(Clone)]
struct Provider {
    started: Instant,
    requests: Arc<AtomicU32>,
}

async fn send_text(
    text: SendText,
    context: Context,
    provider: State<Provider>,
) -> Result<(), Failure> {
    let request = provider.requests.fetch_add(1, Ordering::SeqCst) + 1;
    let after = provider.started.elapsed().as_secs_f64();
    if request == 8 {
        println!("{after:.2} s: 429, retry after 2 s: {}", text.to);
        return Err(Failure::rate_limited(2 * SECOND));
    }
    let attempt = context.attempt().number;
    println!("{after:.2} s: sent to {} (attempt {attempt})", text.to);
    Ok(())
}

fn worker(queue: &Queue, provider: &Provider) -> Result<Worker, oxcart::Error> {
    let five_a_second = QueueSettings::new()
        .rate(Rate::burst(5, SECOND))
        .concurrency(2);
    Worker::builder(queue)
        .queue_settings(five_a_second)
        .state(provider.clone())
        .handle(send_text)
        .build()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-limits")
        .connect(&url)
        .await?;
    let texts = oxcart.queue("texts")?;
    let provider = Provider {
        started: Instant::now(),
        requests: Arc::default(),
    };

    // Two workers, as two processes would run them: the limits hold for both together.
    let stop = CancellationToken::new();
    let workers = Workers::new([worker(&texts, &provider)?, worker(&texts, &provider)?]);
    let running = tokio::spawn(workers.run_until(stop.clone().cancelled_owned()));

    let to = |n: u32| SendText {
        to: format!("+41 {n:02}"),
    };
    let mut events = texts.events().await?;
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let EventKind::Held(until) = event.kind {
                println!("the queue is held until {until}");
            }
        }
    });
    for text in texts.enqueue_many((1..=14).map(to)).await? {
        text.result().await?;
    }
    let set = texts.settings().await?;
    println!(
        "all sent, within {:?} and {:?} at a time",
        set.rate, set.concurrency
    );

    stop.cancel();
    running.await??;
    Ok(())
}
