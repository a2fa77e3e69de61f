//! What is known of an attempt when it is decided how it ends; and telling the hooks and the log of its end.

use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use crate::claim_check::ticket::Ticket;
use crate::job::attempt::Attempt;
use crate::job::history::{AttemptEntry, Counters};
use crate::job::outcome::Outcome;
use crate::job::record::Record;
use crate::policy::backoff::Backoff;
use crate::policy::retention::Retention;
use crate::service::hooks::WorkerEvent;
use crate::service::lease::Lease;
use crate::store::advance::{Claimed, Settlement};
use crate::time::ServerClock;
use crate::worker::context::Context;
use crate::worker::decide::{Facts, Happened, decide, failed_attempt, snoozed, stopped};
use crate::worker::inner::WorkerInner;

/// What is known of the job when it is decided how its attempt ends.
#[derive(Clone)]
pub(crate) struct Terms {
    clock: ServerClock,
    pub(crate) counters: Counters,
    pub(crate) stalls: u32,
    pub(crate) attempts: u32,
    backoff: Option<Backoff>,
    keep: Option<Retention>,
    /// The object in which the payload is, if it is in a store.
    object: Option<Box<str>>,
    /// Once the attempt has begun.
    begun: Option<(Context, Begin)>,
}

/// The begin of an attempt.
#[derive(Clone, Copy)]
struct Begin {
    at: Instant,
    /// How long the job had waited, if this is its first attempt.
    waited: Option<Duration>,
}

impl Terms {
    /// Before the record is read.
    pub(crate) fn new(claimed: &Claimed, clock: ServerClock) -> Self {
        let counters = claimed.counters.as_deref().map(Counters::decode);
        Self {
            clock,
            counters: counters.and_then(Result::ok).unwrap_or_default(),
            stalls: claimed.stalls,
            attempts: 1,
            backoff: None,
            keep: None,
            object: None,
            begun: None,
        }
    }

    pub(crate) fn read(&mut self, record: &Record) {
        self.attempts = record.attempts;
        self.backoff.clone_from(&record.backoff);
        self.keep = record.keep;
        if record.is_ticket
            && let Ok(ticket) = Ticket::decode(&record.payload)
        {
            self.object = Some(ticket.object.into());
        }
    }

    /// The attempt begins.
    pub(crate) fn begin(&mut self, worker: &WorkerInner, context: &Context) {
        let hooks = &worker.hooks;
        hooks.tell(|_| WorkerEvent::Started(context.attempt().clone()));
        let waited_ms = self
            .clock
            .now_ms()
            .saturating_sub(context.enqueued_at().as_millis());
        let begin = Begin {
            at: Instant::now(),
            waited: self.is_first().then(|| Duration::from_millis(waited_ms)),
        };
        self.begun = Some((context.clone(), begin));
    }

    /// Nothing of the job is known but when it was enqueued.
    fn is_first(&self) -> bool {
        let Counters {
            bounces,
            recorded,
            snoozes,
            has_steps,
            ..
        } = self.counters;
        let has_run = has_steps || self.stalls > 0;
        !has_run && u64::from(bounces) + recorded + u64::from(snoozes) == 0
    }

    pub(crate) fn decide(
        &self,
        worker: &WorkerInner,
        lease: &Lease,
        happened: Happened,
    ) -> Outcome {
        let context = self.begun.as_ref().map(|(context, _)| context);
        let is_saga = context.is_some_and(|context| context.inner.saga.get().is_some());
        match happened {
            // It may have more to undo: what is to be cancelled goes on in another attempt.
            Happened::Stopped if is_saga => stopped(lease.is_lost()),
            happened => decide(happened, &self.facts(worker, lease, self.counters)),
        }
    }

    /// An undo puts itself off.
    pub(crate) fn snoozed(&self, worker: &WorkerInner, lease: &Lease, wait: Duration) -> Outcome {
        snoozed(wait, &self.facts(worker, lease, self.counters))
    }

    /// An attempt to undo a saga has failed, after so many others: it is tried again, if attempts are left.
    pub(crate) fn failed(
        &self,
        worker: &WorkerInner,
        lease: &Lease,
        entry: AttemptEntry,
        wait: Option<Duration>,
        failed: u32,
    ) -> Outcome {
        let counters = Counters {
            failed,
            ..self.counters
        };
        let facts = self.facts(worker, lease, counters);
        failed_attempt(entry, wait, &facts)
    }

    fn facts<'a>(
        &'a self,
        worker: &'a WorkerInner,
        lease: &'a Lease,
        counters: Counters,
    ) -> Facts<'a> {
        Facts {
            attempts: self.attempts,
            backoff: self.backoff.as_ref(),
            counters,
            stalls: self.stalls,
            cancelled: lease.cancel.is_cancelled(),
            lost: lease.is_lost(),
            request: lease.cancel_reason(),
            result_max: worker.queue.inner.setup.payload_max,
            now_ms: self.clock.now_ms(),
            rules: &worker.rules,
            queue: worker.queue.name(),
        }
    }

    /// The attempt has ended. The hooks hear of it when the settlement is stored.
    pub(crate) fn end(&self, worker: &WorkerInner, lease: &Lease, outcome: Outcome) -> Settlement {
        if let Some((context, begin)) = &self.begun {
            let (attempt, ran) = (context.attempt(), begin.at.elapsed());
            log(attempt, &outcome);
            worker
                .counting
                .ended(&attempt.name, &outcome, begin.waited, ran);
            worker
                .metrics
                .ended(&attempt.name, outcome.as_str(), begin.waited, ran);
            worker.hooks.ended(attempt, ran);
        }
        if let Some(object) = &self.object
            && worker.queue.inner.setup.claim_check.is_some()
            && worker.queue.inner.is_object_of(&lease.id, object)
        {
            worker.ended_objects.add(&lease.id, object);
        }
        settlement(lease, outcome, self.keep)
    }
}

pub(crate) fn settlement(lease: &Lease, outcome: Outcome, keep: Option<Retention>) -> Settlement {
    Settlement {
        id: lease.id.clone(),
        fence: lease.fence,
        receipt: lease.receipt.clone(),
        keep,
        is_requested: lease.cancel_reason().is_some(),
        outcome,
        traits: lease.traits.clone(),
    }
}

/// Logs failures and dead jobs: what a person on call looks for first.
fn log(attempt: &Attempt, outcome: &Outcome) {
    let (queue, name) = (attempt.queue.as_str(), attempt.name.as_str());
    let (id, attempt) = (&attempt.id, attempt.number);
    match outcome {
        Outcome::Retry { after, entry } => {
            let error = entry.error.as_str();
            info!(queue, name, %id, attempt, error, ?after, "a job failed and is tried again");
        }
        Outcome::Dead { reason, entry } => {
            let error = entry.error.as_str();
            warn!(queue, name, %id, attempt, error, %reason, "a job is dead");
        }
        Outcome::Bounced { after, entry, .. } => {
            warn!(
                queue,
                name,
                %id,
                attempt,
                error = entry.error,
                ?after,
                "no handler here can take a job, and it waits for a worker that has one"
            );
        }
        Outcome::RateLimited { after } => {
            info!(queue, name, %id, attempt, ?after, "a job was told to wait, and its queue waits");
        }
        Outcome::Completed(_)
        | Outcome::Snoozed { .. }
        | Outcome::Suspended { .. }
        | Outcome::Cancelled(_)
        | Outcome::Compensated(_)
        | Outcome::Released
        | Outcome::LeaseLost => {
            let outcome = outcome.as_str();
            debug!(queue, name, %id, attempt, outcome, "an attempt ended");
        }
    }
}
