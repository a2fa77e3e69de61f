//! Ours, as the README tells to use it.

use std::future::pending;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Result;
use oxcart::{Failure, Job, Oxcart, Queue, QueueSettings, Retention, State, Worker};
use serde::{Deserialize, Serialize};

use super::{Body, KEPT, Payload, Peer, QUEUE, Work};

#[derive(Serialize, Deserialize)]
struct Bench(Payload);

impl Job for Bench {
    const NAME: &'static str = "bench";
    type Output = ();
}

#[derive(Clone)]
pub(crate) struct Ours {
    queue: Queue,
}

async fn handle(_: Bench, body: State<Arc<Body>>) -> Result<(), Failure> {
    body.run().await;
    Ok(())
}

impl Peer for Ours {
    async fn connect(url: &str) -> Result<Self> {
        let queue = Oxcart::connect(url).await?.queue(QUEUE)?;
        Ok(Self { queue })
    }

    async fn add(&self) -> Result<()> {
        self.queue.enqueue(Bench(Payload::new())).await?;
        Ok(())
    }

    async fn add_bulk(&self, jobs: usize) -> Result<()> {
        let jobs = std::iter::repeat_with(|| Bench(Payload::new())).take(jobs);
        self.queue.enqueue_many(jobs).await?;
        Ok(())
    }

    async fn add_due(&self, jobs: usize, due: SystemTime) -> Result<()> {
        let job = || self.queue.enqueue(Bench(Payload::new())).at(due);
        self.queue
            .enqueue_many(std::iter::repeat_with(job).take(jobs))
            .await?;
        Ok(())
    }

    async fn work(&self, work: Work) -> Result<()> {
        let builder = Worker::builder(&self.queue)
            .concurrency(work.concurrency)
            .state(work.body)
            .handle(handle);
        // Both are what the peers are set to as well; ours keeps a day's by default.
        let builder = match work.keep {
            true => builder.queue_settings(QueueSettings::new().keep_at_most(KEPT as u64)),
            false => {
                builder.queue_settings(QueueSettings::new().keep_completed(Retention::Nothing))
            }
        };
        let worker = builder.build()?;
        tokio::spawn(async move {
            if let Err(error) = worker.run_until(pending()).await {
                eprintln!("oxcart's worker ended: {error}");
            }
        });
        Ok(())
    }
}
