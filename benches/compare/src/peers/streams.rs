//! Redis Streams without any queue on top: what a queue cannot be cheaper than. Commands are
//! pipelined, a hundred jobs at a time.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use redis::{AsyncConnectionConfig, Cmd, Pipeline};
use tokio::task::JoinSet;

use super::{Body, Payload, Peer, QUEUE, Work};

/// Whether there are events, and thereby which row of the floor it is.
pub(crate) trait Events: Clone + Send + Sync + 'static {
    /// Added for each job that enters, and for each that ends.
    const EVENTS: bool;
}

#[derive(Clone)]
pub(crate) struct Without;
#[derive(Clone)]
pub(crate) struct With;

impl Events for Without {
    const EVENTS: bool = false;
}

impl Events for With {
    const EVENTS: bool = true;
}

#[derive(Clone)]
pub(crate) struct Streams<E> {
    client: redis::Client,
    connection: MultiplexedConnection,
    events: PhantomData<E>,
}

const GROUP: &str = "group";
/// As many as BullMQ keeps.
const EVENTS_KEPT: usize = 10_000;

impl<E: Events> Streams<E> {
    fn add_to(&self, pipe: &mut Pipeline) -> Result<()> {
        let payload = serde_json::to_vec(&Payload::new())?;
        pipe.cmd("XADD").arg(QUEUE).arg("*").arg("job").arg(payload);
        self.event(pipe, "added");
        Ok(())
    }

    fn event(&self, pipe: &mut Pipeline, name: &str) {
        if E::EVENTS {
            pipe.cmd("XADD").arg("events").arg("MAXLEN").arg("~");
            pipe.arg(EVENTS_KEPT).arg("*").arg("event").arg(name);
            pipe.ignore();
        }
    }

    async fn connection(&self) -> Result<MultiplexedConnection> {
        // Blocking reads may take as long as they like.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let client = &self.client;
        Ok(client
            .get_multiplexed_async_connection_with_config(&config)
            .await?)
    }

    /// Reads, runs and acknowledges, for ever: so many jobs at a time.
    async fn consume(self, consumer: String, batch: usize, body: Arc<Body>) -> Result<()> {
        let mut connection = self.connection().await?;
        let mut read = Cmd::new();
        read.arg("XREADGROUP").arg("GROUP").arg(GROUP).arg(consumer);
        read.arg("COUNT").arg(batch).arg("BLOCK").arg(5_000);
        read.arg("STREAMS").arg(QUEUE).arg(">");
        loop {
            let reply: Option<StreamReadReply> = read.query_async(&mut connection).await?;
            let Some(jobs) = reply.and_then(|reply| reply.keys.into_iter().next()) else {
                continue;
            };
            let mut running = JoinSet::new();
            let mut pipe = Pipeline::new();
            for job in jobs.ids {
                let payload: Vec<u8> = job.get("job").context("an entry has a job")?;
                let _: Payload = serde_json::from_slice(&payload)?;
                let body = Arc::clone(&body);
                running.spawn(async move { body.run().await });
                pipe.cmd("XACK").arg(QUEUE).arg(GROUP).arg(&job.id).ignore();
                pipe.cmd("XDEL").arg(QUEUE).arg(&job.id).ignore();
                self.event(&mut pipe, "completed");
            }
            running.join_all().await;
            pipe.query_async::<()>(&mut connection).await?;
        }
    }
}

impl<E: Events> Peer for Streams<E> {
    async fn connect(url: &str) -> Result<Self> {
        let client = redis::Client::open(url)?;
        let connection = client.get_multiplexed_async_connection().await?;
        Ok(Self {
            client,
            connection,
            events: PhantomData,
        })
    }

    async fn add(&self) -> Result<()> {
        self.add_bulk(1).await
    }

    async fn add_bulk(&self, jobs: usize) -> Result<()> {
        let mut pipe = Pipeline::new();
        for _ in 0..jobs {
            self.add_to(&mut pipe)?;
        }
        let mut connection = self.connection.clone();
        let _: redis::Value = pipe.query_async(&mut connection).await?;
        Ok(())
    }

    async fn add_due(&self, _: usize, _: SystemTime) -> Result<()> {
        bail!("streams have no delayed jobs")
    }

    /// Two consumers take turns with Redis and the handlers, each for half of the concurrency.
    async fn work(&self, work: Work) -> Result<()> {
        let mut create = Cmd::new();
        create.arg("XGROUP").arg("CREATE").arg(QUEUE).arg(GROUP);
        create.arg("0").arg("MKSTREAM");
        create.exec_async(&mut self.connection.clone()).await?;
        let consumers = work.concurrency.min(2);
        for consumer in 0..consumers {
            let batch = work.concurrency / consumers;
            let name = format!("consumer-{consumer}");
            let consuming = self.clone().consume(name, batch, Arc::clone(&work.body));
            tokio::spawn(async move {
                if let Err(error) = consuming.await {
                    eprintln!("a consumer ended: {error:#}");
                }
            });
        }
        Ok(())
    }
}
