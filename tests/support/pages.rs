//! Looking through a queue.

use futures::{StreamExt, TryStreamExt};
use oxcart::{JobId, JobState, Queue};

/// The ids of all jobs in a state, in their order.
pub async fn ids(queue: &Queue, state: JobState) -> Vec<JobId> {
    let jobs = queue.jobs(state).stream();
    let ids: Result<Vec<JobId>, _> = jobs.map_ok(|job| job.id).boxed().try_collect().await;
    ids.expect("the queue can be read")
}
