//! How a job is run: attempts, backoff, priority, time limit, retention.

use std::time::Duration;

use crate::error::Error;
use crate::policy::backoff::Backoff;
use crate::policy::durability::Durability;
use crate::policy::expiry::Expiry;
use crate::policy::flow::ChildOf;
use crate::policy::key::check_key;
use crate::policy::order::Order;
use crate::policy::retention::Retention;
use crate::policy::unique::Unique;
use crate::time::{check_wait, millis};

/// The priority of a job that does not say otherwise. Lower is more urgent.
pub(crate) const PRIORITY_DEFAULT: u16 = 500;
/// The least urgent priority.
pub(crate) const PRIORITY_MAX: u16 = 1023;
/// How often a job is tried unless it says otherwise.
pub(crate) const ATTEMPTS_DEFAULT: u32 = 10;

/// How a job is run. What is not set keeps its default.
///
/// | option | default |
/// |---|---|
/// | attempts | 10 |
/// | backoff | exponential, 1 s × 2, at most 15 min, 10 % jitter |
/// | priority | 500 (0 is the most urgent, 1023 the least) |
/// | timeout | none |
/// | keep | as is set for the queue: one day, 1,000 jobs at most |
/// | group | none |
/// | ordered by | nothing |
/// | weight | 1 |
/// | unique | no |
/// | expires | never |
/// | durability | as of the handle of the queue: [`Memory`](Durability::Memory) |
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobOptions {
    pub(crate) attempts: Option<u32>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) priority: Option<u16>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) keep: Option<Retention>,
    pub(crate) group: Option<String>,
    pub(crate) order: Option<Order>,
    pub(crate) weight: Option<u32>,
    pub(crate) unique: Option<Unique>,
    pub(crate) expiry: Option<Expiry>,
    pub(crate) durability: Option<Durability>,
    /// The job is a child of this one, which waits for it.
    pub(crate) child_of: Option<ChildOf>,
    /// The job waits for so many children.
    pub(crate) children: u32,
    /// Fields of the payload that are not shown; the type of the job says which.
    pub(crate) secret: &'static [&'static str],
    /// The version of the payload, if it is not the first.
    pub(crate) version: Option<u32>,
}

impl JobOptions {
    /// All defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How often the job is tried before it is dead: 1 or more. Default 10.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// How long it waits after a failure: always the same, in steps, exponentially longer, or as a worker
    /// works out. Default: exponential from 1 s.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// 0 to 1023, lower first, strictly: as long as more urgent jobs wait, less urgent ones do
    /// not run. Default 500.
    #[must_use]
    pub fn priority(mut self, priority: u16) -> Self {
        self.priority = Some(priority);
        self
    }

    /// How long one attempt may take before it is stopped and counts as failed. Default: as
    /// long as it likes.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How long the job and its result are kept once it is completed or cancelled, whatever is set for the
    /// queue: neither [`QueueSettings::keep_completed`](crate::QueueSettings::keep_completed) nor
    /// [`keep_at_most`](crate::QueueSettings::keep_at_most) shortens it. If a caller waits for the job, it is
    /// kept for at least 60 s. At most 10 years.
    #[must_use]
    pub fn keep(mut self, keep: Retention) -> Self {
        self.keep = Some(keep);
        self
    }

    /// The group of the job: a tenant, a customer, an account. Groups take turns, so that the many jobs of one do not
    /// hold up the few jobs of another. The key has 1 to 512 bytes. A key that follows from the job's own fields is better given by
    /// [`Job::group`](crate::Job::group), which no caller can forget. Default: none.
    /// A job has a group or an order, not both.
    #[must_use]
    pub fn group(mut self, key: impl Into<String>) -> Self {
        self.group = Some(key.into());
        self
    }

    /// The job runs after all jobs of the same key that were enqueued before it, and never at the same time as one of
    /// them. A key that follows from the job's own fields is better given by [`Job::ordered_by`](crate::Job::ordered_by), which no
    /// caller can forget. Default: it depends on no other job. A job has a group or an order, not both.
    #[must_use]
    pub fn ordered_by(mut self, order: impl Into<Order>) -> Self {
        self.order = Some(order.into());
        self
    }

    /// What a start of the job counts against the [rate](crate::Rate) that is set for the queue, if one is: 1 or more.
    /// Default 1.
    ///
    /// A job that weighs more than may start in a period is refused when it is enqueued. If the rate changes later, the job
    /// waits until nothing else has started for one period, and then starts alone; so does a job of a schedule.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Of the jobs of this type with the same key, only one waits or runs at a time. A key that follows from the job's own fields
    /// is better given by [`Job::unique`](crate::Job::unique), which no caller can forget. Default: there may be any number.
    #[must_use]
    pub fn unique(mut self, unique: impl Into<Unique>) -> Self {
        self.unique = Some(unique.into());
        self
    }

    /// A job that no worker has taken by then never starts: it ends as cancelled, and callers that wait for its result are told. The
    /// time counts from the moment at which the job is enqueued. At least 1 ms, at most 10 years. Default: it waits as long as it takes.
    #[must_use]
    pub fn expires_in(mut self, time: Duration) -> Self {
        let ms = millis(time);
        self.expiry = Some(Expiry::After { ms });
        self
    }

    /// How safe the job is before its caller is told that it is there: see [`Durability`]. Default: as the handle of the queue says, which is
    /// [`Durability::Memory`] unless it was set.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.attempts == Some(0) {
            return Err(Error::invalid(
                "attempts is 0; 1 or more are allowed (1: no retry)",
            ));
        }
        if let Some(backoff) = &self.backoff {
            backoff.check()?;
        }
        if let Some(priority) = self.priority
            && priority > PRIORITY_MAX
        {
            return Err(Error::invalid(format!(
                "the priority is {priority}; 0 (most urgent) to {PRIORITY_MAX} are allowed"
            )));
        }
        if self.timeout == Some(Duration::ZERO) {
            return Err(Error::invalid("the timeout is zero; leave it out for none"));
        }
        if self.weight == Some(0) {
            return Err(Error::invalid("the weight is 0; 1 or more are allowed"));
        }
        if let Some(group) = &self.group {
            check_key("the group", group)?;
        }
        if let Some(order) = &self.order {
            order.check()?;
        }
        if let Some(unique) = &self.unique {
            unique.check()?;
        }
        if let Some(expiry) = self.expiry {
            expiry.check()?;
        }
        if let Some(durability) = self.durability {
            durability.check()?;
        }
        if self.group.is_some() && self.order.is_some() {
            return Err(Error::invalid(
                "a job has a group or an order, not both; `ordered_by` alone keeps the jobs of a key apart from all others",
            ));
        }
        match self.keep {
            Some(Retention::For(age)) => check_wait("the retention (`keep`)", millis(age)),
            _ => Ok(()),
        }
    }
}
