//! What a process knows of a breaker without asking.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For so long calls go without asking when the breaker was closed.
const CLOSED_FOR: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Known {
    state: Mutex<State>,
    /// Calls that ended well, and are to be told with the next call.
    succeeded: AtomicU64,
}

#[derive(Debug, Default)]
enum State {
    /// Each call asks.
    #[default]
    Unknown,
    /// It counts as closed until then.
    Closed(Instant),
    /// Each call asks; without an answer it counts as open until then, and why.
    Open(Instant, String),
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, State> {
        let locked = self.state.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call may go without asking. If that was known and is too long ago, one caller asks, and the others go on meanwhile.
    pub(crate) fn is_closed(&self, now: Instant) -> bool {
        match &mut *self.lock() {
            State::Closed(until) if now < *until => true,
            State::Closed(until) => {
                *until = now + CLOSED_FOR;
                false
            }
            State::Unknown | State::Open(..) => false,
        }
    }

    /// Why it is open, if it was so when Redis last answered, and not long ago.
    pub(crate) fn why_open(&self, now: Instant) -> Option<String> {
        match &*self.lock() {
            State::Open(until, why) if now < *until => Some(why.clone()),
            _ => None,
        }
    }

    pub(crate) fn closed(&self, now: Instant) {
        *self.lock() = State::Closed(now + CLOSED_FOR);
    }

    pub(crate) fn open(&self, until: Instant, why: &str) {
        *self.lock() = State::Open(until, why.to_owned());
    }

    pub(crate) fn forget(&self) {
        *self.lock() = State::Unknown;
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
        known.closed(now);
        assert_eq!(asking(now), 0);
        let later = now + CLOSED_FOR;
        assert_eq!([asking(later), asking(later)], [1, 0]);
        assert_eq!(asking(later + CLOSED_FOR), 1);
        known.forget();
        assert_eq!(asking(later), 5);
    }

    #[test]
    fn what_was_open_stays_open_for_a_while() {
        let known = Known::default();
        let now = Instant::now();
        assert_eq!(known.why_open(now), None);
        known.open(now + CLOSED_FOR, "503");
        assert!(!known.is_closed(now));
        assert_eq!(known.why_open(now).as_deref(), Some("503"));
        assert_eq!(known.why_open(now + CLOSED_FOR), None);
        known.closed(now);
        assert_eq!(known.why_open(now), None);
    }

    #[test]
    fn what_went_well_is_told_once() {
        let known = Known::default();
        known.succeeded(2);
        known.succeeded(1);
        assert_eq!((known.take_succeeded(), known.take_succeeded()), (3, 0));
    }
}
