//! rusty-sidekiq.

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Result;
use sidekiq::{Processor, ProcessorConfig, RedisConnectionManager, RedisPool, Worker};

use super::{Body, Payload, Peer, QUEUE, Work};

#[derive(Clone)]
struct Bench {
    body: Arc<Body>,
}

#[async_trait::async_trait]
impl Worker<Payload> for Bench {
    fn opts() -> sidekiq::WorkerOpts<Payload, Self> {
        sidekiq::WorkerOpts::new().queue(QUEUE)
    }

    async fn perform(&self, _: Payload) -> sidekiq::Result<()> {
        self.body.run().await;
        Ok(())
    }
}

#[derive(Clone)]
pub(crate) struct Sidekiq {
    url: String,
    /// For enqueueing; the worker has one of its own, as its README advises.
    pool: RedisPool,
}

async fn pool(url: &str, connections: usize) -> Result<RedisPool> {
    let manager = RedisConnectionManager::new(url)?;
    let size = u32::try_from(connections)?;
    Ok(bb8::Pool::builder().max_size(size).build(manager).await?)
}

impl Peer for Sidekiq {
    async fn connect(url: &str) -> Result<Self> {
        let url = url.to_owned();
        // bb8's default, and as fast with 100 callers as a larger one.
        let pool = pool(&url, 10).await?;
        Ok(Self { url, pool })
    }

    async fn add(&self) -> Result<()> {
        Bench::perform_async(&self.pool, Payload::new()).await?;
        Ok(())
    }

    async fn add_bulk(&self, jobs: usize) -> Result<()> {
        super::many_at_once(jobs, || Bench::perform_async(&self.pool, Payload::new())).await
    }

    async fn add_due(&self, jobs: usize, due: SystemTime) -> Result<()> {
        let delay = due.duration_since(SystemTime::now()).unwrap_or_default();
        let job = || Bench::perform_in(&self.pool, delay, Payload::new());
        super::many_at_once(jobs, job).await
    }

    /// Each worker blocks a connection while it waits for a job.
    async fn work(&self, work: Work) -> Result<()> {
        let pool = pool(&self.url, work.concurrency + 10).await?;
        let config = ProcessorConfig::default().num_workers(work.concurrency);
        let mut processor = Processor::new(pool, vec![QUEUE.to_owned()]).with_config(config);
        processor.register(Bench { body: work.body });
        tokio::spawn(processor.run());
        Ok(())
    }
}
