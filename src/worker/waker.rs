//! How an idle worker learns that there is work.
//!
//! One task owns the blocking connection and is never cancelled while the worker claims: a
//! dropped pop would still eat the token. It pops only while there are slots that the last look
//! left empty, so a busy worker never takes a token that it does not need. A token says when there will be work; whoever
//! pops one for later keeps the timer. If it dies, the others look after 5 s at the latest.

use std::time::Duration;

use redis::Value;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use crate::redis::connection::Link;
use crate::worker::pump::Pump;

/// Fixed: shorter times on the server fire up to 99 ms late.
const BLOCK: Duration = Duration::from_secs(5);
/// An answer that is later than this is none: the connection is dead.
const WATCHDOG: Duration = Duration::from_secs(6);
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct Waker {
    hungry: Notify,
    timer: watch::Sender<Option<Instant>>,
}

impl Waker {
    pub(crate) fn new() -> Self {
        Self {
            hungry: Notify::new(),
            timer: watch::Sender::new(None),
        }
    }

    /// The board may have become hungry.
    pub(crate) fn check(&self) {
        self.hungry.notify_one();
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

/// Pops tokens. Its troubles are its own: a server that forbids this one command, or a proxy
/// that cuts silent connections, is no outage.
pub(crate) async fn listen(pump: &Pump) {
    let mut link = Link::new(pump.connector().clone(), WATCHDOG);
    let mut command = redis::cmd("BZPOPMIN");
    command.arg(pump.store().keys.wake()).arg(BLOCK.as_secs());
    let mut well = true;
    loop {
        while !pump.board.is_hungry() {
            pump.waker.hungry.notified().await;
        }
        match link.request(&command).await {
            Ok(answer) => {
                well = true;
                match later(pump, answer) {
                    Some(at) => pump.waker.look_at(at),
                    None => pump.board.look(),
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
fn later(pump: &Pump, answer: Value) -> Option<std::time::Instant> {
    let Value::Array(popped) = answer else {
        return None;
    };
    let score = match popped.into_iter().nth(2)? {
        Value::BulkString(digits) => std::str::from_utf8(&digits).ok()?.parse::<f64>().ok()?,
        Value::Double(score) => score,
        _ => return None,
    };
    let at_ms = score as u64;
    let clock = pump.clock()?;
    (at_ms > clock.now_ms()).then(|| clock.instant_of(at_ms))
}
