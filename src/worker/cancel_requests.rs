//! Hears of requests to cancel the jobs that this worker runs, and tells their handlers.
//!
//! It listens only while a job has been running for a while, so short jobs cost nothing. What was announced before is read then, so
//! no request is missed. A request is also told when leases are renewed (`lease_renewal.rs`).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::queue::cancel_requests::Listening;
use crate::service::WorkerShared;

/// For jobs that have been running for so long it listens.
const AFTER: Duration = Duration::from_millis(200);
/// How often it looks whether there are such jobs.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// It goes on until it is dropped.
pub(crate) async fn run(shared: Arc<WorkerShared>) {
    loop {
        shared.leases.any().await;
        match shared.leases.claimed_before(AFTER) {
            Some(since_ms) => {
                let requests = &shared.queue.inner.cancel_requests;
                obey(&shared, requests.listen(since_ms)).await;
            }
            None => sleep(LOOK_EVERY).await,
        }
    }
}

/// As long as a job has been running for a while.
async fn obey(shared: &WorkerShared, mut requests: Listening) {
    while shared.leases.claimed_before(AFTER).is_some() {
        // The second also for a job whose claim was answered after its request was read.
        tokio::select! {
            () = requests.heard() => {}
            () = sleep(LOOK_EVERY) => {}
        }
        if requests.is_silent() {
            continue;
        }
        for lease in shared
            .leases
            .filter(|lease| lease.cancel_reason().is_none())
        {
            if let Some(reason) = requests.reason(&lease.id, &lease.receipt) {
                lease.cancel_for(reason);
            }
        }
    }
}
