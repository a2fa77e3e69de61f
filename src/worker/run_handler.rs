//! Running a handler, and how that ended.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;

use crate::claim_check::ticket::Ticket;
use crate::error::ErrorKind;
use crate::job::failure::Verdict;
use crate::job::record::Record;
use crate::service::lease::Lease;
use crate::worker::any_handler::{Bounds, Started};
use crate::worker::context::Context;
use crate::worker::decide::{Happened, panicked};
use crate::worker::handler::{Failed, Returned};
use crate::worker::inner::WorkerInner;
use crate::worker::steps::Suspended;
use crate::worker::terms::Terms;
use crate::worker::undoing::conclude;

/// Runs the handler. The application's code runs when the job is decoded, when arguments are made,
/// in the handler, and when it is dropped: a panic in any of them ends this attempt, and no more
/// than that. The same holds if the payload of a panic panics when it is dropped.
pub(crate) async fn run_handler(
    worker: &WorkerInner,
    record: &Record,
    lease: &Lease,
    context: Context,
    terms: &Terms,
) -> Happened {
    let attempt = context.clone();
    let running = AssertUnwindSafe(run(worker, record, lease, context)).catch_unwind();
    let happened = running.await.unwrap_or_else(panicked);
    match attempt.inner.saga.get() {
        None => happened,
        // Few jobs are sagas, and what it takes to undo one is large.
        Some(_) => {
            let limit = record.timeout;
            Box::pin(conclude(worker, terms, lease, limit, &attempt, happened)).await
        }
    }
}

async fn run(worker: &WorkerInner, record: &Record, lease: &Lease, context: Context) -> Happened {
    let name = context.attempt().name.as_str();
    let Some(handler) = worker.handlers.get(name) else {
        return Happened::UnknownName(name.to_owned());
    };
    if record.version > handler.version() {
        return Happened::NewerVersion {
            name: name.to_owned(),
            version: record.version,
            known: handler.version(),
        };
    }
    let fetched;
    let record = match record.is_ticket {
        false => record,
        true => {
            fetched = match Box::pin(fetch(worker, record, lease)).await {
                Ok(record) => record,
                Err(happened) => return happened,
            };
            &fetched
        }
    };
    let attempt = Arc::clone(&context.inner);
    let running = match handler.start(record, context) {
        Ok(Started::Alone(running)) => worker.inside.run(running),
        Ok(Started::Joins(batch)) => {
            let bounds = Bounds {
                lease,
                limit: record.timeout,
                claims_end: &worker.claims_end,
                slots: worker.slots.concurrency(),
            };
            return batch.attend(bounds).await;
        }
        Err(error) => return Happened::Undecodable(error),
    };
    tokio::select! {
        biased;
        happened = within(running, record.timeout) => happened,
        () = lease.stop.cancelled() => Happened::Stopped,
        // Polled behind the handler: so what the handler does next is seen before it is put aside, and dropped.
        Suspended { steps, after } = poll_fn(|waking| attempt.suspension.poll(attempt.steps.get().map(Box::as_ref), waking)) => {
            Happened::Suspended { after, steps }
        }
    }
}

/// The record with its payload, which is in a store.
async fn fetch(worker: &WorkerInner, record: &Record, lease: &Lease) -> Result<Record, Happened> {
    let fetching = async {
        let ticket = Ticket::decode(&record.payload)?;
        worker.queue.inner.fetch(&ticket).await
    };
    let payload = tokio::select! {
        biased;
        () = lease.stop.cancelled() => return Err(Happened::Stopped),
        payload = fetching => payload,
    };
    let payload = payload.map_err(|error| match error.kind() {
        ErrorKind::PayloadStore => Happened::Returned(Err(Failed {
            verdict: Verdict::Retry,
            error: error.to_string(),
        })),
        ErrorKind::PayloadLost => Happened::PayloadLost(error),
        // Another worker may have a store, or take larger payloads.
        _ => Happened::Undecodable(error),
    })?;
    Ok(Record {
        payload,
        is_ticket: false,
        ..record.clone()
    })
}

async fn within(running: impl Future<Output = Returned>, limit: Option<Duration>) -> Happened {
    match limit {
        None => Happened::Returned(running.await),
        Some(limit) => match timeout(limit, running).await {
            Ok(returned) => Happened::Returned(returned),
            Err(_) => Happened::TimedOut(limit),
        },
    }
}
