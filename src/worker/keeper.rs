//! Keeps the leases, on the library's own thread, so that handlers that block the application's
//! runtime do not lose them at once.
//!
//! Two loops: one extends, a third of the lease apart, all leases in calls of bounded size; the
//! other compares every lease with our own clock and stops handlers that hold none any more,
//! whether or not Redis can be reached. A runtime that shows no sign of life for ten leases
//! does lose them: its jobs are better off elsewhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{trace, warn};

use crate::redis::trouble::Trouble;
use crate::store::BATCH_JOBS;
use crate::store::backend::Line;
use crate::store::extend::Extend;
use crate::time::millis;
use crate::worker::lease::Lease;
use crate::worker::pump::Pump;

const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE_MAX: Duration = Duration::from_secs(2);
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
    let mut line = pump.store().line((length / 6).min(PATIENCE_MAX));
    loop {
        sleep(length / 3).await;
        while let Err(trouble) = extend_all(pump, &mut line).await {
            pump.trouble.note(&trouble, &pump.hooks);
            sleep(PAUSE).await;
        }
    }
}

/// Extends every lease that was not confirmed a moment ago.
async fn extend_all(pump: &Pump, line: &mut Line) -> Result<(), Trouble> {
    let length = pump.config.lease;
    if pump.silent_for() > length * LEASES_WITHOUT_HEARTBEAT {
        warn!("the application's runtime is blocked; its leases are not extended any more");
        return Ok(());
    }
    let due = pump
        .leases
        .filter(|lease| !lease.is_lost() && lease.until() <= Instant::now() + length * 5 / 6);
    trace!(leases = due.len(), "leases are extended");
    for batch in due.chunks(BATCH_JOBS) {
        extend_batch(pump, line, batch).await?;
    }
    Ok(())
}

async fn extend_batch(pump: &Pump, line: &mut Line, batch: &[Arc<Lease>]) -> Result<(), Trouble> {
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
