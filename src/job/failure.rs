//! What a handler returns when it does not succeed.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::error::chain;

type Source = Box<dyn StdError + Send + Sync>;

/// Why an attempt failed and what is to become of the job.
///
/// Any error, and any text, turns into one with `?`: the job is then retried with its backoff
/// until its attempts are spent. The constructors below ask for something else.
///
/// It is no [`std::error::Error`] itself, because then not every error could turn into it. A test that calls a
/// handler returns `Result<(), Failure>`, or unwraps.
///
/// ```
/// use oxcart::Failure;
/// use std::time::Duration;
///
/// async fn charge(card: &str) -> Result<u32, Failure> {
///     if card.is_empty() {
///         return Err(Failure::dead("no card on file"));        // no retry will help
///     }
///     if card == "gone" {
///         return Err(Failure::cancel("the customer left"));   // not an error at all
///     }
///     if card == "busy" {
///         return Err(Failure::retry_after(Duration::from_secs(90), "asked to wait"));
///     }
///     let amount: u32 = card.parse()?;                         // any error: retried
///     Ok(amount)
/// }
/// ```
pub struct Failure {
    pub(crate) verdict: Verdict,
    source: Source,
}

/// What is to become of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Retry,
    RetryAfter(Duration),
    Snooze(Duration),
    /// As a snooze, however long that goes on already.
    NotYet(Duration),
    RateLimited(Duration),
    Dead,
    Cancel,
}

impl Failure {
    fn new(verdict: Verdict, error: impl Into<Source>) -> Self {
        Self {
            verdict,
            source: error.into(),
        }
    }

    /// Try again after the job's backoff, if attempts are left. What `?` does.
    #[must_use]
    pub fn retry(error: impl Into<Source>) -> Self {
        Self::new(Verdict::Retry, error)
    }

    /// Try again after this wait instead of the job's backoff, if attempts are left.
    #[must_use]
    pub fn retry_after(wait: Duration, error: impl Into<Source>) -> Self {
        Self::new(Verdict::RetryAfter(wait), error)
    }

    /// Put the job off: it runs again after this wait, and no attempt is burnt. Nothing went wrong; it is too early. How often that
    /// was so, [`Attempt::snoozes`](crate::Attempt::snoozes) and [`JobInfo::snoozes`](crate::JobInfo::snoozes) tell. A job that is put off
    /// again when its first time was a week ago is dead ([`WorkerBuilder::snooze_for`](crate::WorkerBuilder::snooze_for)).
    ///
    /// The wait is at least 1 ms. For a job that is to be done again and again, use a [schedule](crate::Schedule) instead.
    ///
    /// ```
    /// use oxcart::{Context, Failure};
    /// use std::time::Duration;
    ///
    /// # struct Video; impl Video { async fn is_encoded(&self) -> bool { true } }
    /// async fn publish(video: Video, context: Context) -> Result<(), Failure> {
    ///     if !video.is_encoded().await {
    ///         let minutes = u64::from(context.attempt().snoozes + 1).min(10);
    ///         return Err(Failure::snooze(Duration::from_secs(60 * minutes)));
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn snooze(wait: Duration) -> Self {
        Self::new(Verdict::Snooze(wait), format!("snoozed for {wait:?}"))
    }

    /// The other side has asked to wait, as with HTTP's `429` and `Retry-After`. The job goes back to its exact place
    /// and burns no attempt, and no job of the queue starts until the wait is over, in no process; then one worker looks
    /// for work. If the job has a [group](crate::Enqueue::group), no job of that group starts, and the rest of the queue goes on.
    /// A longer wait of another job makes it longer, and [`Queue::resume`](crate::Queue::resume) or
    /// [`Group::resume`](crate::Group::resume) ends it at once. [`Counts::held_until`](crate::Counts::held_until) and
    /// [`GroupInfo::held_until`](crate::GroupInfo::held_until) show it.
    ///
    /// The wait is 100 ms to one day: a shorter one counts as 100 ms, a longer one as one day, after which the job can
    /// ask again. How often it may ask is not limited. While an operator has paused the queue, the job only goes back.
    ///
    /// ```
    /// # use oxcart::Failure;
    /// # use std::time::Duration;
    /// # struct Response { status: u16, retry_after: Option<u64> }
    /// fn check(response: &Response) -> Result<(), Failure> {
    ///     if response.status == 429 {
    ///         let seconds = response.retry_after.unwrap_or(1);
    ///         return Err(Failure::rate_limited(Duration::from_secs(seconds)));
    ///     }
    ///     Ok(())
    /// }
    /// # assert!(check(&Response { status: 429, retry_after: None }).is_err());
    /// ```
    #[must_use]
    pub fn rate_limited(retry_after: Duration) -> Self {
        let error = format!("asked to wait for {retry_after:?}");
        Self::new(Verdict::RateLimited(retry_after), error)
    }

    /// Something lets nobody through now, for this reason: put the job off, however often and for how long it was put off before.
    pub(crate) fn not_yet(wait: Duration, reason: impl Into<Source>) -> Self {
        Self::new(Verdict::NotYet(wait), reason)
    }

    /// Put the job on the dead-letter list now, whatever attempts are left.
    #[must_use]
    pub fn dead(error: impl Into<Source>) -> Self {
        Self::new(Verdict::Dead, error)
    }

    /// The job is no longer wanted: it ends as cancelled, for this reason, which is no failure.
    #[must_use]
    pub fn cancel(reason: impl Into<Source>) -> Self {
        Self::new(Verdict::Cancel, reason)
    }
}

impl<E: Into<Source>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::retry(error)
    }
}

/// The error and all its sources, in one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(self.source.as_ref()))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({:?}, {:?})", self.verdict, self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_strings_and_failures_pass_through_the_question_mark() {
        fn parse() -> Result<u32, Failure> {
            Ok("x".parse::<u32>()?)
        }
        fn text() -> Result<(), Failure> {
            Err("just text")?
        }
        fn owned() -> Result<(), Failure> {
            Err(format!("made {}", "text"))?
        }
        fn kept() -> Result<(), Failure> {
            Err(Failure::dead("over"))?
        }
        assert_eq!(parse().unwrap_err().verdict, Verdict::Retry);
        assert_eq!(text().unwrap_err().to_string(), "just text");
        assert_eq!(owned().unwrap_err().to_string(), "made text");
        assert_eq!(kept().unwrap_err().verdict, Verdict::Dead);
    }
}
