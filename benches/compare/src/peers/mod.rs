//! One adapter per queue: its documented fast path, in a process of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

pub(crate) mod apalis;
pub(crate) mod bullmq;
pub(crate) mod oxana;
pub(crate) mod oxcart;
pub(crate) mod sidekiq;
pub(crate) mod streams;

/// The name of the queue, or what a peer calls it.
pub(crate) const QUEUE: &str = "bench";

/// What a job carries: about 120 bytes in JSON, as jobs usually do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Payload {
    pub(crate) user: u64,
    pub(crate) text: String,
}

impl Payload {
    pub(crate) fn new() -> Self {
        Self {
            user: 1_234_567,
            text: "x".repeat(95),
        }
    }
}

/// What the handler of every peer does.
pub(crate) struct Body {
    pub(crate) wait: Duration,
    /// How many handlers have returned.
    pub(crate) done: AtomicU64,
    /// Where to tell that a handler has begun; only while pick-up is measured.
    pub(crate) begun: Option<UnboundedSender<Instant>>,
}

impl Body {
    pub(crate) async fn run(&self) {
        if let Some(begun) = &self.begun {
            // Nobody listens once the measurement is over.
            let _ = begun.send(Instant::now());
        }
        if !self.wait.is_zero() {
            tokio::time::sleep(self.wait).await;
        }
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// How a worker is to run.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) concurrency: usize,
    /// Keep the last 1,000 completed jobs, or none.
    pub(crate) keep: bool,
    pub(crate) body: Arc<Body>,
}

/// How many completed jobs are kept where some are.
pub(crate) const KEPT: usize = 1_000;

/// What all adapters can do. One that lacks something says so with an error, which ends up beside
/// the dash in the table.
pub(crate) trait Peer: Clone + Send + Sync + 'static {
    fn connect(url: &str) -> impl Future<Output = Result<Self>> + Send;

    /// One job; returns when Redis has it.
    fn add(&self) -> impl Future<Output = Result<()>> + Send;

    /// So many jobs by the peer's bulk call; returns when Redis has all of them.
    fn add_bulk(&self, jobs: usize) -> impl Future<Output = Result<()>> + Send;

    /// So many jobs that are due at this time.
    fn add_due(&self, jobs: usize, due: SystemTime) -> impl Future<Output = Result<()>> + Send;

    /// Starts a worker, which runs until the process ends.
    fn work(&self, work: Work) -> impl Future<Output = Result<()>> + Send;
}

/// For a peer without a bulk call: all at once.
async fn many_at_once<T, E: Into<anyhow::Error>, F: Future<Output = Result<T, E>>>(
    jobs: usize,
    add: impl Fn() -> F,
) -> Result<()> {
    for added in futures::future::join_all((0..jobs).map(|_| add())).await {
        added.map_err(Into::into)?;
    }
    Ok(())
}
