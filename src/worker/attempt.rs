//! One attempt: decode, run, decide. Ends in exactly one settlement, whatever the handler does.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::time::timeout;
use tracing::{Instrument, debug, debug_span, info, warn};

use crate::id::Fence;
use crate::job::history::Counters;
use crate::job::outcome::Outcome;
use crate::job::record::Record;
use crate::policy::backoff::Backoff;
use crate::policy::retention::Retention;
use crate::store::advance::{Claimed, Settlement};
use crate::time::ServerClock;
use crate::worker::context::{Context, ContextInner};
use crate::worker::decide::{Facts, Happened, decide};
use crate::worker::handler::Running;
use crate::worker::hooks::WorkerEvent;
use crate::worker::lease::Lease;
use crate::worker::pump::Pump;
use crate::worker::quietly::drop_payload;
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
    mut permit: Option<SuspectPermit>,
) {
    if !lease.begin() {
        return;
    }
    if let Some(permit) = &mut permit {
        permit.begin();
    }
    let mut attempt = Unsettled {
        pump: Arc::clone(&pump),
        lease: Arc::clone(&lease),
        terms: Terms::new(&claimed, clock),
        ended: false,
    };
    // The answer to the claim was on its way for so long that the lease might be over before it is
    // renewed for the first time. So the job waits for that.
    let left = pump.config.lease / 2;
    if lease.until() < Instant::now() + left {
        pump.renew.notify_one();
        lease.has(left).await;
    }
    let (_, settlement) = attend_to(&pump, claimed, &lease, &mut attempt.terms).await;
    drop(permit);
    attempt.end(settlement);
}

/// What is known of the job when it is decided how its attempt ends.
pub(crate) struct Terms {
    clock: ServerClock,
    counters: Counters,
    stalls: u32,
    attempts: u32,
    backoff: Option<Backoff>,
    keep: Option<Retention>,
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
        }
    }

    fn read(&mut self, record: &Record) {
        self.attempts = record.attempts;
        self.backoff.clone_from(&record.backoff);
        self.keep = record.keep;
    }

    fn decide(&self, pump: &Pump, lease: &Lease, happened: Happened) -> Settlement {
        let facts = Facts {
            attempts: self.attempts,
            backoff: self.backoff.as_ref(),
            counters: self.counters,
            stalls: self.stalls,
            cancelled: lease.cancel.is_cancelled(),
            result_max: pump.queue.inner.setup.payload_max,
            now_ms: self.clock.now_ms(),
            rules: &pump.rules,
        };
        settlement(lease, decide(happened, &facts), self.keep)
    }
}

/// Runs one claimed job, whatever it does; the name of its type, and how the attempt ended.
pub(crate) async fn attend_to(
    pump: &Arc<Pump>,
    claimed: Claimed,
    lease: &Arc<Lease>,
    terms: &mut Terms,
) -> (String, Settlement) {
    let record = Record::decode(&claimed.record, claimed.payload);
    let (happened, record) = match record {
        Ok(mut record) => {
            terms.read(&record);
            // The process may have been frozen while the claim was answered: by now another worker
            // may have done the job. Or the worker was dropped.
            let happened = if lease.is_over() || lease.stop.is_cancelled() {
                Happened::Stopped
            } else {
                let context = context(pump, lease, &mut record, terms.counters, claimed.stalls);
                guarded(pump, &record, lease, context).await
            };
            (happened, Some(record))
        }
        Err(error) => (Happened::Undecodable(error), None),
    };
    let settlement = terms.decide(pump, lease, happened);
    let name = record.map_or_else(|| "unreadable".to_owned(), |record| record.name);
    log(pump, lease, &name, &settlement.outcome);
    (name, settlement)
}

/// The application's code runs when the job is decoded, when arguments are made, in the handler,
/// and when it is dropped: a panic in any of them ends this attempt, and no more than that. The same
/// holds if the payload of a panic panics when it is dropped.
async fn guarded(pump: &Pump, record: &Record, lease: &Lease, context: Context) -> Happened {
    let running = AssertUnwindSafe(run(pump, record, lease, context)).catch_unwind();
    match running.await {
        Ok(happened) => happened,
        Err(panic) => {
            let message = panic_message(panic.as_ref());
            drop_payload(panic);
            Happened::Panicked(message)
        }
    }
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
    terms: Terms,
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
            let happened = if std::thread::panicking() {
                Happened::Panicked("panicked outside of the handler".to_owned())
            } else {
                // Its runtime was shut down: that is not the job's doing.
                Happened::Stopped
            };
            let settlement = self.terms.decide(&self.pump, &self.lease, happened);
            self.pump.board.ended(settlement);
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

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("(no message)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{JobId, Receipt};
    use crate::job::failure::Failure;
    use crate::job::options::JobOptions;
    use crate::job::outcome::DeadReason;
    use crate::job::record::EncodedRecord;
    use crate::memory::Server;
    use crate::oxcart::Oxcart;
    use crate::worker::Worker;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Stuck;

    impl crate::job::Job for Stuck {
        const NAME: &'static str = "stuck";
        type Output = ();
    }

    fn pump() -> Arc<Pump> {
        let oxcart = Oxcart::builder().build(Server::default().into()).unwrap();
        let queue = oxcart.queue("work").unwrap();
        let worker = Worker::builder(&queue).handle(async |_: Stuck| {
            std::future::pending::<()>().await;
            Ok::<_, Failure>(())
        });
        worker.build().unwrap().pump
    }

    fn claimed(attempts: u32) -> Claimed {
        let mut options = JobOptions::new();
        options.attempts = Some(attempts);
        let payload = crate::codec::encode("a job", &Stuck).unwrap();
        let record = EncodedRecord::new(Stuck::name(), payload, &options, Vec::new());
        Claimed {
            id: JobId::generate(),
            fence: Fence(1),
            receipt: Receipt::new("1 2 worker"),
            record: crate::memory::stored_record(&record, 1_000, 1),
            payload: None,
            counters: None,
            stalls: 0,
            alone: false,
        }
    }

    impl Stuck {
        fn name() -> &'static str {
            <Self as crate::job::Job>::NAME
        }
    }

    /// An attempt whose handler has begun.
    async fn begun(pump: &Arc<Pump>, attempts: u32) -> impl Future<Output = ()> + use<> {
        let work = pump.board.work(0).await.unwrap();
        pump.board.brought(&crate::worker::board::Brought {
            reserved: work.claim,
            settled: 0,
            claimed: 1,
            more: false,
            suspects: false,
            suspects_asked: false,
            unhandled: 0,
            by_name: false,
            made_news: false,
        });
        let claimed = claimed(attempts);
        let lease = Lease::new(&claimed, Instant::now(), pump.config.lease);
        let clock = ServerClock::heard_now(1_000);
        let attempt = attend(Arc::clone(pump), claimed, Arc::new(lease), clock, None);
        let mut attempt = Box::pin(attempt);
        assert!(attempt.as_mut().now_or_never().is_none());
        attempt
    }

    async fn outcome(pump: &Pump) -> Outcome {
        let mut settle = pump.board.work(0).await.unwrap().settle;
        assert_eq!((settle.len(), pump.board.running()), (1, 0));
        settle.remove(0).outcome
    }

    #[tokio::test]
    async fn g1_an_attempt_whose_runtime_is_shut_down_is_handed_back() {
        let pump = pump();
        drop(begun(&pump, 1).await);
        assert_eq!(outcome(&pump).await, Outcome::Released);
    }

    #[tokio::test]
    async fn g1_an_attempt_that_breaks_outside_of_its_handler_counts_as_a_failure() {
        for attempts in [1, 2] {
            let pump = pump();
            let attempt = begun(&pump, attempts).await;
            let broken = std::thread::spawn(move || {
                let _attempt = attempt;
                panic!("as asked");
            });
            assert!(broken.join().is_err());
            match outcome(&pump).await {
                Outcome::Dead { reason, .. } => {
                    assert_eq!((attempts, reason), (1, DeadReason::AttemptsSpent));
                }
                other => assert!(matches!((attempts, other), (2, Outcome::Retry { .. }))),
            }
        }
    }
}
