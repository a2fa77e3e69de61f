//! A moment on the clock of the server.

use std::fmt;

use oxcart::Timestamp;
use serde::{Serialize, Serializer};

/// A moment on the clock of the Redis server. In JSON it is a text as in RFC 3339, in UTC: `2026-11-21T03:00:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub Timestamp);

impl Moment {
    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        self.0.as_millis()
    }

    /// So many milliseconds after the Unix epoch.
    #[must_use]
    pub fn from_millis(ms: u64) -> Self {
        Self(Timestamp::from_millis(ms))
    }

    /// How many milliseconds before `now` it was; 0 if it is still to come.
    #[must_use]
    pub fn ms_before(self, now: Self) -> u64 {
        now.as_millis().saturating_sub(self.as_millis())
    }
}

impl From<Timestamp> for Moment {
    fn from(moment: Timestamp) -> Self {
        Self(moment)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
