//! Renews leases, on the library's own thread, so that handlers that block the application's runtime do not
//! lose them at once.
//!
//! All leases are renewed each third of their length, or at once when something is wrong with the server's clock, in
//! calls of bounded size, many of them under way at once. If the application's runtime shows no sign of life for ten
//! lease lengths, its leases are not renewed any more, so that other workers get its jobs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use tokio::time::sleep;
use tracing::{trace, warn};

use crate::queue::cancel_requests::reason_in;
use crate::service::WorkerShared;
use crate::service::lease::Lease;
use crate::service::trouble::CallKind;
use crate::store::backend::{Connection, Trouble};
use crate::store::extend::Extend;
use crate::store::{BATCH_BYTES, BATCH_JOBS};
use crate::time::millis;
use crate::worker::lease_capacity::{LeaseCapacity, patience};

const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE_MAX: Duration = Duration::from_secs(5);
/// About how many bytes a call carries for one lease, beside its id.
const BYTES_PER_LEASE: usize = 64;
const LEASES_WITHOUT_HEARTBEAT: u32 = 10;

/// It goes on until it is dropped.
pub(crate) async fn run(shared: Arc<WorkerShared>) {
    let shared = &*shared;
    let length = shared.config.lease;
    let connection = shared
        .store()
        .connection(patience(length).min(PATIENCE_MAX));
    let mut capacity = LeaseCapacity::new(length);
    shared.slots.limit_leases(capacity.leases());
    loop {
        let which = tokio::select! {
            () = sleep(length / 3) => Which::Due,
            () = shared.leases.all_to_be_renewed() => Which::AllSince(Instant::now()),
        };
        while let Err(trouble) = renew_all(shared, &connection, which, &mut capacity).await {
            // Whatever the reason: leases of workers that live may run out now.
            shared.trouble.was_away();
            shared
                .trouble
                .note(CallKind::LeaseRenewal, &trouble, &shared.hooks);
            sleep(PAUSE).await;
        }
    }
}

/// Which leases are renewed.
#[derive(Debug, Clone, Copy)]
enum Which {
    /// The leases that were not confirmed a moment ago.
    Due,
    /// The leases that were not confirmed since this moment.
    AllSince(Instant),
}

/// Renews leases, in as many calls as it takes, and measures how many can be kept.
async fn renew_all(
    shared: &WorkerShared,
    connection: &Connection,
    which: Which,
    capacity: &mut LeaseCapacity,
) -> Result<(), Trouble> {
    let length = shared.config.lease;
    if shared.application.silent_for() > length * LEASES_WITHOUT_HEARTBEAT {
        warn!(
            queue = shared.queue.name(),
            "the application's runtime is blocked; its leases are not renewed any more"
        );
        return Ok(());
    }
    let began = Instant::now();
    let until = match which {
        Which::Due => began + length * 5 / 6,
        Which::AllSince(then) => then + length,
    };
    let due = shared
        .leases
        .filter(|lease| !lease.is_lost() && lease.until() <= until);
    trace!(
        queue = shared.queue.name(),
        leases = due.len(),
        "leases are renewed"
    );
    let longest_id = due.iter().map(|lease| lease.id.as_str().len()).max();
    let bytes = BATCH_JOBS * (longest_id.unwrap_or(0) + BYTES_PER_LEASE);
    let under_way = (BATCH_BYTES / bytes).max(1);
    let batches: Vec<_> = due.chunks(BATCH_JOBS).map(<[_]>::to_vec).collect();
    let results: Vec<_> = stream::iter(batches)
        .map(|batch| renew_batch(shared, connection.clone(), batch))
        .buffer_unordered(under_way)
        .collect()
        .await;
    let result = results.into_iter().collect::<Result<(), Trouble>>();
    match &result {
        Ok(()) => {
            let (kind, hooks) = (CallKind::LeaseRenewal, &shared.hooks);
            match due.is_empty() {
                true => shared.trouble.needs_no_call(kind, hooks),
                false => shared.trouble.clear(kind, hooks),
            }
            capacity.renewed(due.len(), began.elapsed());
        }
        Err(Trouble::Unanswered(_)) => capacity.failed(due.len()),
        // Such a failure does not show how fast the line is.
        Err(_) => {}
    }
    shared.slots.limit_leases(capacity.leases());
    result
}

async fn renew_batch(
    shared: &WorkerShared,
    mut connection: Connection,
    batch: Vec<Arc<Lease>>,
) -> Result<(), Trouble> {
    let leases: Vec<_> = batch
        .iter()
        .map(|lease| (lease.id.clone(), lease.receipt.clone()))
        .collect();
    let verb = Extend {
        leases: &leases,
        lease_ms: millis(shared.config.lease),
    };
    let sent = Instant::now();
    let extended = connection.call(&verb).await?;
    let mut lost = extended.lost.into_iter().peekable();
    for (position, lease) in batch.iter().enumerate() {
        if lost.next_if_eq(&position).is_some() {
            lease.lose(Instant::now());
        } else {
            lease.confirm(sent, shared.config.lease);
        }
    }
    // Mostly the worker has heard of them by then.
    for (position, request) in extended.requests {
        if let (Some(lease), Some(reason)) = (batch.get(position), reason_in(&request)) {
            lease.cancel_for(reason);
        }
    }
    Ok(())
}
