//! Starting a worker and bringing it to an end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tracing::{info, warn};

use crate::error::{Error, ErrorKind};
use crate::maintenance::reporting;
use crate::service::WorkerShared;
use crate::service::services::{RunningServices, Service, Until};
use crate::worker::lease_expiry;
use crate::worker::shutdown::Again;

/// After the grace period handlers may react to their token for this long.
const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// Handlers that were stopped end at their next await; one that does not is left behind.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// How long the last outcomes may take to be stored, if Redis answers, or comes back.
const SETTLE_GRACE: Duration = Duration::from_secs(10);
/// The same after the grace period, if Redis is away: it may come back in a moment.
const AWAY_GRACE: Duration = Duration::from_secs(3);
/// In any case they have until so long after the grace period. What follows takes [`STOP_GRACE`], so the worker
/// has stopped after 10 s.
const STORED_WITHIN: Duration = CANCEL_GRACE
    .saturating_add(STOP_GRACE)
    .saturating_add(AWAY_GRACE);
/// How often it is looked whether Redis is away.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs the services until `shutdown` completes, or one of them breaks; then brings the worker to its end.
pub(crate) async fn run(
    worker: &Arc<WorkerShared>,
    mut services: Vec<Service>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let stopping = StopOnDrop(Arc::clone(worker));
    let ours = worker.store().runtime();
    let mut leases = RunningServices::start(&mut services, Until::LeasesEnd, &ours);
    let mut claiming = RunningServices::start(&mut services, Until::ClaimsEnd, &ours);
    let mut settling = RunningServices::start(&mut services, Until::OutcomesStored, &ours);
    let mut others = RunningServices::start(&mut services, Until::WorkerStopped, &ours);
    let (queue, id) = (worker.queue.name(), &worker.id);
    info!(queue, worker = id, "worker runs");

    // If a service breaks, the worker does not go on half dead.
    let broken = tokio::select! {
        () = shutdown => None,
        name = settling.broken() => Some(name),
        name = claiming.broken() => Some(name),
        name = others.broken() => Some(name),
        name = leases.broken() => Some(name),
    };

    info!(queue, worker = id, "worker stops claiming");
    let mut grace = Grace {
        ends: Instant::now() + worker.config.grace,
        again: Again::from_now_on(),
    };
    worker.slots.drain();
    worker.claims_end.cancel();
    let listening = async {
        // The service that waits for work comes to an end by itself; the others are simply stopped.
        let _ = timeout(STOP_GRACE, claiming.one_ended()).await;
        claiming.stop().await;
    };
    let outcomes = async {
        tokio::select! {
            () = finish_handlers(worker, &mut grace) => {}
            // Leases are not renewed any more, so this waits for nothing else.
            _ = leases.broken() => give_up_handlers(worker).await,
        }
        settle(worker, &mut grace).await
    };
    let ((), is_settled) = tokio::join!(listening, outcomes);
    // A token that came while the worker stopped is passed on to others, and the lanes come to an end.
    let stopped_by = Instant::now() + STOP_GRACE;
    if is_settled {
        let _ = timeout_at(stopped_by, worker.slots.settled()).await;
    }
    worker.slots.close();
    if is_settled {
        let _ = timeout_at(stopped_by, settling.all_ended()).await;
        let _ = timeout_at(stopped_by, reporting::leave(worker)).await;
    }
    // They hold what is the application's (states, handlers), which is dropped here and not on the
    // library's thread.
    settling.stop().await;
    others.stop().await;
    leases.stop().await;
    drop(stopping);
    info!(queue, worker = id, "worker stopped");
    match broken {
        None => nothing_left(worker),
        Some(name) => Err(Error::new(
            ErrorKind::Internal,
            format!("{name} of the worker for `{queue}` broke; see the log"),
        )),
    }
}

/// How long handlers may take to end by themselves, and Redis to come back.
struct Grace {
    ends: Instant,
    again: Again,
}

impl Grace {
    /// Waits until it is over, which a second signal says at once. Cancel safe.
    async fn is_over(&mut self) {
        tokio::select! {
            () = sleep_until(self.ends) => {}
            () = self.again.told() => self.ends = Instant::now(),
        }
    }
}

/// Lets handlers end, then asks them to, then stops them.
async fn finish_handlers(shared: &WorkerShared, grace: &mut Grace) {
    tokio::select! {
        biased;
        () = shared.slots.idle() => return,
        () = grace.is_over() => {}
    }
    warn!(
        queue = shared.queue.name(),
        running = shared.slots.running(),
        "the grace period is over: handlers are cancelled, and their jobs are handed back if Redis can be reached"
    );
    shared.leases.cancel_all();
    if timeout(CANCEL_GRACE, shared.slots.idle()).await.is_ok() {
        return;
    }
    shared.leases.stop_all();
    let _ = timeout(STOP_GRACE, shared.slots.idle()).await;
}

/// The leases are not renewed any more: handlers are asked to end at once, and end with their leases
/// at the latest, so that their jobs are handed back before another worker can take them.
async fn give_up_handlers(shared: &Arc<WorkerShared>) {
    warn!(
        queue = shared.queue.name(),
        running = shared.slots.running(),
        "the leases are not kept any more: handlers are cancelled and their jobs handed back"
    );
    shared.leases.cancel_all();
    let _ = timeout(CANCEL_GRACE, async {
        tokio::select! {
            () = shared.slots.idle() => {}
            () = lease_expiry::run(Arc::clone(shared)) => {}
        }
    })
    .await;
    shared.leases.stop_all();
    let _ = timeout(STOP_GRACE, shared.slots.idle()).await;
}

/// Stores the last outcomes: one call at least, which also passes the wake-up on to others. Whether
/// all of them are stored.
async fn settle(shared: &WorkerShared, grace: &mut Grace) -> bool {
    shared.slots.look();
    let began = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = shared.slots.settled() => return true,
            () = sleep(LOOK_EVERY) => {}
            () = grace.again.told() => grace.ends = grace.ends.min(Instant::now()),
        }
        if Instant::now() >= settled_until(shared, began, grace.ends) {
            return false;
        }
    }
}

/// Until when outcomes are stored, as it looks now.
fn settled_until(shared: &WorkerShared, began: Instant, grace_ends: Instant) -> Instant {
    let is_away = shared.trouble.holds_up_outcomes();
    if shared.slots.unsettled() == 0 {
        // The call only passes a token on to other workers: it is not waited for long.
        return if is_away { began } else { began + STOP_GRACE };
    }
    let longest = began + SETTLE_GRACE;
    match is_away {
        false => longest.min(grace_ends + STORED_WITHIN),
        // As long as the grace period lasts, the worker may wait for Redis.
        true => longest.min(grace_ends.max(began + AWAY_GRACE)),
    }
}

/// An error if jobs are left behind.
fn nothing_left(shared: &WorkerShared) -> Result<(), Error> {
    let (running, unsettled) = (shared.slots.running(), shared.slots.unsettled());
    if running + unsettled == 0 {
        return Ok(());
    }
    let mut left = Vec::new();
    if running > 0 {
        left.push(format!("{running} whose handlers block their thread"));
    }
    if unsettled > 0 {
        let why = match shared.trouble.holds_up_outcomes() {
            true => ", because Redis is away",
            false => "",
        };
        left.push(format!(
            "{unsettled} whose outcome is not known to be stored{why}"
        ));
    }
    Err(Error::new(
        ErrorKind::Unknown,
        format!(
            "the worker for `{}` has stopped and left jobs behind: {}; they run again at another \
             worker when their leases ({:?}) are over",
            shared.queue.name(),
            left.join(", "),
            shared.config.lease
        ),
    ))
}

/// However the worker ends, no handler goes on whose lease is not kept.
struct StopOnDrop(Arc<WorkerShared>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.slots.drain();
        self.0.leases.stop_all();
    }
}
