//! BullMQ in Rust, the crate `bullmq-official`.

use std::future::pending;
use std::time::SystemTime;

use anyhow::Result;
use bullmq::options::RedisConnectionOptions;
use bullmq::types::RemoveOnFinish;
use bullmq::worker::CancellationToken;
use bullmq::{BulkJob, Job, JobOptions, Queue, QueueOptions, Worker, WorkerOptions};

use super::{KEPT, Payload, Peer, QUEUE, Work};

#[derive(Clone)]
pub(crate) struct BullMq {
    queue: Queue,
    connection: RedisConnectionOptions,
}

impl Peer for BullMq {
    async fn connect(url: &str) -> Result<Self> {
        let connection = RedisConnectionOptions::new().url(url);
        let options = QueueOptions::new().connection(connection.clone());
        let queue = Queue::with_options(QUEUE, options).await?;
        Ok(Self { queue, connection })
    }

    async fn add(&self) -> Result<()> {
        self.queue.add("bench", Payload::new()).await?;
        Ok(())
    }

    /// `add_bulk` is its fast path: all calls at once over one connection.
    async fn add_bulk(&self, jobs: usize) -> Result<()> {
        let job = || BulkJob::new("bench", Payload::new());
        let jobs = std::iter::repeat_with(job).take(jobs).collect();
        self.queue.add_bulk(jobs).await?;
        Ok(())
    }

    async fn add_due(&self, jobs: usize, due: SystemTime) -> Result<()> {
        let delay = due.duration_since(SystemTime::now()).unwrap_or_default();
        let options = JobOptions::new().delay(delay);
        let job = || BulkJob::with_options("bench", Payload::new(), options.clone());
        let jobs = std::iter::repeat_with(job).take(jobs).collect();
        self.queue.add_bulk(jobs).await?;
        Ok(())
    }

    async fn work(&self, work: Work) -> Result<()> {
        let options = WorkerOptions::new()
            .connection(self.connection.clone())
            .concurrency(work.concurrency)
            .remove_on_complete(match work.keep {
                true => RemoveOnFinish::Count(KEPT),
                false => RemoveOnFinish::Bool(true),
            });
        let body = work.body;
        let processor = move |_: Job, _: CancellationToken| {
            let body = body.clone();
            async move {
                body.run().await;
                Ok(serde_json::Value::Null)
            }
        };
        let worker = Worker::with_options(QUEUE, processor, options).await?;
        tokio::spawn(async move {
            let _worker = worker;
            pending::<()>().await;
        });
        Ok(())
    }
}
