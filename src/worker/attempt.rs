//! One attempt: decode, run, decide. Ends in exactly one settlement, whatever the handler does.

use std::mem;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tracing::{Instrument, Span};

use crate::error::Error;
use crate::job::attempt::Attempt;
use crate::job::history::Counters;
use crate::job::outcome::Outcome;
use crate::job::record::Record;
use crate::propagation;
use crate::queue::cause;
use crate::service::lease::Lease;
use crate::service::replies::SentReplies;
use crate::service::suspect::SuspectPermit;
use crate::store::advance::{Claimed, Settlement};
use crate::time::{ServerClock, Timestamp};
use crate::worker::context::{Context, ContextInner};
use crate::worker::decide::Happened;
use crate::worker::inner::WorkerInner;
use crate::worker::replies::last_replies;
use crate::worker::run_handler::run_handler;
use crate::worker::steps::Suspension;
use crate::worker::terms::{Terms, settlement};
use crate::worker::wrapped::run_wrapped;

/// Stands for the name of a job that cannot be read.
const UNREADABLE: &str = "unreadable";

/// Runs one claimed job and leaves its settlement with the slots, unless the job went back to the
/// queue before this was polled.
///
/// The permit of a suspect is held until the handler has ended.
#[expect(
    clippy::manual_async_fn,
    reason = "an async function has room for each argument twice, and there are as many of these futures as jobs"
)]
pub(crate) fn attend(
    worker: Arc<WorkerInner>,
    claimed: Claimed,
    lease: Arc<Lease>,
    clock: ServerClock,
    mut permit: Option<SuspectPermit>,
) -> impl Future<Output = ()> + Send {
    async move {
        if !lease.begin() {
            return;
        }
        if let Some(permit) = &mut permit {
            permit.begin();
        }
        let mut attempt = Unsettled {
            worker: Arc::clone(&worker),
            lease: Arc::clone(&lease),
            terms: Terms::new(&claimed, clock),
            ended: false,
        };
        // The answer to the claim was on its way for so long that the lease might be over before it is
        // renewed for the first time. So the job waits for that.
        let left = worker.config.lease / 2;
        if lease.until() < Instant::now() + left {
            worker.leases.renew_all();
            lease.has(left).await;
        }
        let (_, settlement) = attend_to(&worker, claimed, &lease, &mut attempt.terms).await;
        drop(permit);
        attempt.end(settlement);
    }
}

/// Runs one claimed job, whatever it does: which attempt that was, and how it ended.
pub(crate) fn attend_to<'a>(
    worker: &'a Arc<WorkerInner>,
    claimed: Claimed,
    lease: &'a Arc<Lease>,
    terms: &'a mut Terms,
) -> impl Future<Output = (Context, Settlement)> + Send + 'a {
    let (context, record) = begin(worker, claimed, lease, terms);
    let terms: &Terms = terms;
    async move {
        let outcome = match record {
            Err(error) => terms.decide(worker, lease, Happened::Undecodable(error)),
            // The process may have been frozen while the claim was answered: by now another worker
            // may have done the job. Or the worker was dropped.
            Ok(_) if lease.is_over() || lease.stop.is_cancelled() => {
                terms.decide(worker, lease, Happened::Stopped)
            }
            Ok(record) if !worker.middleware.is_empty() => {
                let span = span(worker, &context);
                let wrapped = run_wrapped(worker, lease, record, terms, context.clone());
                let wrapped = cause::within(context.inner.clone(), wrapped);
                let outcome = Box::pin(wrapped.instrument(span.clone())).await;
                propagation::ended(&span, &outcome);
                outcome
            }
            Ok(ref record) => {
                let span = span(worker, &context);
                let handled = run_handler(worker, record, lease, context.clone(), terms);
                let handled = cause::within(context.inner.clone(), handled);
                let happened = handled.instrument(span.clone()).await;
                let outcome = terms.decide(worker, lease, happened);
                propagation::ended(&span, &outcome);
                outcome
            }
        };
        if context.inner.replies.get().is_some() {
            Box::pin(last_replies(&context)).await;
        }
        if lease.log_if_used().is_some() {
            Box::pin(context.inner.writer().last_lines()).await;
        }
        (context, terms.end(worker, lease, outcome))
    }
}

/// Reads what was claimed. The attempt has begun then, for the hooks as well.
fn begin(
    worker: &WorkerInner,
    claimed: Claimed,
    lease: &Arc<Lease>,
    terms: &mut Terms,
) -> (Context, Result<Record, Error>) {
    let mut record = Record::decode(&claimed.record, claimed.payload);
    let context = match &mut record {
        Ok(record) => {
            terms.read(record);
            let known = Known {
                name: mem::take(&mut record.name),
                enqueued_at: record.enqueued_at,
                group: record.traits.group.take(),
                children: record.traits.children,
                order: record.traits.order.take().map(|order| order.key),
                headers: mem::take(&mut record.headers),
            };
            context(worker, lease, terms, known)
        }
        Err(_) => {
            // Only the hooks and the log get it.
            let unknown = Known {
                name: UNREADABLE.to_owned(),
                enqueued_at: Timestamp::from_millis(0),
                group: None,
                children: 0,
                order: None,
                headers: Vec::new(),
            };
            context(worker, lease, terms, unknown)
        }
    };
    terms.begin(worker, &context);
    (context, record)
}

/// In it handlers and middleware run, so that their own log lines can be found.
fn span(worker: &WorkerInner, context: &Context) -> Span {
    propagation::processing(
        context.attempt(),
        context.headers(),
        worker.config.trace_relation,
    )
}

/// A job that is handed back to its place, untouched.
pub(crate) fn release(lease: &Lease) -> Settlement {
    settlement(lease, Outcome::Released, None)
}

/// An attempt that has not ended yet. However it ends, it leaves exactly one settlement: a slot
/// and a lease that are not given back would be held for as long as the process lives.
struct Unsettled {
    worker: Arc<WorkerInner>,
    lease: Arc<Lease>,
    terms: Terms,
    ended: bool,
}

impl Unsettled {
    fn end(mut self, settlement: Settlement) {
        self.ended = true;
        self.worker.slots.ended(settlement);
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if !self.ended {
            let happened = if std::thread::panicking() {
                Happened::Panicked("panicked outside of the handler".to_owned())
            } else {
                // Its runtime was shut down: the job did not fail.
                Happened::Stopped
            };
            let (worker, lease) = (&*self.worker, &*self.lease);
            let outcome = self.terms.decide(worker, lease, happened);
            worker.slots.ended(self.terms.end(worker, lease, outcome));
        }
    }
}

/// What the record of a job says to its handler, beside the payload.
struct Known {
    name: String,
    enqueued_at: Timestamp,
    group: Option<String>,
    children: u32,
    order: Option<String>,
    headers: Vec<(String, String)>,
}

fn context(worker: &WorkerInner, lease: &Arc<Lease>, terms: &Terms, known: Known) -> Context {
    Context {
        inner: Arc::new(ContextInner {
            attempt: Attempt {
                queue: worker.queue.inner.name.clone(),
                name: known.name,
                id: lease.id.clone(),
                number: terms.counters.failed.saturating_add(1),
                attempts: terms.attempts,
                earlier: terms.counters.recorded,
                stalls: terms.stalls,
                snoozes: terms.counters.snoozes,
                fence: lease.fence,
            },
            queue: worker.queue.clone(),
            states: Arc::clone(&worker.states),
            lease: Arc::clone(lease),
            enqueued_at: known.enqueued_at,
            group: known.group,
            children: known.children,
            order: known.order,
            headers: known.headers,
            kept: None,
            has_steps: terms.counters.has_steps,
            replies: replies(&terms.counters),
            steps: OnceLock::new(),
            saga: OnceLock::new(),
            suspension: Suspension::default(),
            alone: None,
        }),
        ends: None,
    }
}

/// What earlier attempts have sent.
fn replies(counters: &Counters) -> OnceLock<Box<SentReplies>> {
    let Counters {
        replies,
        reply_bytes,
        ..
    } = *counters;
    let sent = (replies > 0).then(|| Box::new(SentReplies::behind(replies, reply_bytes)));
    sent.map_or_else(OnceLock::new, OnceLock::from)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::id::{Fence, JobId, Receipt};
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

    fn worker() -> Arc<WorkerInner> {
        let oxcart = Oxcart::builder().build(Server::default().into()).unwrap();
        let queue = oxcart.queue("work").unwrap();
        let worker = Worker::builder(&queue).handle(async |_: Stuck| {
            std::future::pending::<()>().await;
            Ok::<_, Failure>(())
        });
        worker.build().unwrap().inner
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
    async fn begun(worker: &Arc<WorkerInner>, attempts: u32) -> impl Future<Output = ()> + use<> {
        let call = worker.slots.next_call(0).await.unwrap();
        worker.slots.brought(&crate::service::slots::Brought {
            reserved: call.claim,
            settled: 0,
            claimed: 1,
            more: false,
            traits: false,
            traits_asked: false,
            held: false,
            suspects: false,
            suspects_asked: false,
            unhandled: 0,
            by_name: false,
            made_news: false,
            woken: false,
        });
        let claimed = claimed(attempts);
        let lease = Lease::new(&claimed, Instant::now(), worker.config.lease);
        let clock = ServerClock::heard_now(1_000);
        let attempt = attend(Arc::clone(worker), claimed, Arc::new(lease), clock, None);
        let mut attempt = Box::pin(attempt);
        assert!(attempt.as_mut().now_or_never().is_none());
        attempt
    }

    async fn outcome(worker: &WorkerInner) -> Outcome {
        let mut settle = worker.slots.next_call(0).await.unwrap().settle;
        assert_eq!((settle.len(), worker.slots.running()), (1, 0));
        settle.remove(0).outcome
    }

    #[tokio::test]
    async fn g1_an_attempt_whose_runtime_is_shut_down_is_handed_back() {
        let worker = worker();
        drop(begun(&worker, 1).await);
        assert_eq!(outcome(&worker).await, Outcome::Released);
    }

    #[tokio::test]
    async fn g1_an_attempt_that_breaks_outside_of_its_handler_counts_as_a_failure() {
        for attempts in [1, 2] {
            let worker = worker();
            let attempt = begun(&worker, attempts).await;
            let broken = std::thread::spawn(move || {
                let _attempt = attempt;
                panic!("as asked");
            });
            assert!(broken.join().is_err());
            match outcome(&worker).await {
                Outcome::Dead { reason, .. } => {
                    assert_eq!((attempts, reason), (1, DeadReason::AttemptsSpent));
                }
                other => assert!(matches!((attempts, other), (2, Outcome::Retry { .. }))),
            }
        }
    }
}
