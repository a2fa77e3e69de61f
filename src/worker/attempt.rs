//! One attempt: decode, run, decide. Ends in exactly one settlement, whatever the handler does.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;
use tracing::{Instrument, debug, debug_span, info, warn};

use crate::id::Fence;
use crate::job::history::{AttemptEntry, AttemptKind, Counters};
use crate::job::outcome::Outcome;
use crate::job::record::Record;
use crate::policy::retention::Retention;
use crate::store::advance::{Claimed, Settlement};
use crate::time::ServerClock;
use crate::worker::context::{Context, ContextInner};
use crate::worker::decide::{Facts, Happened, decide};
use crate::worker::handler::Running;
use crate::worker::hooks::WorkerEvent;
use crate::worker::lease::Lease;
use crate::worker::pump::Pump;
use crate::worker::suspect::SuspectPermit;

/// Runs one claimed job and leaves its settlement on the board, unless the job went back to the
/// queue before this was polled.
///
/// The permit of a suspect is held until the handler has ended.
pub(crate) async fn attend(
    pump: Arc<Pump>,
    claimed: Claimed,
    lease: Arc<Lease>,
    clock: ServerClock,
    permit: Option<SuspectPermit>,
) {
    if !lease.begin() {
        return;
    }
    let attempt = Unsettled {
        pump: Arc::clone(&pump),
        lease: Arc::clone(&lease),
        ended: false,
    };
    let (_, settlement) = attend_to(&pump, claimed, &lease, clock).await;
    drop(permit);
    attempt.end(settlement);
}

/// Runs one claimed job, whatever it does; the name of its type, and how the attempt ended.
pub(crate) async fn attend_to(
    pump: &Arc<Pump>,
    claimed: Claimed,
    lease: &Arc<Lease>,
    clock: ServerClock,
) -> (String, Settlement) {
    let counters = claimed.counters.as_deref().map(Counters::decode);
    let counters = counters.and_then(Result::ok).unwrap_or_default();
    let stalls = claimed.stalls;
    let record = Record::decode(&claimed.record, claimed.payload);
    let (happened, record) = match record {
        // The claim is old news, for a process that was frozen while it was answered: by now
        // another one may have done the job.
        Ok(record) if lease.is_over() => (Happened::Stopped, Some(record)),
        Ok(mut record) => {
            let context = context(pump, lease, &mut record, counters, claimed.stalls);
            // The application's code runs when the job is decoded, when arguments are made, in
            // the handler, and when it is dropped: a panic in any of them ends this attempt.
            let guarded = AssertUnwindSafe(run(pump, &record, lease, context)).catch_unwind();
            let happened = match guarded.await {
                Ok(happened) => happened,
                Err(panic) => Happened::Panicked(panic_message(panic.as_ref())),
            };
            (happened, Some(record))
        }
        Err(error) => (Happened::Undecodable(error), None),
    };
    let facts = Facts {
        attempts: record.as_ref().map_or(1, |record| record.attempts),
        backoff: record.as_ref().and_then(|record| record.backoff.as_ref()),
        counters,
        stalls,
        cancelled: lease.cancel.is_cancelled(),
        result_max: pump.queue.inner.oxcart.payload_max,
        now_ms: clock.now_ms(),
        rules: &pump.rules,
    };
    let outcome = decide(happened, &facts);
    let keep = record.as_ref().and_then(|record| record.keep);
    let name = record.map_or_else(|| "unreadable".to_owned(), |record| record.name);
    log(pump, lease, &name, &outcome);
    (name, settlement(lease, outcome, keep))
}

/// A job that is handed back to its place, untouched.
pub(crate) fn release(lease: &Lease) -> Settlement {
    settlement(lease, Outcome::Released, None)
}

fn settlement(lease: &Lease, outcome: Outcome, keep: Option<Retention>) -> Settlement {
    Settlement {
        id: lease.id.clone(),
        fence: lease.fence,
        receipt: lease.receipt.clone(),
        keep,
        outcome,
    }
}

/// An attempt that has not ended yet. However it ends, it leaves exactly one settlement: a slot
/// and a lease that nobody gives back would be held for as long as the process lives.
struct Unsettled {
    pump: Arc<Pump>,
    lease: Arc<Lease>,
    ended: bool,
}

impl Unsettled {
    fn end(mut self, settlement: Settlement) {
        self.ended = true;
        self.pump.board.ended(settlement);
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if !self.ended {
            let error = "panicked outside of the handler".to_owned();
            let after = Duration::from_secs(1);
            let entry = AttemptEntry::new(AttemptKind::Panic, error);
            let retry = Outcome::Retry { after, entry };
            self.pump.board.ended(settlement(&self.lease, retry, None));
        }
    }
}

/// What a person on call looks for first.
fn log(pump: &Pump, lease: &Lease, name: &str, outcome: &Outcome) {
    let (queue, id) = (pump.queue.name(), &lease.id);
    match outcome {
        Outcome::Retry { after, entry } => {
            info!(queue, name, %id, error = entry.error, ?after, "a job failed and is tried again");
        }
        Outcome::Dead { reason, entry } => {
            warn!(queue, name, %id, error = entry.error, %reason, "a job is dead");
        }
        Outcome::Bounced { after, entry, .. } => {
            warn!(
                queue,
                name,
                %id,
                error = entry.error,
                ?after,
                "no handler here can take a job, and it waits for a worker that has one"
            );
        }
        Outcome::Completed(_) | Outcome::Cancelled(_) | Outcome::Released => {
            debug!(queue, name, %id, "an attempt ended");
        }
    }
}

fn context(
    pump: &Arc<Pump>,
    lease: &Arc<Lease>,
    record: &mut Record,
    counters: Counters,
    stalls: u32,
) -> Context {
    let attempt = counters.failed.saturating_add(1);
    pump.hooks.tell(|| WorkerEvent::Started {
        id: lease.id.clone(),
        attempt,
    });
    Context {
        inner: Arc::new(ContextInner {
            queue: pump.queue.clone(),
            states: Arc::clone(&pump.states),
            lease: Arc::clone(lease),
            attempt,
            attempts: record.attempts,
            stalls,
            enqueued_at: record.enqueued_at,
            headers: std::mem::take(&mut record.headers),
        }),
    }
}

async fn run(pump: &Pump, record: &Record, lease: &Lease, context: Context) -> Happened {
    let Some(handler) = pump.handlers.get(record.name.as_str()) else {
        return Happened::UnknownName(record.name.clone());
    };
    let running = match handler.start(&record.payload, record.dialect, context) {
        Ok(running) => running,
        Err(error) => return Happened::Undecodable(error),
    };
    let Fence(fence) = lease.fence;
    let span = debug_span!("job", name = record.name, id = %lease.id, fence);
    tokio::select! {
        biased;
        happened = within(running, record.timeout).instrument(span) => happened,
        () = lease.stop.cancelled() => Happened::Stopped,
    }
}

async fn within(running: Running, limit: Option<Duration>) -> Happened {
    match limit {
        None => Happened::Returned(running.await),
        Some(limit) => match timeout(limit, running).await {
            Ok(returned) => Happened::Returned(returned),
            Err(_) => Happened::TimedOut(limit),
        },
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("(no message)"))
}
