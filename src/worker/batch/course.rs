//! One batch: which jobs are in it when it begins, its handler, and how that ended.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::DropGuard;
use tracing::{Instrument, Span, info_span};

use crate::job::Job;
use crate::runtime::drop_payload;
use crate::worker::batch::batched::{Batched, Given, Pending};
use crate::worker::batch::handler::BatchHandler;
use crate::worker::context::Context;
use crate::worker::decide::panic_message;
use crate::worker::handler::Failed;

/// A job that waits for its batch to begin.
pub(crate) struct Waiting<J: Job> {
    pub(crate) job: J,
    pub(crate) context: Context,
    /// The span of its attempt.
    pub(crate) span: Span,
    /// Dropped if the batch begins without this job.
    pub(crate) begin: oneshot::Sender<Begun<J>>,
}

/// What an attempt is told when its batch begins.
pub(crate) struct Begun<J: Job> {
    pub(crate) given: oneshot::Receiver<Given<J>>,
    /// How the handler ended; without a word if it was dropped before it did.
    pub(crate) end: watch::Receiver<Option<End>>,
    /// Each attempt of the batch that has not ended has one.
    pub(crate) held: Arc<()>,
    /// Tells the handler that the attempt has ended without it.
    pub(crate) gone: DropGuard,
}

/// How a handler ended, for the jobs to which it had given no outcome.
#[derive(Clone)]
pub(crate) enum End {
    Succeeded,
    Failed(Failed),
    Panicked(String),
}

/// Begins the batch with those of these jobs whose attempts are still there, and runs its handler.
pub(crate) async fn run<H, J, Args>(handler: Arc<H>, mut waiting: Vec<Waiting<J>>)
where
    H: BatchHandler<J, Args>,
    J: Job,
{
    // They have joined in the order in which the runtime polled their attempts; the handler gets them as they stood in line.
    waiting.sort_unstable_by_key(|one| one.context.attempt().fence);
    let (ends, end) = watch::channel(None);
    let held = Arc::new(());
    let mut jobs = Vec::with_capacity(waiting.len());
    let mut spans = Vec::new();
    for one in waiting {
        let lease = &one.context.inner.lease;
        // The process may have been frozen while the job waited: by now another worker may have it.
        if lease.is_over() || lease.cancel.is_cancelled() || lease.stop.is_cancelled() {
            continue;
        }
        let ends = lease.cancel.child_token();
        let context = Context {
            ends: Some(ends.clone()),
            ..one.context
        };
        let (pending, given) = Pending::new(context);
        let begun = Begun {
            given,
            end: end.clone(),
            held: Arc::clone(&held),
            gone: ends.drop_guard(),
        };
        if one.begin.send(begun).is_ok() {
            jobs.push(Batched::new(one.job, pending));
            spans.push(one.span);
        }
    }
    drop((end, held));
    let Some(first) = jobs.first().map(|job| job.context().clone()) else {
        return;
    };
    let span = span(&first, &spans);
    let running = async {
        tokio::select! {
            biased;
            returned = handler.call(jobs, first) => Some(returned.map_err(Failed::from)),
            () = ends.closed() => None,
        }
    };
    // The application's code runs also when the future is made, and when it is dropped because no attempt is left.
    let running = AssertUnwindSafe(running).catch_unwind();
    let end = match running.instrument(span).await {
        Ok(None) => return,
        Ok(Some(Ok(()))) => End::Succeeded,
        Ok(Some(Err(failed))) => End::Failed(failed),
        Err(panic) => {
            let message = panic_message(panic.as_ref());
            drop_payload(panic);
            End::Panicked(message)
        }
    };
    ends.send_replace(Some(end));
}

/// In it the handler runs. It follows from the spans of the attempts, none of which it is in.
fn span(first: &Context, attempts: &[Span]) -> Span {
    let attempt = first.attempt();
    let span = info_span!(
        parent: None,
        "batch",
        queue = attempt.queue.as_str(),
        name = attempt.name,
        jobs = attempts.len(),
    );
    for attempt in attempts {
        span.follows_from(attempt);
    }
    span
}
