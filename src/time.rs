//! Moments and lengths of time as they go over the wire, whole milliseconds; and what is known
//! of the server's clock.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use humantime::format_rfc3339_millis;

use crate::error::Error;

/// No wait, interval or retention is longer than this.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// When the year 10000 begins.
const YEAR_10000_MS: u64 = 253_402_300_800_000;

/// A moment on the Redis server's clock, in whole milliseconds.
///
/// ```
/// # use oxcart::Timestamp;
/// # use std::time::{Duration, SystemTime};
/// let moment = Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500));
/// assert_eq!(moment.as_millis(), 1_500);
/// assert_eq!(moment.to_string(), "1970-01-01T00:00:01.500Z");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

/// As in RFC 3339, in UTC: `2026-11-21T03:00:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The format has four digits for the year.
        match self.0 < YEAR_10000_MS {
            true => write!(f, "{}", format_rfc3339_millis(SystemTime::from(*self))),
            false => write!(f, "{} ms after 1970", self.0),
        }
    }
}

/// As it is displayed: a person who reads a log cannot read bare milliseconds.
impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whole milliseconds, rounded up, so that nothing that is positive becomes zero.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Refuses what is longer than [`WAIT_MAX`]; `what` begins the error.
pub(crate) fn check_wait(what: impl fmt::Display, ms: u64) -> Result<(), Error> {
    if u128::from(ms) > WAIT_MAX.as_millis() {
        return Err(Error::invalid(format!(
            "{what} is longer than 10 years; at most 10 years are allowed"
        )));
    }
    Ok(())
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
    fn a_moment_is_shown_in_utc_as_rfc_3339_says() {
        for (ms, shown) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_001, "2000-02-29T00:00:00.001Z"),
            (1_795_230_000_000, "2026-11-21T03:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (u64::MAX, "18446744073709551615 ms after 1970"),
        ] {
            let moment = Timestamp::from_millis(ms);
            assert_eq!(moment.to_string(), shown);
            assert_eq!(format!("{moment:?}"), shown);
        }
    }

    #[test]
    fn positive_durations_never_become_zero() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_millis(7)), 7);
        assert_eq!(millis(Duration::MAX), u64::MAX);
    }
}
