//! Which failures are reported when something fails again and again: not the first failure, because the next
//! try often succeeds; then one now and then for as long as it lasts.

use std::time::{Duration, Instant};

/// So many failures in a row before the first report.
const QUIET: u32 = 1;
/// It is said again in the log after this.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// How long something has failed, and when that was last said.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    failures: u32,
    said: Option<Instant>,
}

/// How a failure is reported.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// It is worth a line in the log.
    pub(crate) log: bool,
    /// It is reported for the first time since it last went well.
    pub(crate) first: bool,
}

impl Silence {
    /// It failed.
    pub(crate) fn goes_on(&mut self, now: Instant) -> Told {
        self.failures = self.failures.saturating_add(1);
        let first = self.said.is_none() && self.failures > QUIET;
        let again = self
            .said
            .is_some_and(|said| now.saturating_duration_since(said) >= AGAIN_AFTER);
        let log = first || again;
        if log {
            self.said = Some(now);
        }
        Told { log, first }
    }

    /// It went well. Returns whether a failure had been reported before.
    pub(crate) fn ends(&mut self) -> bool {
        std::mem::take(self).said.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_failure_is_not_spoken_of_and_a_long_one_once_a_minute() {
        let start = Instant::now();
        let mut silence = Silence::default();
        let mut said = Vec::new();
        for second in 0..150 {
            let told = silence.goes_on(start + Duration::from_secs(second));
            assert_eq!(told.first, second == 1);
            if told.log {
                said.push(second);
            }
        }
        assert_eq!(said, [1, 61, 121]);
        assert!(silence.ends());
        assert!(!silence.ends());
        let again = silence.goes_on(start + Duration::from_secs(150));
        assert_eq!(
            again,
            Told {
                log: false,
                first: false
            }
        );
        assert!(!silence.ends());
    }
}
