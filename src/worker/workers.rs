//! Several workers that run, and end, together.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::error::{Error, ErrorKind};
use crate::runtime::drop_payload;
use crate::worker::decide::panic_message;
use crate::worker::inner::WorkerInner;
use crate::worker::{Worker, services};

/// Several workers of one process, of the same or of different queues: they run together, and all of them
/// stop gracefully, also if one of them breaks.
///
/// ```no_run
/// use oxcart::{Failure, Job, Oxcart, Worker, Workers};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct SendWelcome {}
/// # impl Job for SendWelcome { const NAME: &'static str = "welcome"; type Output = (); }
/// # #[derive(Serialize, Deserialize)] struct Report {}
/// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
/// # async fn send_welcome(_: SendWelcome) -> Result<(), Failure> { Ok(()) }
/// # async fn report(_: Report) -> Result<(), Failure> { Ok(()) }
///
/// # async fn example() -> Result<(), oxcart::Error> {
/// let oxcart = Oxcart::connect("redis://127.0.0.1/").await?;
/// let (mail, reports) = (oxcart.queue("mail")?, oxcart.queue("reports")?);
/// let mail = Worker::builder(&mail).concurrency(50).handle(send_welcome).build()?;
/// let reports = Worker::builder(&reports).concurrency(2).handle(report).build()?;
///
/// Workers::new([mail, reports]).run_until(oxcart::shutdown_signal()).await?;
/// # Ok(()) }
/// ```
///
/// Workers can be collected from an iterator, too. Several of them may be workers of the same queue.
///
/// Joining the futures of [`Worker::run_until`] with `tokio::try_join!` or `select!` is not the same:
/// when one ends with an error, the others are dropped, and their jobs stay active until their leases
/// run out.
///
/// All workers of a process talk to Redis on one thread of the library's own, and those of one
/// [`Oxcart`](crate::Oxcart) (and its clones) share the connection for everything that is neither a claim,
/// an outcome, a lease, nor the wait for work: a worker adds three connections to it.
#[must_use = "workers do nothing until they are run"]
#[derive(Debug, Default)]
pub struct Workers {
    workers: Vec<Worker>,
}

impl Workers {
    /// These workers.
    pub fn new(workers: impl IntoIterator<Item = Worker>) -> Self {
        workers.into_iter().collect()
    }

    /// And this one.
    #[allow(
        clippy::should_implement_trait,
        reason = "it is no sum: `+` would say less than the word"
    )]
    pub fn add(mut self, worker: Worker) -> Self {
        self.workers.push(worker);
        self
    }

    /// Runs all of them until `shutdown` completes, then stops all of them gracefully, at the same time,
    /// each with the grace period of its own: it takes as long as the slowest takes
    /// ([`Worker::run_until`]).
    ///
    /// A worker that ends with an error, because a part of it broke, stops the others in the same way:
    /// their jobs may finish, and every outcome is stored. A process that is started again then works on
    /// all of its queues.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if there is no worker. Otherwise the first error
    /// that a worker ended with, as [`Worker::run_until`] says; it names the queue. All others are
    /// logged.
    ///
    /// # Cancel safety
    ///
    /// As [`Worker::run_until`], for all of them.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        if self.workers.is_empty() {
            return Err(Error::invalid(
                "there is no worker to run; give one with `Workers::new([worker, ..])` or `.add(worker)`",
            ));
        }
        let stop = CancellationToken::new();
        let running = self.workers.into_iter();
        let running = running.map(|worker| run_one(worker.inner, stop.cancelled()));
        let mut running: FuturesUnordered<_> = running.collect();
        let mut shutdown = pin!(shutdown);
        let mut first = Ok(());
        loop {
            let ended = tokio::select! {
                () = &mut shutdown, if !stop.is_cancelled() => {
                    stop.cancel();
                    continue;
                }
                ended = running.next() => ended,
            };
            match ended {
                None => return first,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    stop.cancel();
                    match first {
                        Ok(()) => first = Err(error),
                        Err(_) => error!(%error, "a further worker ended with an error"),
                    }
                }
            }
        }
    }
}

/// A worker that panics, by a bug, is gone: its handlers are stopped, and its jobs are recovered when their
/// leases run out. The others are not dropped with it.
async fn run_one(
    worker: Arc<WorkerInner>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let queue = worker.queue.clone();
    let running = AssertUnwindSafe(services::run(worker, shutdown)).catch_unwind();
    running.await.unwrap_or_else(|panic| {
        let message = panic_message(panic.as_ref());
        drop_payload(panic);
        let text = format!("the worker for `{}` {message}", queue.name());
        Err(Error::new(ErrorKind::Internal, text))
    })
}

impl FromIterator<Worker> for Workers {
    fn from_iter<T: IntoIterator<Item = Worker>>(workers: T) -> Self {
        let workers = workers.into_iter().collect();
        Self { workers }
    }
}

impl Extend<Worker> for Workers {
    fn extend<T: IntoIterator<Item = Worker>>(&mut self, workers: T) {
        self.workers.extend(workers);
    }
}
