//! How long to wait before the same call is tried again: each pause about twice as long as the
//! one before, up to a limit, and never the same for two callers that failed together.

use std::time::Duration;

/// The pauses between the tries of one thing.
#[derive(Debug, Clone)]
pub(crate) struct Pauses {
    first: Duration,
    longest: Duration,
    /// Since it last went well.
    failures: u32,
}

impl Pauses {
    /// From `first`, doubled up to `longest`; before jitter.
    pub(crate) const fn between(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// It failed: the pause before the next try, half to one and a half times its length.
    /// `random` is in 0.0..1.0.
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        let length = self.first.saturating_mul(doubled).min(self.longest);
        length.mul_f64(0.5 + random)
    }

    /// It went well: the next failure is a first one.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Whether the next failure is the first since it last went well.
    pub(crate) fn is_fresh(&self) -> bool {
        self.failures == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: f64 = 0.5;

    #[test]
    fn each_is_twice_as_long_up_to_the_longest_and_begins_anew() {
        let mut pauses = Pauses::between(Duration::from_millis(10), Duration::from_millis(50));
        let lengths = |pauses: &mut Pauses, n: usize| -> Vec<_> {
            (0..n).map(|_| pauses.next(MIDDLE).as_millis()).collect()
        };
        assert!(pauses.is_fresh());
        assert_eq!(lengths(&mut pauses, 5), [10, 20, 40, 50, 50]);
        assert!(!pauses.is_fresh());
        pauses.reset();
        assert!(pauses.is_fresh());
        assert_eq!(lengths(&mut pauses, 2), [10, 20]);
        pauses.failures = u32::MAX;
        assert_eq!(lengths(&mut pauses, 2), [50, 50]);
    }

    #[test]
    fn jitter_keeps_callers_apart() {
        let second = Duration::from_secs(1);
        let pauses = Pauses::between(second, second);
        assert_eq!(pauses.clone().next(0.0), second / 2);
        assert_eq!(pauses.clone().next(1.0), second * 3 / 2);
    }
}
