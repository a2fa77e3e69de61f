//! Whether the server's clock goes as fast as ours.
//!
//! An answer says what the server's clock showed at some moment between the call and its answer, by
//! our monotonic clock. The distance between the two clocks is compared with what it was some time
//! ago. So many small steps are found like one large step; a slow correction of a clock is not.

use std::time::{Duration, Instant};

use crate::time::millis;

/// The older distance that is compared with is between one and two times as old as this.
const MEMORY: Duration = Duration::from_secs(10);

/// How far the server's clock is ahead of ours, at least and at most.
#[derive(Debug, Clone, Copy)]
struct Ahead {
    heard: Instant,
    at_least_ms: i64,
    at_most_ms: i64,
}

/// What is known of how the server's clock goes.
#[derive(Debug)]
pub(crate) struct Drift {
    epoch: Instant,
    tolerance_ms: i64,
    first: Option<Instant>,
    /// The distance to compare with, and the distance that will replace it.
    old: Option<Ahead>,
    young: Option<Ahead>,
}

impl Drift {
    pub(crate) fn new(tolerance: Duration) -> Self {
        Self {
            epoch: Instant::now(),
            tolerance_ms: signed(millis(tolerance)),
            first: None,
            old: None,
            young: None,
        }
    }

    /// The server has said what its clock shows, in answer to a call that was sent then. Whether
    /// the clock has jumped.
    pub(crate) fn heard(&mut self, said_ms: u64, sent: Instant, heard: Instant) -> bool {
        let said_ms = signed(said_ms);
        let ahead = Ahead {
            heard,
            at_least_ms: said_ms - self.ours_ms(heard),
            at_most_ms: said_ms - self.ours_ms(sent),
        };
        self.first.get_or_insert(heard);
        let jumped = self.old.is_some_and(|old| {
            ahead.at_least_ms > old.at_most_ms + self.tolerance_ms
                || ahead.at_most_ms < old.at_least_ms - self.tolerance_ms
        });
        if jumped || self.old.is_none() {
            (self.old, self.young) = (Some(ahead), Some(ahead));
        } else if self
            .young
            .is_none_or(|young| heard.saturating_duration_since(young.heard) >= MEMORY)
        {
            (self.old, self.young) = (self.young.or(self.old), Some(ahead));
        }
        jumped
    }

    /// What the server's clock shows now, once it has been known for this long.
    pub(crate) fn expected_ms(&self, known_for: Duration, now: Instant) -> Option<u64> {
        let known = self.first?;
        let old = self.old?;
        let ahead_ms = i64::midpoint(old.at_least_ms, old.at_most_ms);
        let shown_ms = u64::try_from(self.ours_ms(now) + ahead_ms).ok()?;
        (now.saturating_duration_since(known) >= known_for).then_some(shown_ms)
    }

    fn ours_ms(&self, at: Instant) -> i64 {
        let since = at.saturating_duration_since(self.epoch);
        signed(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: Duration = Duration::from_secs(1);
    const START_MS: u64 = 1_700_000_000_000;

    /// Hears the server every second, which each time is `step_ms` further ahead; after how many
    /// seconds that is a jump, if ever.
    fn jumps_after(step_ms: i64, every_s: u64, seconds: u64) -> Option<u64> {
        let mut drift = Drift::new(TOLERANCE);
        let start = drift.epoch;
        let mut ahead_ms = 0;
        for second in 0..seconds {
            if second > 0 && second % every_s == 0 {
                ahead_ms += step_ms;
            }
            let at = start + Duration::from_secs(second);
            let shown_ms = START_MS + second * 1_000;
            let said_ms = shown_ms.checked_add_signed(ahead_ms).unwrap();
            if drift.heard(said_ms, at, at + Duration::from_millis(3)) {
                return Some(second);
            }
        }
        None
    }

    #[test]
    fn g6_large_steps_and_small_ones_that_add_up_are_jumps_and_slow_corrections_are_not() {
        assert_eq!(jumps_after(172_800_000, 5, 60), Some(5));
        assert_eq!(jumps_after(-3_600_000, 5, 60), Some(5));
        assert_eq!(jumps_after(900, 1, 60), Some(2));
        assert_eq!(jumps_after(-900, 4, 60), Some(8));
        // A clock that is corrected by half a thousandth, for hours.
        assert_eq!(jumps_after(1, 2, 20_000), None);
        assert_eq!(jumps_after(900, 60, 20_000), None);
    }

    #[test]
    fn g6_an_answer_that_was_under_way_for_long_is_no_jump() {
        let mut drift = Drift::new(TOLERANCE);
        let start = drift.epoch;
        let at = |ms| start + Duration::from_millis(ms);
        assert!(!drift.heard(START_MS, at(0), at(2)));
        // Carried out at once and answered late; sent early and carried out late.
        assert!(!drift.heard(START_MS + 1_000, at(1_000), at(9_000)));
        assert!(!drift.heard(START_MS + 18_000, at(10_000), at(18_001)));
        assert_eq!(drift.expected_ms(Duration::from_secs(20), at(19_000)), None);
        let known = drift.expected_ms(Duration::from_secs(2), at(19_000));
        assert!(known.unwrap().abs_diff(START_MS + 19_000) <= 2);
    }
}
