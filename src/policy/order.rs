//! Which jobs run one after the other.

use crate::error::Error;
use crate::policy::key::check_key;

/// Jobs with the same key run one at a time, in the order in which they were enqueued: also through retries, stalls,
/// released leases and shutdowns. See [`Enqueue::ordered_by`](crate::Enqueue::ordered_by).
///
/// ```
/// use oxcart::{OnFailure, Order};
///
/// let plain: Order = "order-17".into();
/// let strict = Order::by("order-17").on_failure(OnFailure::Halt);
/// # let _ = (plain, strict);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub(crate) key: String,
    pub(crate) on_failure: OnFailure,
}

/// What a job that fails does to the jobs of the same key behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// They wait as long as the job has attempts left. Once it is dead, they go on. The default.
    #[default]
    UntilDead,
    /// They wait as long as the job has attempts left, and once it is dead, until it is replayed or removed.
    Halt,
    /// They go on while the job waits for its next attempt. When that is due, the job is the next of its key.
    Pass,
}

impl Order {
    /// One at a time, in the order in which they were enqueued. The key has 1 to 512 bytes.
    #[must_use]
    pub fn by(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            on_failure: OnFailure::default(),
        }
    }

    /// What the job does to the jobs behind it when it fails. Default: [`OnFailure::UntilDead`].
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_key("the order (`ordered_by`)", &self.key)
    }
}

impl<K: Into<String>> From<K> for Order {
    fn from(key: K) -> Self {
        Self::by(key)
    }
}
