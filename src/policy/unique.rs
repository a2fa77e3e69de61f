//! Which jobs are there only once.

use std::time::Duration;

use crate::error::Error;
use crate::policy::key::check_key;
use crate::time::{check_wait, millis};

/// Of all jobs of one type with the same key in a queue, only one waits or runs at a time. Whether the key is free is decided in
/// the call that adds the job, so two callers never both get it. See [`Enqueue::unique`](crate::Enqueue::unique).
///
/// | what | default |
/// |---|---|
/// | the key is taken | until the job has ended, in whatever way |
/// | a duplicate | is not added; its caller gets a handle to the job that is there |
///
/// ```
/// use std::time::Duration;
///
/// use oxcart::{OnDuplicate, Unique};
///
/// // One export per user at a time.
/// let plain: Unique = "user-7".into();
/// // An idempotency key: whatever becomes of the job, nothing happens twice within a day. The job asks to be kept as long
/// // (`Enqueue::keep`), so that its result is there for a second caller.
/// let once = Unique::by("request-17").for_time(Duration::from_secs(24 * 3600));
/// // While it waits, the last payload wins.
/// let last = Unique::by("user-7").until_started().on_duplicate(OnDuplicate::Replace);
/// # let _ = (plain, once, last);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    pub(crate) key: String,
    pub(crate) until: Until,
    pub(crate) on_duplicate: OnDuplicate,
    /// Of a debounce.
    pub(crate) wait_at_most: Option<Duration>,
}

/// How long a key is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Until {
    #[default]
    Ended,
    Started,
    After(Duration),
}

/// What a job does that is enqueued while another one has its unique key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDuplicate {
    /// Nothing: it is not added. The default. Together with [`Unique::for_time`]: at most one job per period (a throttle).
    #[default]
    Reject,
    /// As long as the other job waits, that job gets the payload and the options of this one. It keeps its id, the moment at which it is
    /// due and, if its priority and its group or order are the same, its place in line. A job that runs, that has stored
    /// a step or a checkpoint of the payload that it has, or that has ended and whose key is still taken, stays as it is: then this is
    /// `Reject`. With [`Unique::until_started`] no running job has the key, so
    /// what comes meanwhile is a job of its own.
    Replace,
    /// The same, and the other job is due when this one would be: the job runs when no further one was enqueued for the time of its
    /// delay (a debounce). It waits as long as they come, or for [`Unique::wait_at_most`]. A job without a delay ([`Enqueue::delay`](crate::Enqueue::delay) or
    /// [`at`](crate::Enqueue::at)) is [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): nothing could be put off. The jobs of a schedule
    /// are due at once, and so is the job that waits when the schedule fires.
    Debounce,
    /// While the other job runs, or has stored a step or a checkpoint, this one waits for its end and runs then, as its *successor*: however that job ends, and also behind
    /// its retries. A key has one successor at most: a further duplicate is as for `Replace`, and the successor is the job that
    /// waits. So one job of the key runs at a time, at most one waits, and the last payload is never lost. While the other job
    /// waits, and has no successor, this is `Replace`; if the key is still taken of a job that has ended, `Reject`. Not together with
    /// [`Unique::until_started`] or [`Unique::for_time`].
    KeepLatest,
}

impl Unique {
    /// The key is taken until the job has ended: completed, cancelled, dead or removed. It has 1 to 512 bytes, and is one of the
    /// type of the job (`Job::NAME`) in its queue: jobs of two types never meet.
    #[must_use]
    pub fn by(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            until: Until::default(),
            on_duplicate: OnDuplicate::default(),
            wait_at_most: None,
        }
    }

    /// The key is taken until a worker has taken the job for the first time. While it runs, and while it waits for another attempt, a
    /// second job may wait, and may run beside it.
    #[must_use]
    pub fn until_started(mut self) -> Self {
        self.until = Until::Started;
        self
    }

    /// The key is taken for this long from the moment at which the job is enqueued, whatever becomes of the job; only if the job is
    /// removed ([`Queue::remove`](crate::Queue::remove)), the key is free at once. More than zero, at most 10 years.
    #[must_use]
    pub fn for_time(mut self, period: Duration) -> Self {
        self.until = Until::After(period);
        self
    }

    /// What a job does if another one has the key. Default: [`OnDuplicate::Reject`].
    #[must_use]
    pub fn on_duplicate(mut self, on_duplicate: OnDuplicate) -> Self {
        self.on_duplicate = on_duplicate;
        self
    }

    /// For how long duplicates with [`OnDuplicate::Debounce`] put the job off at most, counted from the moment at which it was first enqueued:
    /// however many come, it is due then. The job keeps that moment ([`JobInfo::enqueued_at`](crate::JobInfo::enqueued_at)), and
    /// [`expires_in`](crate::Enqueue::expires_in) counts from it. Read from the duplicate. Default: there is no longest wait. With another
    /// `OnDuplicate`, and with less than the delay of the job, it is [`ErrorKind::Invalid`](crate::ErrorKind::Invalid). More than zero, at
    /// most 10 years.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use oxcart::{OnDuplicate, Unique};
    ///
    /// let minute = Duration::from_secs(60);
    /// let calm = Unique::by("user-7").on_duplicate(OnDuplicate::Debounce).wait_at_most(minute);
    /// # let _ = calm;
    /// ```
    #[must_use]
    pub fn wait_at_most(mut self, longest: Duration) -> Self {
        self.wait_at_most = Some(longest);
        self
    }

    /// Refuses what nothing can put off: a job that is due at once, or later than it may be put off. `delay_ms`: after how long the job is
    /// due; none if that is a moment.
    pub(crate) fn check_delay(&self, delay_ms: Option<u64>) -> Result<(), Error> {
        let most_ms = self.wait_at_most.map_or(u64::MAX, millis);
        match delay_ms {
            Some(0) if self.on_duplicate == OnDuplicate::Debounce => Err(Error::invalid(
                "a job with `OnDuplicate::Debounce` is due at once, so no later job could put it off; give it a `delay`, or take \
                 `OnDuplicate::Replace`",
            )),
            Some(delay_ms) if delay_ms > most_ms => Err(Error::invalid(
                "the delay of the job is longer than a debounce may put it off (`wait_at_most`)",
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_key("`unique`", &self.key)?;
        if self.on_duplicate == OnDuplicate::KeepLatest && self.until != Until::Ended {
            return Err(Error::invalid(
                "`KeepLatest` waits for the end of the job that has the unique key, so it does not go together with \
                 `until_started` or `for_time`; leave these out",
            ));
        }
        if let Some(most) = self.wait_at_most {
            if self.on_duplicate != OnDuplicate::Debounce || millis(most) == 0 {
                return Err(Error::invalid(
                    "`wait_at_most` says for how long a debounce puts a job off: it goes with `OnDuplicate::Debounce`, and is 1 ms or more",
                ));
            }
            check_wait("the longest wait of a debounce", millis(most))?;
        }
        match self.until {
            Until::After(period) if millis(period) == 0 => Err(Error::invalid(
                "a unique key is to be taken for no time (`for_time`); 1 ms or more is allowed",
            )),
            Until::After(period) => check_wait("the time of a unique key", millis(period)),
            Until::Ended | Until::Started => Ok(()),
        }
    }
}

impl<K: Into<String>> From<K> for Unique {
    fn from(key: K) -> Self {
        Self::by(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_an_end_has_its_key_until_then() {
        let latest = || Unique::by("x").on_duplicate(OnDuplicate::KeepLatest);
        assert!(latest().check().is_ok());
        for other in [
            latest().until_started(),
            latest().for_time(Duration::from_secs(1)),
        ] {
            assert!(other.check().unwrap_err().is_invalid(), "{other:?}");
        }
    }

    #[test]
    fn a_longest_wait_belongs_to_a_debounce() {
        let second = Duration::from_secs(1);
        let debounced = || Unique::by("x").on_duplicate(OnDuplicate::Debounce);
        assert!(debounced().wait_at_most(second).check().is_ok());
        for other in [
            Unique::by("x").wait_at_most(second),
            debounced().wait_at_most(Duration::ZERO),
        ] {
            assert!(other.check().unwrap_err().is_invalid(), "{other:?}");
        }
    }

    #[test]
    fn keys_and_times_that_mean_nothing_are_refused() {
        assert!(Unique::by("").check().unwrap_err().is_invalid());
        assert!(Unique::by("x".repeat(513)).check().is_err());
        assert!(Unique::by("x".repeat(512)).check().is_ok());
        for time in [Duration::ZERO, Duration::MAX] {
            let refused = Unique::by("x").for_time(time).check();
            assert!(refused.unwrap_err().is_invalid(), "{time:?}");
        }
        let day = Duration::from_secs(24 * 3600);
        assert!(Unique::by("x").for_time(day).check().is_ok());
    }
}
