//! How an idle worker learns that there is work.
//!
//! One task owns the blocking connection and its pop is never dropped: that would still eat the
//! token. It pops only while there are slots that the last look left empty, so a busy worker
//! never takes a token that it does not need. A token says when there will be work; whoever
//! pops one for later keeps the timer. If it dies, the others look after 5 s at the latest.

use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::worker::pump::Pump;

const PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct Waker {
    hungry: Notify,
    stop: CancellationToken,
    timer: watch::Sender<Option<Instant>>,
}

impl Waker {
    pub(crate) fn new() -> Self {
        Self {
            hungry: Notify::new(),
            stop: CancellationToken::new(),
            timer: watch::Sender::new(None),
        }
    }

    /// The board may have become hungry.
    pub(crate) fn check(&self) {
        self.hungry.notify_one();
    }

    /// The worker claims nothing more: [`listen`] comes to an end.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Look then, or earlier if that was asked for before.
    pub(crate) fn look_at(&self, at: std::time::Instant) {
        let at = Instant::from_std(at);
        self.timer.send_if_modified(|timer| {
            let earlier = timer.is_none_or(|known| at < known);
            if earlier {
                *timer = Some(at);
            }
            earlier
        });
    }
}

/// Keeps the timer.
pub(crate) async fn keep_time(pump: &Pump) {
    let mut timer = pump.waker.timer.subscribe();
    loop {
        let at = *timer.borrow_and_update();
        let Some(at) = at else {
            if timer.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            _ = timer.changed() => {}
            () = sleep_until(at) => {
                pump.waker.timer.send_modify(|timer| {
                    if *timer == Some(at) {
                        *timer = None;
                    }
                });
                pump.board.look();
            }
        }
    }
}

/// Pops tokens until the worker stops. Its troubles are its own: a server that forbids this one
/// command, or a proxy that cuts silent connections, is no outage.
pub(crate) async fn listen(pump: &Pump) {
    let mut tap = pump.store().tap();
    let mut well = true;
    let stop = &pump.waker.stop;
    while !stop.is_cancelled() {
        if !pump.board.is_hungry() {
            tokio::select! {
                () = pump.waker.hungry.notified() => {}
                () = stop.cancelled() => {}
            }
            continue;
        }
        match tap.pop(stop).await {
            Ok(token) => {
                well = true;
                match later(pump, token) {
                    Some(at) if !stop.is_cancelled() => pump.waker.look_at(at),
                    // When the worker stops, looking passes the token on to others.
                    _ => pump.board.look(),
                }
            }
            Err(trouble) => {
                if well {
                    warn!(%trouble, "waiting for work is held up; the worker looks now and then");
                    well = false;
                }
                sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await;
                // Tokens may have been lost with the connection.
                pump.board.look();
            }
        }
    }
}

/// When there will be work; `None` for now, or after a timeout, which is as good a reason to
/// look.
fn later(pump: &Pump, token: Option<u64>) -> Option<std::time::Instant> {
    let at_ms = token?;
    let clock = pump.clock()?;
    (at_ms > clock.now_ms()).then(|| clock.instant_of(at_ms))
}
