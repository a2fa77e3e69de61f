//! Running jobs: claim, lease, run, settle; shut down without losing any.

pub(crate) mod advance;
pub(crate) mod advance_call;
pub(crate) mod any_handler;
pub(crate) mod attempt;
pub(crate) mod batch;
pub(crate) mod breaker;
pub(crate) mod builder;
pub(crate) mod cancel_requests;
mod children;
pub(crate) mod context;
pub(crate) mod control;
pub(crate) mod decide;
pub(crate) mod extract;
pub(crate) mod handler;
pub(crate) mod handover;
pub(crate) mod heartbeat;
pub(crate) mod inner;
mod job_log;
pub(crate) mod lease_capacity;
pub(crate) mod lease_expiry;
pub(crate) mod lease_renewal;
pub(crate) mod lifecycle;
pub(crate) mod middleware;
pub(crate) mod replies;
pub(crate) mod run_handler;
pub(crate) mod saga;
pub(crate) mod services;
pub(crate) mod shutdown;
pub(crate) mod steps;
pub(crate) mod terms;
pub(crate) mod undoing;
pub(crate) mod wakeups;
pub(crate) mod workers;
pub(crate) mod wrapped;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::error::Error;
use crate::queue::Queue;
use crate::worker::builder::WorkerBuilder;
use crate::worker::control::WorkerControl;
use crate::worker::inner::WorkerInner;

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
/// A process runs several, one per queue, with [`Workers`](crate::Workers).
#[must_use = "a worker does nothing until it is run"]
pub struct Worker {
    pub(crate) inner: Arc<WorkerInner>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("queue", &self.inner.queue.name())
            .field("id", &self.inner.id)
            .finish_non_exhaustive()
    }
}

impl Worker {
    /// Settings of a worker for this queue.
    pub fn builder(queue: &Queue) -> WorkerBuilder {
        WorkerBuilder::new(queue.clone())
    }

    pub(crate) fn new(inner: WorkerInner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// A handle by which the worker can be looked at and changed while it runs.
    #[must_use]
    pub fn control(&self) -> WorkerControl {
        WorkerControl::new(Arc::clone(&self.inner.shared))
    }

    /// Runs until `shutdown` completes, then stops gracefully: claims nothing more, lets what
    /// runs finish for the grace period, then fires the cancellation tokens of what is left,
    /// hands those jobs back without burning an attempt, stores every outcome and returns.
    ///
    /// How long stopping takes at most:
    ///
    /// | | |
    /// |---|---|
    /// | all handlers end within the grace period ([`WorkerBuilder::grace`](crate::WorkerBuilder::grace)), and Redis answers | as long as they take |
    /// | they do, and Redis is away | the grace period and 3 s: as long as it lasts, and for 3 s at least, the worker goes on trying to store their outcomes, for 10 s at most |
    /// | whatever happens | the grace period and 10 s: 5 s for handlers that listen to their token, 1 s to stop the others at their next await, 3 s to store outcomes |
    ///
    /// A second signal while the worker stops ends the grace period at once
    /// ([`shutdown_signal`](crate::shutdown_signal)).
    ///
    /// So the system that stops processes should wait for the grace period and 10 s before it kills them. In
    /// Kubernetes, which waits 30 s by default, use a `grace` of 20 s, or
    /// `terminationGracePeriodSeconds: 40`.
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
    /// by other workers when its lease runs out, and counts as stalled. States, handlers and hooks
    /// of the application are dropped on a thread of their own, or on one of the application's.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        services::run(self.inner, shutdown).await
    }
}
