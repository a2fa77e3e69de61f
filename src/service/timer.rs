//! When a worker has to look at something next.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::time::ServerClock;

/// The moments at which one worker has to look at something.
#[derive(Default)]
pub(crate) struct Timers {
    /// When delayed jobs become due.
    pub(crate) due: Timer,
    /// When this worker has to fire ticks of schedules.
    pub(crate) tick: Timer,
    /// When all workers are to hear once more of jobs that this one handed back.
    pub(crate) news: Timer,
    /// When the first of these jobs may be too old.
    pub(crate) overdue: Timer,
}

/// Fires at the earliest moment it was set to since it last fired. Many set it, one task waits.
pub(crate) struct Timer {
    at: watch::Sender<Option<Instant>>,
}

impl Default for Timer {
    fn default() -> Self {
        Self {
            at: watch::Sender::new(None),
        }
    }
}

impl Timer {
    /// To fire then, or earlier if that was asked for before.
    pub(crate) fn set(&self, at: std::time::Instant) {
        let at = Instant::from_std(at);
        self.at.send_if_modified(|known| {
            let earlier = known.is_none_or(|known| at < known);
            if earlier {
                *known = Some(at);
            }
            earlier
        });
    }

    /// An answer named this moment of the server's clock, if any.
    pub(crate) fn set_by(&self, clock: ServerClock, at_ms: Option<u64>) {
        if let Some(at_ms) = at_ms {
            self.set(clock.instant_of(at_ms));
        }
    }

    /// Waits until it fires. Cancel safe.
    pub(crate) async fn fires(&self) {
        let mut changes = self.at.subscribe();
        loop {
            let at = *changes.borrow_and_update();
            let waiting = async {
                match at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The sender lives as long as this waits.
                _ = changes.changed() => {}
                () = waiting => {
                    // If an even earlier moment was set meanwhile, it fires together with this one.
                    self.at.send_replace(None);
                    return;
                }
            }
        }
    }
}
