//! An attempt inside of all middleware of its worker.

use std::mem;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;

use crate::job::history::cut;
use crate::job::outcome::Outcome;
use crate::job::record::Record;
use crate::policy::job_names::finds_its_worker;
use crate::service::lease::Lease;
use crate::time::WAIT_MAX;
use crate::worker::context::Context;
use crate::worker::decide::{Happened, hold_within_bounds, panicked, snoozed_for};
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
            let happened = match self.lease.is_over() || self.lease.stop.is_cancelled() {
                true => Happened::Stopped,
                false => {
                    run_handler(
                        &self.worker,
                        &self.record,
                        &self.lease,
                        context,
                        &self.terms,
                    )
                    .await
                }
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
    // A handler that middleware runs in a task of its own is stopped with its attempt: the lease is not kept any longer.
    let _ends = lease.stop.clone().drop_guard();
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
            outcome = next.run(context) => bounded(outcome, lease.is_lost()),
            () = lease.stop.cancelled() => terms.decide(worker, lease, Happened::Stopped),
        }
    };
    // The application's code runs also when middleware is dropped because it was stopped.
    match AssertUnwindSafe(running).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(panic) => terms.decide(worker, lease, panicked(panic)),
    }
}

/// Middleware can change what it returns, and make some outcomes of its own.
fn bounded(mut outcome: Outcome, is_lost: bool) -> Outcome {
    match &mut outcome {
        Outcome::Cancelled(reason) | Outcome::Compensated(reason) => {
            *reason = cut(mem::take(reason))
        }
        Outcome::Retry { after, entry } => {
            *after = WAIT_MAX.min(*after);
            entry.bound();
        }
        Outcome::Snoozed { after } => *after = snoozed_for(*after),
        Outcome::Bounced { after, entry, name } => {
            *after = WAIT_MAX.min(*after);
            entry.bound();
            name.take_if(|name| !finds_its_worker(name));
        }
        Outcome::Dead { entry, .. } => entry.bound(),
        Outcome::RateLimited { after } => *after = hold_within_bounds(*after),
        // As far as is known the worker still has the job, and gives it back.
        Outcome::LeaseLost if !is_lost => return Outcome::Released,
        Outcome::Completed(_)
        | Outcome::Suspended { .. }
        | Outcome::Released
        | Outcome::LeaseLost => {}
    }
    outcome
}
