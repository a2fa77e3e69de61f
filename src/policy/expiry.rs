//! Until when a job may start.

use crate::error::Error;
use crate::time::check_wait;

/// When a job that no worker has taken is over, by the server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// So long after it was enqueued.
    After {
        ms: u64,
    },
    At {
        ms: u64,
    },
}

impl Expiry {
    pub(crate) fn check(self) -> Result<(), Error> {
        match self {
            Self::After { ms: 0 } => Err(Error::invalid(
                "the job expires at once (`expires_in`); 1 ms or more is allowed",
            )),
            Self::After { ms } => check_wait("the time until the job expires", ms),
            Self::At { .. } => Ok(()),
        }
    }
}
