//! Starting a worker and bringing it to an end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{info, warn};

use crate::error::{Error, ErrorKind};
use crate::maintenance;
use crate::schedule;
use crate::worker::board::LANES;
use crate::worker::heartbeat;
use crate::worker::keeper::{self, Keeper};
use crate::worker::pump::Pump;
use crate::worker::waker;

/// After the grace period handlers may react to their token for this long.
const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// Handlers that were stopped end at their next await; one that does not is left behind.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// How long the last outcomes may take to be stored, if Redis answers, or comes back.
const SETTLE_GRACE: Duration = Duration::from_secs(10);
/// The same after the grace period, if Redis is away: it may come back in a moment.
const AWAY_GRACE: Duration = Duration::from_secs(3);
/// In any case they have until so long after the grace period. What follows takes no time, so the worker
/// has stopped after 10 s.
const STORED_WITHIN: Duration = CANCEL_GRACE
    .saturating_add(STOP_GRACE)
    .saturating_add(AWAY_GRACE);
/// How often it is looked whether Redis is away.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) async fn run(pump: Arc<Pump>, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let stopping = StopOnDrop(Arc::clone(&pump));
    pump.beat();
    let (application, ours) = (Handle::current(), pump.store().runtime());
    let _ = pump.application.set(application.clone());
    let mut keeper = Keeper::start(&pump);
    // The lanes settle until the very end; the others stop with the claiming.
    let mut lanes = JoinSet::new();
    for number in 0..LANES {
        let lane = Arc::clone(&pump).lane(number, application.clone());
        lanes.spawn_on(lane, &ours);
    }
    let mut claiming = JoinSet::new();
    claiming.spawn_on(waker::listen(Arc::clone(&pump)), &ours);
    claiming.spawn_on(waker::keep_time(Arc::clone(&pump)), &ours);
    claiming.spawn_on(maintenance::run(Arc::clone(&pump)), &ours);
    claiming.spawn_on(schedule::driver::run(Arc::clone(&pump)), &ours);
    let mut beating = JoinSet::new();
    beating.spawn_on(heartbeat::run(Arc::clone(&pump), application), &ours);
    info!(queue = pump.queue.name(), worker = pump.id, "worker runs");

    // None of these tasks ends before it is told to, unless by a bug: then the worker does not
    // go on half dead.
    let broken = tokio::select! {
        () = shutdown => None,
        _ = lanes.join_next() => Some("a lane"),
        _ = claiming.join_next() => Some("a background task"),
        _ = beating.join_next() => Some("the heartbeat"),
        () = keeper.ended() => Some("the task that keeps the leases"),
    };

    info!(
        queue = pump.queue.name(),
        worker = pump.id,
        "worker stops claiming"
    );
    let grace_ends = Instant::now() + pump.config.grace;
    pump.board.drain();
    pump.waker.stop();
    let listening = async {
        // The task that listens for work comes to an end by itself; the others are simply stopped.
        let _ = timeout(STOP_GRACE, claiming.join_next()).await;
        claiming.shutdown().await;
    };
    let outcomes = async {
        tokio::select! {
            () = finish_handlers(&pump, grace_ends) => {}
            // Not after anything else: the leases run out.
            () = keeper.ended() => give_up_handlers(&pump).await,
        }
        settle(&pump, grace_ends).await
    };
    let ((), is_settled) = tokio::join!(listening, outcomes);
    if is_settled {
        // A token that came while the worker stopped is passed on to others.
        let _ = timeout(STOP_GRACE, pump.board.settled()).await;
    }
    pump.board.close();
    if is_settled {
        let _ = timeout(STOP_GRACE, async {
            while lanes.join_next().await.is_some() {}
        })
        .await;
    }
    // They hold what is the application's (states, handlers), which is dropped here and not on the
    // library's thread.
    lanes.shutdown().await;
    beating.shutdown().await;
    keeper.stop().await;
    drop(stopping);
    info!(
        queue = pump.queue.name(),
        worker = pump.id,
        "worker stopped"
    );
    match broken {
        None => nothing_left(&pump),
        Some(what) => Err(Error::new(
            ErrorKind::Internal,
            format!(
                "{what} of the worker for `{}` broke; see the log",
                pump.queue.name()
            ),
        )),
    }
}

/// Lets handlers end, then asks them to, then stops them.
async fn finish_handlers(pump: &Pump, grace_ends: Instant) {
    if timeout_at(grace_ends, pump.board.idle()).await.is_ok() {
        return;
    }
    warn!(
        queue = pump.queue.name(),
        running = pump.board.running(),
        "the grace period is over: handlers are cancelled, and their jobs are handed back if Redis can be reached"
    );
    pump.leases.cancel_all();
    if timeout(CANCEL_GRACE, pump.board.idle()).await.is_ok() {
        return;
    }
    pump.leases.stop_all();
    let _ = timeout(STOP_GRACE, pump.board.idle()).await;
}

/// Nobody keeps the leases any more: handlers are asked to end at once, and end with their leases
/// at the latest, so that their jobs are handed back before anybody else can take them.
async fn give_up_handlers(pump: &Pump) {
    warn!(
        queue = pump.queue.name(),
        running = pump.board.running(),
        "nobody keeps the leases: handlers are cancelled and their jobs handed back"
    );
    pump.leases.cancel_all();
    let _ = timeout(CANCEL_GRACE, async {
        tokio::select! {
            () = pump.board.idle() => {}
            () = keeper::expire(pump) => {}
        }
    })
    .await;
    pump.leases.stop_all();
    let _ = timeout(STOP_GRACE, pump.board.idle()).await;
}

/// Stores the last outcomes: one call at least, which also passes the wake-up on to others. Whether
/// all of them are stored.
async fn settle(pump: &Pump, grace_ends: Instant) -> bool {
    pump.board.look();
    let began = Instant::now();
    while timeout(LOOK_EVERY, pump.board.settled()).await.is_err() {
        if Instant::now() >= settled_until(pump, began, grace_ends) {
            return false;
        }
    }
    true
}

/// Until when outcomes are stored, as it looks now.
fn settled_until(pump: &Pump, began: Instant, grace_ends: Instant) -> Instant {
    let is_away = pump.trouble.is_ongoing();
    if pump.board.unsettled() == 0 {
        // The call is only a courtesy, for which nobody waits long.
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
fn nothing_left(pump: &Pump) -> Result<(), Error> {
    let (running, unsettled) = (pump.board.running(), pump.board.unsettled());
    if running + unsettled == 0 {
        return Ok(());
    }
    let mut left = Vec::new();
    if running > 0 {
        left.push(format!("{running} whose handlers block their thread"));
    }
    if unsettled > 0 {
        let why = match pump.trouble.is_ongoing() {
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
            pump.queue.name(),
            left.join(", "),
            pump.config.lease
        ),
    ))
}

/// However the worker ends, no handler goes on without anybody keeping its lease.
struct StopOnDrop(Arc<Pump>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.board.drain();
        self.0.leases.stop_all();
    }
}
