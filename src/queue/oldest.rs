//! Since when the oldest job waits.

use std::time::Duration;

use crate::error::Error;
use crate::id::JobId;
use crate::queue::Queue;
use crate::store::oldest::Oldest;
use crate::time::Timestamp;

/// Priorities that are looked at: one command for each, and two for the jobs in it.
const PRIORITIES: usize = 64;

/// The job that has waited for longest ([`Queue::oldest_waiting`]).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OldestWaiting {
    /// Which job it is.
    pub id: JobId,
    /// When it was enqueued.
    pub enqueued_at: Timestamp,
    /// How long ago that is, by the server's clock.
    pub age: Duration,
}

impl Queue {
    /// The job that has waited for longest, counted from when it was enqueued; `None` if none waits. If the age grows, the queue falls behind,
    /// or jobs of low priority starve, or no worker has a handler for them.
    ///
    /// It is one cheap read, however many jobs wait, and looks at a few of them: of each priority that has jobs in line the first that
    /// came to its back and the first that came to its front; the first job that waits apart because its worker died; and the first that
    /// waits for a worker that has a handler of its name, or whose name is paused. If jobs have more than 64 different priorities, only the 64
    /// least urgent ones are looked at, where jobs wait for longest. So a job that got in line later than others although it was enqueued
    /// before them (it was delayed, or is tried again) may be older than what is told. Blocked and delayed jobs do not wait in line, and are not
    /// looked at.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use std::time::Duration;
    /// # async fn example(mail: Queue) -> Result<(), Error> {
    /// if let Some(oldest) = mail.oldest_waiting().await? && oldest.age > Duration::from_secs(600) {
    ///     println!("{} waits since {}", oldest.id, oldest.enqueued_at);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn oldest_waiting(&self) -> Result<Option<OldestWaiting>, Error> {
        let priorities = PRIORITIES;
        let found = self.inner.call(&Oldest { priorities }).await?;
        Ok(found.map(|found| OldestWaiting {
            id: JobId::stored(&found.id),
            enqueued_at: Timestamp::from_millis(found.enqueued_ms),
            age: Duration::from_millis(found.now_ms.saturating_sub(found.enqueued_ms)),
        }))
    }
}
