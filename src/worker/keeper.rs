//! Keeps the leases, on the library's own thread, so that handlers that block the application's
//! runtime do not lose them at once.
//!
//! Two loops. One extends all leases, each third of the lease, or at once when something is wrong with
//! the server's clock. It does so in calls of bounded size, many of them under way at once. The other
//! compares every lease with our own clock and stops handlers that hold none any more,
//! whether or not Redis can be reached. A runtime that shows no sign of life for ten leases
//! does lose them: its jobs are better off elsewhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{trace, warn};

use crate::redis::trouble::Trouble;
use crate::store::backend::Line;
use crate::store::extend::Extend;
use crate::store::{BATCH_BYTES, BATCH_JOBS};
use crate::time::millis;
use crate::worker::lease::Lease;
use crate::worker::pump::Pump;
use crate::worker::reach::{Reach, patience};

const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE_MAX: Duration = Duration::from_secs(5);
/// About how many bytes a call carries for one lease, beside its id.
const BYTES_PER_LEASE: usize = 64;
const LEASES_WITHOUT_HEARTBEAT: u32 = 10;
const LOOPS: usize = 2;

/// The two loops; they end when it is dropped.
pub(crate) struct Keeper {
    loops: JoinSet<()>,
}

impl Keeper {
    pub(crate) fn start(pump: &Arc<Pump>) -> Self {
        let runtime = pump.store().runtime();
        let mut loops = JoinSet::new();
        let extending = Arc::clone(pump);
        loops.spawn_on(async move { extend(&extending).await }, &runtime);
        let expiring = Arc::clone(pump);
        loops.spawn_on(async move { expire(&expiring).await }, &runtime);
        Self { loops }
    }

    /// Ends the loops, and waits until they have.
    pub(crate) async fn stop(mut self) {
        self.loops.shutdown().await;
    }

    /// Waits until a loop has ended, which it does on its own only by a bug; then nobody keeps the
    /// leases. Cancel safe.
    pub(crate) async fn ended(&mut self) {
        if self.loops.len() == LOOPS {
            self.loops.join_next().await;
        }
    }
}

async fn extend(pump: &Pump) {
    let length = pump.config.lease;
    let line = pump.store().line(patience(length).min(PATIENCE_MAX));
    let mut reach = Reach::new(length);
    pump.board.set_reach(reach.leases());
    loop {
        let which = tokio::select! {
            () = sleep(length / 3) => Which::Due,
            () = pump.renew.notified() => Which::AllSince(Instant::now()),
        };
        while let Err(trouble) = extend_all(pump, &line, which, &mut reach).await {
            // Whatever the reason: leases may run out now though nobody died.
            pump.trouble.was_away();
            pump.trouble.note(&trouble, &pump.hooks);
            sleep(PAUSE).await;
        }
    }
}

/// Which leases are extended.
#[derive(Debug, Clone, Copy)]
enum Which {
    /// Those that were not confirmed a moment ago.
    Due,
    /// Those that were not confirmed since then.
    AllSince(Instant),
}

/// Extends leases, in as many calls as it takes, and measures how many can be kept.
async fn extend_all(
    pump: &Pump,
    line: &Line,
    which: Which,
    reach: &mut Reach,
) -> Result<(), Trouble> {
    let length = pump.config.lease;
    if pump.silent_for() > length * LEASES_WITHOUT_HEARTBEAT {
        warn!(
            queue = pump.queue.name(),
            "the application's runtime is blocked; its leases are not extended any more"
        );
        return Ok(());
    }
    let began = Instant::now();
    let until = match which {
        Which::Due => began + length * 5 / 6,
        Which::AllSince(then) => then + length,
    };
    let due = pump
        .leases
        .filter(|lease| !lease.is_lost() && lease.until() <= until);
    trace!(
        queue = pump.queue.name(),
        leases = due.len(),
        "leases are extended"
    );
    let longest_id = due.iter().map(|lease| lease.id.as_str().len()).max();
    let bytes = BATCH_JOBS * (longest_id.unwrap_or(0) + BYTES_PER_LEASE);
    let under_way = (BATCH_BYTES / bytes).max(1);
    let batches: Vec<_> = due.chunks(BATCH_JOBS).map(<[_]>::to_vec).collect();
    let results: Vec<_> = stream::iter(batches)
        .map(|batch| extend_batch(pump, line.clone(), batch))
        .buffer_unordered(under_way)
        .collect()
        .await;
    let result = results.into_iter().collect::<Result<(), Trouble>>();
    match &result {
        Ok(()) => reach.renewed(due.len(), began.elapsed()),
        Err(Trouble::Unanswered(_)) => reach.failed(due.len()),
        // Such a failure does not show how fast the line is.
        Err(_) => {}
    }
    pump.board.set_reach(reach.leases());
    result
}

async fn extend_batch(pump: &Pump, mut line: Line, batch: Vec<Arc<Lease>>) -> Result<(), Trouble> {
    let leases: Vec<_> = batch
        .iter()
        .map(|lease| (lease.id.clone(), lease.receipt.clone()))
        .collect();
    let verb = Extend {
        leases: &leases,
        lease_ms: millis(pump.config.lease),
    };
    let sent = Instant::now();
    let lost = line.call(&verb).await?;
    let mut lost = lost.into_iter().peekable();
    for (position, lease) in batch.iter().enumerate() {
        if lost.next_if_eq(&position).is_some() {
            lease.lose(Instant::now());
        } else {
            lease.confirm(sent, pump.config.lease);
        }
    }
    Ok(())
}

/// Stops handlers whose leases end. Needs no Redis, and goes on until it is dropped.
pub(crate) async fn expire(pump: &Pump) {
    let length = pump.config.lease;
    let tick = (length / 20).clamp(Duration::from_millis(50), Duration::from_millis(250));
    // The handler hears of it while there is still time to react.
    let notice = length / 6;
    loop {
        sleep(tick).await;
        let now = Instant::now();
        for lease in pump.leases.filter(|lease| lease.until() <= now + notice) {
            lease.cancel.cancel();
            // What would end before the next look ends now: ours must end before Redis' does.
            if lease.until() <= now + tick {
                lease.stop.cancel();
            }
        }
    }
}
