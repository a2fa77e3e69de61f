//! oxana.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use oxana::{FromContext, Job, JobContext, Queue, QueueConfig, Storage, Worker};
use serde::{Deserialize, Serialize};

use super::{Body, Payload, Peer, QUEUE, Work};

#[derive(Serialize, Deserialize)]
struct Bench(Payload);

impl Job for Bench {}

#[derive(Serialize)]
struct BenchQueue;

impl Queue for BenchQueue {
    fn to_config() -> QueueConfig {
        QueueConfig::as_static(QUEUE)
    }
}

struct BenchWorker {
    body: Arc<Body>,
}

impl FromContext<Arc<Body>> for BenchWorker {
    fn from_context(body: &Arc<Body>) -> Self {
        Self {
            body: Arc::clone(body),
        }
    }
}

#[async_trait::async_trait]
impl Worker<Bench> for BenchWorker {
    type Error = std::io::Error;

    async fn process(&self, _: Bench, _: &JobContext) -> Result<(), Self::Error> {
        self.body.run().await;
        Ok(())
    }
}

#[derive(Clone)]
pub(crate) struct Oxana {
    storage: Storage,
}

impl Peer for Oxana {
    /// With as many connections as its own benchmark has: each job in work takes some.
    async fn connect(url: &str) -> Result<Self> {
        let builder = Storage::builder().namespace("oxana").max_pool_size(512);
        let storage = builder.build_from_redis_url(url)?;
        // A pool connects when it is first asked.
        storage.enqueued_count(BenchQueue).await?;
        Ok(Self { storage })
    }

    async fn add(&self) -> Result<()> {
        self.storage
            .enqueue(BenchQueue, Bench(Payload::new()))
            .await?;
        Ok(())
    }

    async fn add_bulk(&self, jobs: usize) -> Result<()> {
        let jobs = std::iter::repeat_with(|| Bench(Payload::new())).take(jobs);
        self.storage.enqueue_list(BenchQueue, jobs).await?;
        Ok(())
    }

    /// There is no bulk call for scheduled jobs; many at once is what comes closest.
    async fn add_due(&self, jobs: usize, due: SystemTime) -> Result<()> {
        let job = || {
            self.storage
                .enqueue_at(BenchQueue, Bench(Payload::new()), due.into())
        };
        super::many_at_once(jobs, job).await
    }

    /// `dequeue_timeout` is what an idle queue sleeps for, 10 s unless set: that bounds the pick-up.
    async fn work(&self, work: Work) -> Result<()> {
        let runtime = self
            .storage
            .runtime(work.body)
            .queue_with_concurrency::<BenchQueue>(work.concurrency)
            .worker::<BenchWorker, Bench>()
            .dequeue_timeout(Duration::from_millis(5))
            .shutdown_on(pending());
        tokio::spawn(async move {
            if let Err(error) = runtime.run().await {
                eprintln!("oxana's worker ended: {error}");
            }
        });
        Ok(())
    }
}
