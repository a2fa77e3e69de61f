//! How an idle worker learns that there is work.
//!
//! One task owns the blocking connection and its pop is never dropped: that would still eat the
//! token. It pops only while there are slots that the last look left empty, so a busy worker
//! never takes a token that it does not need. A token says when there will be work; a worker that
//! pops one for later keeps the timer. If it dies, the others look after 5 s at the latest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::policy::pauses::Pauses;
use crate::policy::silence::Silence;
use crate::worker::alarm::Alarm;
use crate::worker::pump::Pump;

/// Always the same: as long as the worker cannot wait for work, it looks for it this often.
const PAUSES: Pauses = Pauses::between(PAUSE, PAUSE);
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct Waker {
    stop: CancellationToken,
    /// When there will be work.
    pub(crate) timer: Alarm,
    /// When all workers are to hear once more of jobs that this one handed back.
    pub(crate) news: Alarm,
    /// When the first of them may be too old.
    pub(crate) overdue: Alarm,
}

impl Waker {
    pub(crate) fn new() -> Self {
        Self {
            stop: CancellationToken::new(),
            timer: Alarm::new(),
            news: Alarm::new(),
            overdue: Alarm::new(),
        }
    }

    /// The worker claims nothing more: [`listen`] comes to an end.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }
}

/// Keeps the timers.
pub(crate) async fn keep_time(pump: Arc<Pump>) {
    let waker = &pump.waker;
    loop {
        tokio::select! {
            () = waker.timer.rings() => pump.board.look(),
            () = waker.news.rings() => pump.board.look_again(),
            () = waker.overdue.rings() => pump.board.look_again(),
        }
    }
}

/// Pops tokens until the worker stops. Its troubles are its own: a server that forbids this one
/// command, or a proxy that cuts silent connections, is no outage.
pub(crate) async fn listen(pump: Arc<Pump>) {
    let pump = &*pump;
    let mut tap = pump.store().tap();
    let (mut pauses, mut silence) = (PAUSES, Silence::default());
    let stop = &pump.waker.stop;
    while !stop.is_cancelled() {
        tokio::select! {
            () = pump.board.hungry() => {}
            () = stop.cancelled() => return,
        }
        match tap.pop(stop).await {
            Ok(token) => {
                pauses.reset();
                silence.ends();
                match later(pump, token) {
                    Some(at) if !stop.is_cancelled() => pump.waker.timer.set(at),
                    // When the worker stops, looking passes the token on to others.
                    _ => pump.board.look(),
                }
            }
            Err(trouble) => {
                if silence.goes_on(Instant::now()).log {
                    let queue = pump.queue.name();
                    warn!(queue, %trouble, "waiting for work is held up; the worker looks now and then");
                }
                sleep(pauses.next(fastrand::f64())).await;
                // Tokens may have been lost with the connection.
                pump.board.look();
            }
        }
    }
}

/// When there will be work; `None` for now, or after a timeout, which is as good a reason to
/// look.
fn later(pump: &Pump, token: Option<u64>) -> Option<Instant> {
    let at_ms = token?;
    let clock = pump.clock()?;
    (at_ms > clock.now_ms()).then(|| clock.instant_of(at_ms))
}
