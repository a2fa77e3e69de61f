//! Chains: a page is fetched, its words are counted, and the count is stored, one after the other; each job gets what the one before
//! it gave back, typed. A job that fails is tried again where it stands, and the chain goes on from there.
//!
//! `cargo run --example chain`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use std::time::Duration;

use oxcart::{Backoff, Chain, Context, Failure, Job, Oxcart, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Fetch {
    url: String,
}

impl Job for Fetch {
    const NAME: &'static str = "fetch";
    type Output = String;
}

#[derive(Serialize, Deserialize)]
struct Count;

impl Job for Count {
    const NAME: &'static str = "count";
    type Output = usize;
}

#[derive(Serialize, Deserialize)]
struct Store {
    table: String,
}

impl Job for Store {
    const NAME: &'static str = "store";
    type Output = String;
}

async fn fetch(job: Fetch, context: Context) -> Result<String, Failure> {
    if context.attempt().number == 1 {
        println!("the line to {} is bad", job.url);
        return Err("no answer".into());
    }
    println!("fetched {}", job.url);
    Ok("a page of some words".to_owned())
}

async fn count(_: Count, context: Context) -> Result<usize, Failure> {
    let page = context.previous::<Fetch>().await?;
    let words = page.split_whitespace().count();
    println!("counted {words} words");
    Ok(words)
}

async fn store(job: Store, context: Context) -> Result<String, Failure> {
    let words = context.previous::<Count>().await?;
    Ok(format!("{words} words stored in `{}`", job.table))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-chain")
        .connect(&url)
        .await?;
    let queue = oxcart.queue("pages")?;

    let url = "https://example.com".to_owned();
    let soon = Backoff::fixed(Duration::from_millis(50));
    let stored = Chain::new(queue.enqueue(Fetch { url }).backoff(soon))
        .then(queue.enqueue(Count))
        .then(queue.enqueue(Store {
            table: "pages".to_owned(),
        }))
        .await?;
    let counts = queue.counts().await?;
    assert_eq!((counts.waiting, counts.blocked), (1, 2));

    let stop = CancellationToken::new();
    let worker = Worker::builder(&queue)
        .handle(fetch)
        .handle(count)
        .handle(store)
        .build()?;
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));

    let result = stored.result().await?;
    println!("{result}");
    assert_eq!(result, "5 words stored in `pages`");

    stop.cancel();
    running.await??;
    Ok(())
}
