//! The clock of the queues in memory: the system's, turned forward by as much as a test wants.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Ten years: what lies further ahead than that is a mistake, and would not fit for long.
const TURN_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Tells the time in microseconds.
#[derive(Default)]
pub(crate) struct Clock {
    /// Where it stands still; 0 while it runs.
    still_us: AtomicU64,
    /// By how much it is ahead.
    ahead_us: AtomicU64,
}

impl Clock {
    pub(crate) fn now_us(&self) -> u64 {
        let base = match self.still_us.load(Ordering::SeqCst) {
            0 => micros(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default(),
            ),
            still => still,
        };
        base + self.ahead_us.load(Ordering::SeqCst)
    }

    /// Turns it forward, by at most ten years at a time.
    pub(crate) fn advance(&self, time: Duration) {
        let by = micros(time.min(TURN_MAX));
        self.ahead_us.fetch_add(by, Ordering::SeqCst);
    }

    /// Stops it, and sets it.
    #[cfg(test)]
    pub(crate) fn set(&self, now_us: u64) {
        self.still_us.store(now_us, Ordering::SeqCst);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
