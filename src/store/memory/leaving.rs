//! Jobs that leave what they were, for what waits for them: their gates, their unique keys, their parents.

use crate::id::JobId;
use crate::memory::state::Collection;

/// A job that leaves what it was.
pub(crate) struct Leaving {
    pub(crate) id: JobId,
    pub(crate) record: Vec<u8>,
    pub(crate) from: Collection,
    pub(crate) to: Goes,
    /// How it ended, if it did.
    pub(crate) ending: Vec<u8>,
}

impl Leaving {
    pub(crate) fn ended(self, ending: &[u8]) -> Self {
        let ending = ending.to_vec();
        Self { ending, ..self }
    }
}

/// Where a job goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goes {
    Waiting,
    Delayed,
    Dead,
    Removed,
    /// It comes to its gate anew.
    Moved,
    Ended,
}
