//! An attempt inside of all middleware of its worker.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;

use crate::job::history::cut;
use crate::job::outcome::Outcome;
use crate::job::record::Record;
use crate::service::lease::Lease;
use crate::worker::context::Context;
use crate::worker::decide::{Happened, panicked};
use crate::worker::inner::WorkerInner;
use crate::worker::middleware::{AnyMiddleware, Next, Running, Wrapped};
use crate::worker::run_handler::run_handler;
use crate::worker::terms::Terms;

struct WrappedAttempt {
    worker: Arc<WorkerInner>,
    lease: Arc<Lease>,
    record: Record,
    terms: Terms,
}

impl Wrapped for WrappedAttempt {
    fn middleware(&self) -> &[Box<dyn AnyMiddleware>] {
        &self.worker.middleware
    }

    fn run_handler(&self, context: Context) -> Running<'_> {
        Box::pin(async {
            let happened = match self.lease.is_over() {
                true => Happened::Stopped,
                false => run_handler(&self.worker, &self.record, &self.lease, context).await,
            };
            self.decide(happened)
        })
    }

    fn decide(&self, happened: Happened) -> Outcome {
        self.terms.decide(&self.worker, &self.lease, happened)
    }
}

/// Runs one attempt through all middleware, until it ends or is stopped.
pub(crate) async fn run_wrapped(
    worker: &Arc<WorkerInner>,
    lease: &Arc<Lease>,
    record: Record,
    terms: &Terms,
    context: Context,
) -> Outcome {
    let next = Next::first(Arc::new(WrappedAttempt {
        worker: Arc::clone(worker),
        lease: Arc::clone(lease),
        record,
        terms: terms.clone(),
    }));
    let running = async {
        tokio::select! {
            // A middleware sees that its handler was stopped, and may return at once.
            biased;
            outcome = next.run(context) => bounded(outcome),
            () = lease.stop.cancelled() => terms.decide(worker, lease, Happened::Stopped),
        }
    };
    // The application's code runs also when middleware is dropped because it was stopped.
    match AssertUnwindSafe(running).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(panic) => terms.decide(worker, lease, panicked(panic)),
    }
}

/// A reason that middleware wrote may have any length, so it is cut.
fn bounded(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Cancelled(reason) => Outcome::Cancelled(cut(reason)),
        other => other,
    }
}
