//! Load, and what must hold after it.

use std::time::{Duration, Instant};

use futures::future::join_all;
use oxcart::{Error, ErrorKind, Queue};

use super::jobs::{Scene, Work};
use super::workers::drained;

/// Enqueues `each` jobs by each of `callers`, one after the other.
pub async fn enqueue_by(callers: usize, each: usize, queue: &Queue, job: &Work) {
    let caller = async || {
        for _ in 0..each {
            queue.enqueue(job.clone()).await.unwrap();
        }
    };
    join_all((0..callers).map(|_| caller())).await;
}

/// Every job ran once and is done, no lease was lost, no job stalled.
pub async fn assert_each_ran_once(jobs: usize, direct: &Queue, scene: &Scene) {
    let counts = drained(direct, Duration::from_secs(60)).await;
    let totals = counts.totals;
    assert_eq!((totals.added, totals.completed), (jobs as u64, jobs as u64));
    assert_eq!((totals.stalled, totals.refused, counts.dead), (0, 0, 0));
    let by_job = scene.runs_by_job();
    assert_eq!(by_job.len(), jobs);
    let once = |runs: &Vec<_>| runs.len() == 1;
    assert!(by_job.values().all(once), "a job ran twice");
}

/// The error names the job, and came at once or within the second that was set as the limit: not
/// after the 5 s that are usual, nor after the 20 s of a patient caller.
pub fn assert_typed(error: &Error, kind: ErrorKind, asked: Instant) {
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.job_id().is_some(), "{error:?}");
    assert!(error.is_retryable(), "{error:?}");
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "after {:?}",
        asked.elapsed()
    );
}
