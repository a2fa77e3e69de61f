//! Why a call through a breaker has no output.

use std::fmt;
use std::time::Duration;

use crate::job::failure::Failure;

/// Why a call through a [`Breaker`](crate::Breaker) has no output. With `?` it becomes the [`Failure`] that the attempt ends with.
///
/// It is no [`std::error::Error`] itself, as [`Failure`] is none.
#[derive(Debug)]
#[non_exhaustive]
pub enum BreakerError<E> {
    /// The breaker lets no call go now. The job goes back, burns no attempt, and comes again after the wait.
    Open(BreakerOpen),
    /// The call went, and gave this error. The job fails with it.
    Failed(E),
    /// The call took longer than this ([`BreakerSettings::time_limit`](crate::BreakerSettings::time_limit)), and was dropped. The job fails.
    TimedOut(Duration),
}

/// That a breaker is open, or lets no more calls go now.
///
/// The call was not made, or it was one of those that find out whether the breaker can close ([probes](crate::BreakerSettings::probes)), or it was under way when the breaker opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerOpen {
    pub(crate) breaker: String,
    pub(crate) wait: Duration,
    pub(crate) why: String,
}

impl BreakerOpen {
    /// After how long the job may ask again. The jobs that ask are told different moments, one after the other.
    ///
    /// A handler that has its queue, or its group, for this dependency alone can hold it instead, so that no other job asks in vain:
    /// `Failure::rate_limited(open.wait())`.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// The last error that made it open, or who has forced it.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for BreakerOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { breaker, wait, why } = self;
        write!(
            f,
            "the breaker `{breaker}` is open ({why}); again in {wait:?}"
        )
    }
}

impl<E: fmt::Display> fmt::Display for BreakerError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(open) => open.fmt(f),
            Self::Failed(error) => error.fmt(f),
            Self::TimedOut(limit) => write!(f, "the call took longer than {limit:?}"),
        }
    }
}

impl<E: Into<Failure>> From<BreakerError<E>> for Failure {
    fn from(error: BreakerError<E>) -> Self {
        match error {
            BreakerError::Open(open) => open.into(),
            BreakerError::Failed(error) => error.into(),
            BreakerError::TimedOut(limit) => {
                Self::retry(format!("the call took longer than {limit:?}"))
            }
        }
    }
}

impl From<BreakerOpen> for Failure {
    fn from(open: BreakerOpen) -> Self {
        Self::not_yet(open.wait, open.to_string())
    }
}
