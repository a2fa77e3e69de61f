//! The log of a job: what its handlers have said.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use crate::error::Error;
use crate::id::{Fence, JobId};
use crate::job::Job;
use crate::queue::Queue;
use crate::queue::handle::JobHandle;
use crate::store;
use crate::time::Timestamp;

/// A line of the log of a job: what a handler has said ([`Context::log`](crate::Context::log)).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// Counts up from 1, from line to line of the job, through all of its attempts.
    pub number: u64,
    /// When the handler said it, by the server's clock.
    pub at: Timestamp,
    /// Which attempt it was, from 1; a job that was replayed begins with 1 again.
    pub attempt: u32,
    /// The fence of the attempt, which no other attempt has.
    pub fence: Fence,
    /// The line, as the handler said it.
    pub text: String,
}

impl LogLine {
    /// So many lines are kept of a job, the newest ones.
    pub const KEPT: usize = 100;
    /// A line is cut to so many bytes, at a character.
    pub const BYTES_MAX: usize = 4 * 1024;

    /// A line as it is stored; `None` if another program wrote it.
    fn read(number: u64, stored: &[u8]) -> Option<Self> {
        let stored = String::from_utf8_lossy(stored);
        let mut words = stored.splitn(5, ' ');
        let mut word = || words.next();
        let (at, attempt, fence) = (word()?, word()?, word()?);
        let _within_the_attempt: u64 = word()?.parse().ok()?;
        Some(Self {
            number,
            at: Timestamp::from_millis(at.parse().ok()?),
            attempt: attempt.parse().ok()?,
            fence: Fence(fence.parse().ok()?),
            text: word()?.to_owned(),
        })
    }
}

/// A request for the log of a job: see [`Queue::logs`]. Awaited, it gives the lines, the oldest first.
///
/// # Errors
///
/// If Redis does not answer; see [`Queue`].
///
/// # Cancel safety
///
/// Only reads.
#[must_use = "nothing is read until it is awaited"]
#[derive(Debug, Clone)]
pub struct Logs {
    queue: Queue,
    id: JobId,
    after: u64,
}

impl Queue {
    /// What the handlers of a job have said of it ([`Context::log`](crate::Context::log)): up to [100 lines](LogLine::KEPT), also while it
    /// runs. There are none of a job that has said nothing, or of which nothing is known (any more): the log goes with the job, in
    /// whatever way that goes.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(mail: Queue, id: JobId) -> Result<(), Error> {
    /// let mut last = 0;
    /// for line in mail.logs(&id).await? {
    ///     println!("{} attempt {}: {}", line.at, line.attempt, line.text);
    ///     last = line.number;
    /// }
    /// let what_came_since = mail.logs(&id).after(last).await?;
    /// # Ok(()) }
    /// ```
    pub fn logs(&self, id: &JobId) -> Logs {
        Logs {
            queue: self.clone(),
            id: id.clone(),
            after: 0,
        }
    }
}

impl<J: Job> JobHandle<J> {
    /// What its handlers have said of the job; see [`Queue::logs`].
    pub fn logs(&self) -> Logs {
        self.queue().logs(self.id())
    }
}

impl Logs {
    /// Only lines with a higher [number](LogLine::number): what came since.
    pub fn after(mut self, number: u64) -> Self {
        self.after = number;
        self
    }
}

impl IntoFuture for Logs {
    type Output = Result<Vec<LogLine>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (id, after) = (self.id.as_str(), self.after);
            let lines = self
                .queue
                .inner
                .call(&store::logs::Logs { id, after })
                .await?;
            let lines = lines.iter();
            Ok(lines
                .filter_map(|(number, line)| LogLine::read(*number, line))
                .collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_another_program_wrote_is_passed_over() {
        let line = LogLine::read(3, b"1700000000000 2 17 5 50 % of it").unwrap();
        let read = (line.at.as_millis(), line.attempt, line.fence, &*line.text);
        assert_eq!(read, (1_700_000_000_000, 2, Fence(17), "50 % of it"));
        for bad in [&b""[..], b"1 2 3 4", b"1 2 3 x text", b"now 2 3 4 text"] {
            assert_eq!(LogLine::read(1, bad), None, "{}", bad.escape_ascii());
        }
    }
}
