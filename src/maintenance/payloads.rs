//! Deletes payloads in the store that no job has any more: those of jobs that this worker has ended shortly after, and all others of the queue
//! every now and then. A worker without a store does nothing for it.

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use crate::error::Error;
use crate::service::WorkerShared;
use crate::store::BATCH_JOBS;

/// Outcomes are stored within milliseconds.
const SHORTLY: Duration = Duration::from_secs(1);

/// Goes on until it is dropped. The store is the application's: it is asked on its runtime.
pub(crate) async fn run(shared: Arc<WorkerShared>, application: Handle) {
    let Some(claim_check) = &shared.queue.inner.setup.claim_check else {
        return pending().await;
    };
    let every = claim_check.sweep_every;
    let mut silent = false;
    let mut sweep_at = every.map(next);
    loop {
        let sweep: OptionFuture<_> = sweep_at.map(sleep_until).into();
        let done = tokio::select! {
            () = shared.ended_objects.news.notified() => {
                sleep(SHORTLY).await;
                on(&application, ended(Arc::clone(&shared))).await
            }
            Some(()) = sweep => {
                sweep_at = every.map(next);
                on(&application, sweep_once(Arc::clone(&shared))).await
            }
        };
        note(&shared, done, &mut silent);
    }
}

/// The moments of many workers are spread.
fn next(every: Duration) -> Instant {
    Instant::now() + every.mul_f64(0.75 + fastrand::f64() / 2.0)
}

/// The task ends with this.
async fn on(
    application: &Handle,
    task: impl Future<Output = Result<(), Error>> + Send + 'static,
) -> Result<Result<(), Error>, JoinError> {
    let mut tasks = JoinSet::new();
    tasks.spawn_on(task, application);
    tasks.join_next().await.unwrap_or(Ok(Ok(())))
}

/// What fails is done by a later sweep. It is told once, until it works again.
fn note(shared: &WorkerShared, done: Result<Result<(), Error>, JoinError>, silent: &mut bool) {
    let why = match done {
        Ok(Ok(())) => {
            *silent = false;
            return;
        }
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    if !std::mem::replace(silent, true) {
        let queue = shared.queue.name();
        warn!(
            queue,
            why, "payloads that no job has any more could not be deleted; a later sweep does it"
        );
    }
}

async fn ended(shared: Arc<WorkerShared>) -> Result<(), Error> {
    loop {
        let some = shared.ended_objects.take(BATCH_JOBS);
        if some.is_empty() {
            return Ok(());
        }
        shared.queue.inner.delete_unused(&some).await?;
    }
}

async fn sweep_once(shared: Arc<WorkerShared>) -> Result<(), Error> {
    let inner = &shared.queue.inner;
    let Some(claim_check) = &inner.setup.claim_check else {
        return Ok(());
    };
    let swept = shared.queue.sweep_payloads(claim_check.grace).await?;
    if swept.deleted > 0 {
        let (queue, deleted, bytes) = (inner.name.as_str(), swept.deleted, swept.bytes);
        info!(
            queue,
            deleted, bytes, "payloads that no job has any more were deleted"
        );
    }
    Ok(())
}
