//! How long a finished job is kept.

use std::time::Duration;

use crate::time::millis;

/// How long a completed or cancelled job, with its result, is kept. Dead letters are kept until
/// they are replayed or removed.
///
/// The default of a queue is one day, and at most 1,000 completed jobs
/// ([`QueueSettings`](crate::QueueSettings)). What a job asks for itself
/// ([`Enqueue::keep`](crate::Enqueue::keep)) overrides both. A job that a caller waits for keeps its
/// result for at least 60 s, whatever is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retention {
    /// Keep nothing: the job is dropped as soon as it ends.
    Nothing,
    /// Keep the job and its result this long.
    For(Duration),
}

impl Retention {
    pub(crate) const DEFAULT: Self = Self::For(Duration::from_secs(24 * 60 * 60));

    /// Milliseconds, 0 for not at all.
    pub(crate) fn as_millis(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::For(age) => millis(age),
        }
    }

    pub(crate) fn from_millis(ms: u64) -> Self {
        match ms {
            0 => Self::Nothing,
            ms => Self::For(Duration::from_millis(ms)),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self::DEFAULT
    }
}
