//! What a process knows of a breaker without asking.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For so long calls go without asking when the breaker was closed.
const CLOSED_FOR: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Until when it counts as closed. None: each call asks.
    closed_until: Mutex<Option<Instant>>,
    /// Calls that ended well, and are to be told with the next call.
    succeeded: AtomicU64,
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        let locked = self.closed_until.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call may go without asking. If that was known and is too long ago, one caller asks, and the others go on meanwhile.
    pub(crate) fn is_closed(&self, now: Instant) -> bool {
        let mut until = self.lock();
        match *until {
            Some(then) if now < then => true,
            Some(_) => {
                *until = Some(now + CLOSED_FOR);
                false
            }
            None => false,
        }
    }

    pub(crate) fn closed(&self) {
        *self.lock() = Some(Instant::now() + CLOSED_FOR);
    }

    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    pub(crate) fn succeeded(&self, calls: u64) {
        self.succeeded.fetch_add(calls, Ordering::Relaxed);
    }

    pub(crate) fn take_succeeded(&self) -> u64 {
        self.succeeded.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_in_a_second_asks_while_it_is_closed() {
        let known = Known::default();
        let now = Instant::now();
        let asking = |now| (0..5).filter(|_| !known.is_closed(now)).count();
        assert_eq!(asking(now), 5);
        known.closed();
        assert_eq!(asking(now), 0);
        let later = Instant::now() + CLOSED_FOR;
        assert_eq!([asking(later), asking(later)], [1, 0]);
        assert_eq!(asking(later + CLOSED_FOR), 1);
        known.forget();
        assert_eq!(asking(later), 5);
    }

    #[test]
    fn what_went_well_is_told_once() {
        let known = Known::default();
        known.succeeded(2);
        known.succeeded(1);
        assert_eq!((known.take_succeeded(), known.take_succeeded()), (3, 0));
    }
}
