//! When a task has to look at something next.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::time::ServerClock;

/// Rings at the earliest moment it was set to since it last rang. Many set it, one task waits.
pub(crate) struct Alarm {
    at: watch::Sender<Option<Instant>>,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self {
            at: watch::Sender::new(None),
        }
    }

    /// To ring then, or earlier if that was asked for before.
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

    /// An answer told this moment of the server's clock, if any.
    pub(crate) fn set_by(&self, clock: ServerClock, at_ms: Option<u64>) {
        if let Some(at_ms) = at_ms {
            self.set(clock.instant_of(at_ms));
        }
    }

    /// Waits until it rings. Cancel safe.
    pub(crate) async fn rings(&self) {
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
                // The sender lives as long as we do.
                _ = changes.changed() => {}
                () = waiting => {
                    // What was set meanwhile was earlier still: it rings with this.
                    self.at.send_replace(None);
                    return;
                }
            }
        }
    }
}
