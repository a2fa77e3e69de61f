//! How many bytes a call may carry and ask for: as many as a line takes in a moment, so that an
//! answer on a slow line is not taken for one that never comes.
//!
//! The number grows as long as answers come quickly. A call takes some time even without any bytes,
//! if Redis is far away. That time is known from small calls, and is not counted.

use std::time::Duration;

/// How many bytes a call may have before anything is known of the line.
const FIRST: usize = 64 * 1024;
/// A call of so many bytes is small enough on any line. Smaller calls would only cost more ways there and
/// back.
const LEAST: usize = 32 * 1024;
/// A call of at most so many bytes takes no longer than the way there and back.
const TINY: usize = 1024;
/// Bytes that take no longer than this leave room for more.
const QUICK: Duration = Duration::from_millis(150);
/// Bytes that take longer than this are too many.
const SLOW: Duration = Duration::from_millis(400);
/// How long the bytes of a call should take.
const AIM_MS: u128 = 250;

/// The pace of one line, as the task that makes its calls sees it.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes: usize,
    most: usize,
    /// How long a small call takes.
    latency: Option<Duration>,
}

impl Pace {
    /// For calls of which it is known only afterwards how many bytes come back, `most` at most.
    pub(crate) const fn careful(most: usize) -> Self {
        Self {
            bytes: FIRST,
            most,
            latency: None,
        }
    }

    /// For calls that carry all their bytes themselves, `most` at most: for these it is known
    /// how long an answer may take.
    pub(crate) const fn confident(most: usize) -> Self {
        Self {
            bytes: most,
            most,
            latency: None,
        }
    }

    /// How many bytes the next call may carry and ask for.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A call of so many bytes, there and back, was answered.
    pub(crate) fn answered(&mut self, bytes: usize, took: Duration) {
        if bytes <= LEAST {
            let known = self.latency.unwrap_or(took);
            // The way to Redis may become longer. Only tiny calls can show that: other calls may take
            // longer because of their bytes.
            let drift = if bytes <= TINY {
                known / 8
            } else {
                Duration::ZERO
            };
            self.latency = Some(took.min(known + drift));
        }
        let transfer = took.saturating_sub(self.latency.unwrap_or_default());
        if transfer <= QUICK {
            if bytes >= self.bytes / 2 {
                self.bytes = (self.bytes * 2).min(self.most);
            }
        } else if transfer >= SLOW && bytes > LEAST {
            let fit = bytes as u128 * AIM_MS / transfer.as_millis();
            self.bytes = (fit as usize).clamp(LEAST, self.bytes);
        }
    }

    /// A call that may have had so many bytes, there and back, got no answer in time, or its
    /// connection was cut.
    pub(crate) fn unanswered(&mut self, bytes: usize) {
        if bytes > LEAST {
            self.bytes = (self.bytes.min(bytes) / 4).max(LEAST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1024 * 1024;

    /// Calls as large as they may be, on a line of so many bytes a second and this latency.
    fn paced(bytes_per_second: usize, latency: Duration) -> Pace {
        let mut pace = Pace::careful(MOST);
        let took = |bytes: usize| {
            latency + Duration::from_micros((bytes * 1_000_000 / bytes_per_second) as u64)
        };
        pace.answered(200, took(200));
        for _ in 0..50 {
            let bytes = pace.bytes();
            pace.answered(bytes, took(bytes));
        }
        pace
    }

    #[test]
    fn g9_a_call_has_as_many_bytes_as_the_line_takes_in_a_moment() {
        for latency in [0, 40, 200, 600].map(Duration::from_millis) {
            for rate in [100_000, 500_000, 1_000_000] {
                let bytes = paced(rate, latency).bytes();
                let ms = bytes * 1000 / rate;
                assert!((75..450).contains(&ms), "{bytes} at {rate}, {latency:?}");
            }
            assert_eq!(paced(100_000_000, latency).bytes(), MOST, "{latency:?}");
        }
    }

    #[test]
    fn g9_a_call_without_an_answer_makes_the_next_one_smaller_and_quick_ones_larger_again() {
        let mut pace = paced(100_000_000, Duration::ZERO);
        pace.unanswered(MOST);
        assert_eq!(pace.bytes(), MOST / 4);
        // A small call is lost for another reason than its size.
        pace.unanswered(500);
        assert_eq!(pace.bytes(), MOST / 4);
        for _ in 0..20 {
            pace.unanswered(MOST);
        }
        assert_eq!(pace.bytes(), LEAST);
        for _ in 0..5 {
            pace.answered(pace.bytes(), Duration::from_millis(10));
        }
        assert_eq!(pace.bytes(), MOST);
    }
}
