//! Until when a job may start.

use std::time::SystemTime;

use crate::error::Error;
use crate::time::{Timestamp, check_wait};

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
            Self::At { ms } => {
                let now_ms = Timestamp::from(SystemTime::now()).as_millis();
                check_wait("the time until the job expires", ms.saturating_sub(now_ms))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_that_are_too_long_or_none_at_all_are_refused() {
        let soon = Timestamp::from(SystemTime::now() + Duration::from_secs(60)).as_millis();
        for fine in [
            Expiry::After { ms: 1 },
            Expiry::At { ms: soon },
            Expiry::At { ms: 0 },
        ] {
            assert!(fine.check().is_ok(), "{fine:?}");
        }
        for ms in [1 << 53, u64::MAX] {
            for wrong in [Expiry::After { ms }, Expiry::At { ms }] {
                assert!(wrong.check().unwrap_err().is_invalid(), "{wrong:?}");
            }
        }
        assert!(Expiry::After { ms: 0 }.check().is_err());
    }
}
