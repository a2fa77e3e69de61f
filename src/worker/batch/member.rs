//! One job of a batch: it waits for the batch, and for its outcome.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use crate::codec;
use crate::job::Job;
use crate::job::failure::Verdict;
use crate::worker::any_handler::{Bounds, Joining};
use crate::worker::batch::batched::Given;
use crate::worker::batch::course::{Begun, End};
use crate::worker::batch::gather::Gather;
use crate::worker::batch::handler::BatchHandler;
use crate::worker::context::Context;
use crate::worker::decide::Happened;
use crate::worker::handler::Failed;

/// A job that was read.
pub(crate) struct Member<H, J: Job, Args> {
    pub(crate) job: J,
    pub(crate) context: Context,
    pub(crate) gather: Arc<Gather<H, J, Args>>,
}

impl<H, J, Args> Joining for Member<H, J, Args>
where
    H: BatchHandler<J, Args>,
    J: Job,
    Args: 'static,
{
    fn attend<'a>(
        self: Box<Self>,
        bounds: Bounds<'a>,
    ) -> Pin<Box<dyn Future<Output = Happened> + Send + 'a>> {
        Box::pin(async move {
            let Self {
                job,
                context,
                gather,
            } = *self;
            let attempt = context.clone();
            match begun(&gather, job, context, &bounds).await {
                Some(begun) => ended(begun, &attempt, &bounds).await,
                None => Happened::Stopped,
            }
        })
    }
}

/// Waits until the batch begins. `None`: it begins without this job.
async fn begun<H, J, Args>(
    gather: &Gather<H, J, Args>,
    job: J,
    context: Context,
    bounds: &Bounds<'_>,
) -> Option<Begun<J>>
where
    H: BatchHandler<J, Args>,
    J: Job,
    Args: 'static,
{
    if bounds.claims_end.is_cancelled() {
        return None;
    }
    let mut joined = gather.join(job, context, bounds);
    let begins = &mut joined.begins;
    tokio::select! {
        biased;
        begun = &mut *begins => return begun.ok(),
        () = bounds.lease.cancel.cancelled() => {}
    }
    // The batch begins without the job from here on. If it began at the same moment, the handler has the job.
    begins.close();
    begins.try_recv().ok()
}

/// Waits until the handler has given the job its outcome, or has ended.
async fn ended<J: Job>(begun: Begun<J>, context: &Context, bounds: &Bounds<'_>) -> Happened {
    let Begun {
        given,
        mut end,
        held,
        gone,
    } = begun;
    let mut over = pin!(over(bounds));
    let given = tokio::select! {
        biased;
        given = given => given,
        happened = &mut over => return happened,
    };
    let Ok(given) = given else {
        // The job was dropped. Only the end of the handler says what that means.
        return tokio::select! {
            biased;
            end = reached(&mut end) => without_outcome(end),
            happened = &mut over => happened,
        };
    };
    gone.disarm();
    let happened = returned::<J>(given);
    // As long as the handler runs, one of its jobs takes a slot, and is waited for when the worker stops.
    // If several attempts end at once, exactly one of them is the last.
    if Arc::into_inner(held).is_some() {
        tokio::select! {
            biased;
            end = reached(&mut end) => log(end, context),
            _ = &mut over => {}
        }
    }
    happened
}

/// Until the attempt is ended from outside.
async fn over(bounds: &Bounds<'_>) -> Happened {
    let limit = async {
        match bounds.limit {
            Some(limit) => sleep(limit).await,
            None => pending().await,
        }
        Happened::TimedOut(bounds.limit.unwrap_or_default())
    };
    tokio::select! {
        biased;
        () = bounds.lease.stop.cancelled() => Happened::Stopped,
        happened = limit => happened,
    }
}

/// The end of the handler. `None`: it was dropped, because its runtime was shut down.
async fn reached(end: &mut watch::Receiver<Option<End>>) -> Option<End> {
    end.wait_for(Option::is_some).await.ok()?.clone()
}

/// Encoding runs code of the application; so it is done here, where a panic ends this attempt alone.
fn returned<J: Job>(given: Given<J>) -> Happened {
    Happened::Returned(match given {
        Ok(output) => Ok(codec::encode_to_be_read("a job's result", &output)),
        Err(failure) => Err(Failed::from(failure)),
    })
}

fn without_outcome(end: Option<End>) -> Happened {
    match end {
        Some(End::Succeeded) => Happened::Returned(Err(Failed {
            verdict: Verdict::Retry,
            error: "the batch handler gave this job no outcome".to_owned(),
        })),
        Some(End::Failed(failed)) => Happened::Returned(Err(failed)),
        Some(End::Panicked(message)) => Happened::Panicked(message),
        None => Happened::Stopped,
    }
}

/// An error that no job gets any more.
fn log(end: Option<End>, context: &Context) {
    if let Some(End::Failed(Failed { error, .. }) | End::Panicked(error)) = end {
        let attempt = context.attempt();
        let (queue, name) = (attempt.queue.as_str(), attempt.name.as_str());
        warn!(
            queue,
            name, error, "a batch handler failed after each of its jobs had an outcome"
        );
    }
}
