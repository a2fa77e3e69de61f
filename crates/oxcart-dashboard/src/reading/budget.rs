//! How many commands may be sent to Redis.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many commands a second, and some at once when there were none for a while.
pub(super) struct Budget {
    per_second: f64,
    at_once: f64,
    left: Mutex<(f64, Instant)>,
}

impl Budget {
    pub(super) fn new(per_second: f64, at_once: f64) -> Self {
        Self {
            per_second,
            at_once,
            left: Mutex::new((at_once, Instant::now())),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut f64) -> T) -> T {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (commands, since) = &mut *left;
        let now = Instant::now();
        *commands += now.duration_since(*since).as_secs_f64() * self.per_second;
        *commands = commands.min(self.at_once);
        *since = now;
        act(commands)
    }

    /// How many may be sent now.
    pub(super) fn left(&self) -> usize {
        self.with(|left| left.max(0.0) as usize)
    }

    /// Takes them if something is left: there may be a debt afterwards, in which nothing more can be taken.
    pub(super) fn take(&self, commands: usize) -> bool {
        self.with(|left| {
            let is_there = *left > 0.0;
            if is_there {
                *left -= commands as f64;
            }
            is_there
        })
    }

    /// As `borrow`, unless it would take longer than this until they are sent: then nothing is taken. Of a larger debt so much is forgiven that the
    /// next ones are lent after this time.
    pub(super) fn lend(&self, commands: usize, at_most: Duration) -> Option<Duration> {
        let longest = at_most.as_secs_f64() * self.per_second;
        let is_too_much = self.with(|left| {
            *left = left.max(-self.at_once - 2.0 * longest);
            -*left > self.at_once + longest
        });
        (!is_too_much).then(|| self.borrow(commands))
    }

    /// Forgives what could not be paid back within this time.
    pub(super) fn forgive(&self, longer_than: Duration) {
        self.with(|left| *left = left.max(-self.per_second * longer_than.as_secs_f64()));
    }

    /// Takes them in any case, and says how long to wait before they are sent: nobody waits as long as the debt is small.
    pub(super) fn borrow(&self, commands: usize) -> Duration {
        self.with(|left| {
            let too_much = (-*left - self.at_once).max(0.0);
            *left -= commands as f64;
            Duration::from_secs_f64(too_much / self.per_second)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_is_missing_later() {
        let budget = Budget::new(0.001, 10.0);
        assert_eq!(budget.left(), 10);
        assert!(budget.take(15), "the last one may take too much");
        assert!(!budget.take(1), "there is a debt");
        assert_eq!(budget.borrow(5), Duration::ZERO, "a small debt is fine");
        assert_eq!(budget.borrow(1), Duration::ZERO);
        assert!(budget.borrow(1) > Duration::from_secs(100));
        budget.forgive(Duration::from_secs(1));
        assert_eq!(budget.borrow(1), Duration::ZERO);
    }

    #[test]
    fn nobody_lends_so_much_that_others_wait_for_long() {
        let second = Duration::from_secs(1);
        let budget = Budget::new(50.0, 10.0);
        let lent = (0..1_000).filter(|_| budget.lend(2, second).is_some());
        // 10 that are there, 10 at once, and what comes in a second; a slow machine has some more.
        assert!((30..200).contains(&lent.count()));
        budget.borrow(100_000);
        assert!(budget.lend(2, second).is_none());
        std::thread::sleep(second);
        assert!(budget.lend(2, second).is_some_and(|wait| wait <= second));
    }
}
