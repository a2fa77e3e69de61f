//! How an idle worker learns that there is work.
//!
//! One task owns the blocking connection. It never drops a pending `BZPOPMIN`, because Redis would hand the
//! token to a connection on which nobody reads any more. It pops only while the worker has slots that the last
//! call left empty, so a busy worker never takes a token that it does not need. A token says when there will
//! be work; a worker that pops a token for a later moment keeps the timer. If that worker dies, the others look for
//! work after 5 s at the latest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tracing::warn;

use crate::policy::pauses::Pauses;
use crate::policy::silence::Silence;
use crate::service::WorkerShared;

/// As long as the worker cannot wait for work, it looks for work this often.
const PAUSES: Pauses = Pauses::between(PAUSE, PAUSE);
const PAUSE: Duration = Duration::from_millis(500);

/// Looks for work when a timer says so.
pub(crate) async fn keep_time(shared: Arc<WorkerShared>) {
    let timers = &shared.timers;
    loop {
        tokio::select! {
            () = timers.due.fires() => shared.slots.look(),
            () = timers.news.fires() => shared.slots.look_again(),
            () = timers.overdue.fires() => shared.slots.look_again(),
        }
    }
}

/// Pops tokens until the worker stops. Its failures are not reported as trouble with Redis: a server that forbids only
/// this command, or a proxy that cuts silent connections, is no outage.
pub(crate) async fn listen(shared: Arc<WorkerShared>) {
    let shared = &*shared;
    let mut token = shared.store().wake_token();
    let (mut pauses, mut silence) = (PAUSES, Silence::default());
    let stop = &shared.claims_end;
    while !stop.is_cancelled() {
        tokio::select! {
            () = shared.slots.want_jobs() => {}
            () = stop.cancelled() => return,
        }
        match token.pop(stop).await {
            Ok(at_ms) => {
                pauses.reset();
                silence.ends();
                match later(shared, at_ms) {
                    Some(at) if !stop.is_cancelled() => shared.timers.due.set(at),
                    // When the worker stops, looking passes the token on to others.
                    _ => shared.slots.wake(),
                }
            }
            Err(trouble) => {
                if silence.goes_on(Instant::now()).log {
                    warn!(queue = shared.queue.name(), %trouble, "waiting for work is held up; the worker looks now and then");
                }
                sleep(pauses.next(fastrand::f64())).await;
                // Tokens may have been lost with the connection.
                shared.slots.wake();
            }
        }
    }
}

/// When there will be work; `None` for now, or after a timeout, which is as good a reason to
/// look.
fn later(shared: &WorkerShared, at_ms: Option<u64>) -> Option<Instant> {
    let at_ms = at_ms?;
    let clock = shared.clock.known()?;
    (at_ms > clock.now_ms()).then(|| clock.instant_of(at_ms))
}
