//! apalis with apalis-redis.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow};
use apalis::prelude::*;
use apalis_redis::{ConnectionManager, RedisStorage};

use crate::child::PICKUP_CONCURRENCY;

use super::{Body, Payload, Peer, QUEUE, Work};

#[derive(Clone)]
pub(crate) struct Apalis {
    connection: ConnectionManager,
}

impl Apalis {
    fn storage(&self, config: apalis_redis::Config) -> RedisStorage<Payload> {
        RedisStorage::new(self.connection.clone()).with_config(config)
    }

    fn queue(&self) -> RedisStorage<Payload> {
        self.storage(apalis_redis::Config::default().queue(QUEUE))
    }
}

async fn handle(_: Payload, body: Data<Arc<Body>>) -> Result<(), BoxDynError> {
    body.run().await;
    Ok(())
}

impl Peer for Apalis {
    async fn connect(url: &str) -> Result<Self> {
        let connection = apalis_redis::connect(url).await?;
        Ok(Self { connection })
    }

    async fn add(&self) -> Result<()> {
        let pushed = self.queue().push(Payload::new()).await;
        pushed.map_err(|error| anyhow!("{error}"))
    }

    async fn add_bulk(&self, jobs: usize) -> Result<()> {
        let jobs = std::iter::repeat_with(Payload::new).take(jobs).collect();
        let pushed = self.queue().push_bulk(jobs).await;
        pushed.map_err(|error| anyhow!("{error}"))
    }

    async fn add_due(&self, jobs: usize, due: SystemTime) -> Result<()> {
        let at = due.duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        let job = || {
            TaskBuilder::new(Payload::new())
                .run_at_timestamp(at)
                .build()
        };
        let jobs = std::iter::repeat_with(job).take(jobs);
        let pushed = self.queue().push_all(futures::stream::iter(jobs)).await;
        pushed.map_err(|error| anyhow!("{error}"))
    }

    /// Batches as large as its concurrency, tasks on all cores, and polling: otherwise an idle
    /// worker wakes with its heartbeat, every 30 s. An interval that ends while a fetch is under
    /// way can be lost, and all later ones with it. A short one does best under load, where
    /// finished jobs wake the worker as well; an idle worker needs a longer one.
    async fn work(&self, work: Work) -> Result<()> {
        let config = apalis_redis::Config::default()
            .queue(QUEUE)
            .batch_size(work.concurrency);
        let interval = match work.concurrency {
            PICKUP_CONCURRENCY => Duration::from_millis(10),
            _ => Duration::from_millis(1),
        };
        let backend = self.storage(config).poll_with_interval(interval);
        let worker = WorkerBuilder::new("bench")
            .backend(backend)
            .concurrency(work.concurrency)
            .parallelize(tokio::spawn)
            .data(work.body)
            .build(handle);
        // Its future cannot be spawned with an executor of tokio's; blocking a thread on it can.
        let runtime = tokio::runtime::Handle::current();
        std::thread::spawn(move || {
            if let Err(error) = runtime.block_on(worker.run()) {
                eprintln!("apalis' worker ended: {error}");
            }
        });
        Ok(())
    }
}
