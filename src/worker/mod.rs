//! Running jobs: claim, lease, run, settle; shut down without losing any.

pub(crate) mod alarm;
pub(crate) mod attempt;
pub(crate) mod beginning;
pub(crate) mod board;
pub(crate) mod builder;
pub(crate) mod context;
pub(crate) mod control;
pub(crate) mod decide;
pub(crate) mod drift;
pub(crate) mod extract;
pub(crate) mod handler;
pub(crate) mod heartbeat;
pub(crate) mod hooks;
pub(crate) mod keeper;
pub(crate) mod lane;
pub(crate) mod lease;
pub(crate) mod pump;
pub(crate) mod quietly;
pub(crate) mod reach;
pub(crate) mod run;
pub(crate) mod settings;
pub(crate) mod shutdown;
pub(crate) mod suspect;
pub(crate) mod trouble;
pub(crate) mod waker;

use std::future::Future;
use std::sync::Arc;

use crate::error::Error;
use crate::queue::Queue;
use crate::worker::builder::WorkerBuilder;
use crate::worker::control::WorkerControl;
use crate::worker::pump::Pump;

/// Takes jobs from one queue and runs their handlers, up to a number of them at once.
///
/// ```no_run
/// use oxcart::{Context, Failure, Job, Oxcart, State, Worker};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct SendWelcome { user: u64 }
///
/// impl Job for SendWelcome {
///     const NAME: &'static str = "send-welcome";
///     type Output = ();
/// }
///
/// struct Smtp;
///
/// async fn send_welcome(job: SendWelcome, smtp: State<Smtp>, ctx: Context) -> Result<(), Failure> {
///     ctx.progress(&50).await?;
///     Ok(())
/// }
///
/// # async fn example() -> Result<(), oxcart::Error> {
/// let mail = Oxcart::connect("redis://127.0.0.1/").await?.queue("mail")?;
/// Worker::builder(&mail)
///     .concurrency(50)
///     .state(Smtp)
///     .handle(send_welcome)
///     .build()?
///     .run_until(oxcart::shutdown_signal())
///     .await?;
/// # Ok(()) }
/// ```
///
/// A process can run several: one per queue, joined with `tokio::try_join!`.
#[must_use = "a worker does nothing until it is run"]
pub struct Worker {
    pub(crate) pump: Arc<Pump>,
}

impl Worker {
    /// Settings of a worker for this queue.
    pub fn builder(queue: &Queue) -> WorkerBuilder {
        WorkerBuilder::new(queue.clone())
    }

    pub(crate) fn new(pump: Pump) -> Self {
        Self {
            pump: Arc::new(pump),
        }
    }

    /// A handle by which the worker can be looked at and changed while it runs.
    #[must_use]
    pub fn control(&self) -> WorkerControl {
        WorkerControl::new(Arc::clone(&self.pump))
    }

    /// Runs until `shutdown` completes, then stops gracefully: claims nothing more, lets what
    /// runs finish for the grace period, then fires the cancellation tokens of what is left,
    /// hands those jobs back without burning an attempt, stores every outcome and returns.
    ///
    /// Stopping takes at most the grace period, 6 s for handlers that do not end, and 12 s to
    /// store outcomes when Redis is away.
    ///
    /// Trouble with Redis does not end it; it recovers by itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unknown`](crate::ErrorKind::Unknown) if jobs were left behind, because their
    /// handlers block their thread or their outcomes could not be stored in time: they are
    /// recovered by other workers when their leases run out.
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the thread that keeps the leases
    /// cannot be started, or a part of the worker broke.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops everything at once, as a crash would: what runs is recovered
    /// by other workers when its lease runs out, and counts as stalled.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        run::run(self.pump, shutdown).await
    }
}
