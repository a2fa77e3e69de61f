//! Moments and lengths of time as they go over the wire, whole milliseconds; and what is known
//! of the server's clock.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment on the Redis server's clock, in whole milliseconds.
///
/// ```
/// # use oxcart::Timestamp;
/// # use std::time::{Duration, SystemTime};
/// let moment = Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500));
/// assert_eq!(moment.as_millis(), 1_500);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// `ms` milliseconds after the Unix epoch.
    #[must_use]
    pub fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(millis(time.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_millis(time.0)
    }
}

/// Seconds since the Unix epoch, with three decimals.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// Whole milliseconds, rounded up, so that nothing that is positive becomes zero.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// What is known of the server's clock: what it said, and when (on our monotonic clock) we
/// heard it. The estimate can only be late, by the time the answer was under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerClock {
    said_ms: u64,
    heard: Instant,
}

impl ServerClock {
    pub(crate) fn heard_now(said_ms: u64) -> Self {
        Self {
            said_ms,
            heard: Instant::now(),
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.said_ms + self.heard.elapsed().as_millis() as u64
    }

    /// When the server's clock will show `at_ms`; at once if it does already.
    pub(crate) fn instant_of(&self, at_ms: u64) -> Instant {
        self.heard + Duration::from_millis(at_ms.saturating_sub(self.said_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positive_durations_never_become_zero() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(7)), 7);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }
}
