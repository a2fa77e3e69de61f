//! Schedules: jobs that are made again and again, by an expression or an interval.

pub(crate) mod builder;
pub(crate) mod declared;
pub(crate) mod driver;
pub(crate) mod edit;
pub(crate) mod info;
pub(crate) mod plan;
pub(crate) mod rule;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::Error;
use crate::id::JobId;
use crate::queue::Queue;
use crate::queue::producer::Submission;
use crate::schedule::builder::ScheduleBuilder;
use crate::schedule::info::ScheduleInfo;
use crate::store::enqueue::{Due, NewJob, Novelty};
use crate::store::schedules::Schedules;

/// Schedules read in one call.
const PAGE: usize = 64;

/// Schedules. All of these fail with [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable),
/// [`ErrorKind::Refused`](crate::ErrorKind::Refused) or
/// [`ErrorKind::Unknown`](crate::ErrorKind::Unknown) when Redis does not answer, within about 8 s. What
/// changes a schedule makes several calls, of which each may take that long.
impl Queue {
    /// The schedule of this name, to be defined, looked at or changed. Nothing is sent.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # use std::time::Duration;
    /// # #[derive(Serialize, Deserialize)] struct Report { of: String }
    /// # impl Job for Report { const NAME: &'static str = "report"; type Output = (); }
    /// # async fn example(queue: Queue) -> Result<(), Error> {
    /// // Every process may do this when it starts: it is there once, and ticks once.
    /// queue
    ///     .schedule("nightly")
    ///     .cron("0 3 * * *")
    ///     .timezone("Europe/Berlin")
    ///     .missed(Missed::FireOnce)
    ///     .job(Report { of: "yesterday".into() })
    ///     .await?;
    /// queue
    ///     .schedule("pulse")
    ///     .every(Duration::from_secs(30))
    ///     .job(queue.enqueue(Report { of: "now".into() }).attempts(1).priority(10))
    ///     .await?;
    /// queue.schedule("nightly").pause().await?;
    /// # Ok(()) }
    /// ```
    pub fn schedule(&self, name: impl Into<String>) -> ScheduleHandle {
        ScheduleHandle {
            queue: self.clone(),
            name: name.into(),
        }
    }

    /// All schedules of this queue, by name.
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn schedules(&self) -> Result<Vec<ScheduleInfo>, Error> {
        // Some may be seen twice.
        let mut all = BTreeMap::new();
        let mut cursor = Schedules::ALL.to_owned();
        loop {
            let verb = Schedules::Some {
                cursor: &cursor,
                limit: PAGE,
            };
            let found = self.inner.call(&verb).await?;
            for stored in &found.schedules {
                all.insert(stored.name.clone(), ScheduleInfo::new(stored));
            }
            cursor = found.cursor;
            if cursor == Schedules::ALL {
                break;
            }
        }
        Ok(all.into_values().collect())
    }
}

/// A schedule by its name: to define it, begin with [`cron`](Self::cron) or
/// [`every`](Self::every).
#[must_use = "a handle alone does nothing"]
#[derive(Debug, Clone)]
pub struct ScheduleHandle {
    queue: Queue,
    name: String,
}

impl ScheduleHandle {
    /// Ticks when this expression matches, in UTC unless a time zone is set. It has five fields
    /// (minute, hour, day of the month, month, day of the week), or six with the second before
    /// them: `0 3 * * *` and `0 0 3 * * *` are the same. Or it is one of these:
    ///
    /// | | the same as |
    /// |---|---|
    /// | `@yearly`, `@annually` | `0 0 1 1 *` |
    /// | `@monthly` | `0 0 1 * *` |
    /// | `@weekly` | `0 0 * * 0` |
    /// | `@daily`, `@midnight` | `0 0 * * *` |
    /// | `@hourly` | `0 * * * *` |
    ///
    /// All of it may be written in any case.
    ///
    /// A field is `*`, or a list of numbers, ranges (`9-17`), and steps (`*/15`, `8-18/2`). Months
    /// and days of the week have names (`JAN`, `MON-FRI`); 0 and 7 are Sunday. `L` is the last day
    /// of the month, `LW` its last working day, `FRIL` its last Friday, `MON#2` its second Monday,
    /// `15W` the working day nearest to the 15th. For a day, `?` is the same as `*`.
    ///
    /// Where both kinds of days are given, either will do (`0 3 1,15 * MON`), unless one of the two
    /// fields begins with `*`, as in crontab: then both must match (`0 3 */2 * MON` is a Monday).
    /// Both must match as well where the day of the week begins with `+`: `0 3 13 * +FRI`.
    ///
    /// If daylight saving time skips a time of day, an expression that names hours ticks when
    /// the clock has gone forward; if a time of day comes twice, it ticks the first time. An expression that matches in
    /// every hour follows real time.
    pub fn cron(self, expression: impl AsRef<str>) -> ScheduleBuilder {
        ScheduleBuilder::of_cron(self.queue, self.name, expression.as_ref())
    }

    /// Ticks at this interval: 100 ms to 10 years. It is counted from the Unix epoch, or from where
    /// the schedule starts, so it does not drift, whichever worker drives it.
    pub fn every(self, interval: Duration) -> ScheduleBuilder {
        ScheduleBuilder::of_interval(self.queue, self.name, interval)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All that is known of it; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a malformed name; or if Redis does not
    /// answer. The same holds for everything that follows.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn info(&self) -> Result<Option<ScheduleInfo>, Error> {
        let found = edit::read(&self.queue, &self.name).await?;
        Ok(found.schedules.first().map(ScheduleInfo::new))
    }

    /// Pauses it: it does not tick until [`resume`](Self::resume); jobs it has made go on. Says whether that
    /// changed anything. Defining the schedule again does not resume it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none; or if Redis does not
    /// answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out; repeating it is harmless.
    pub async fn pause(&self) -> Result<bool, Error> {
        self.queue.inner.asked("pause schedule", &self.name).await?;
        edit::set_paused(&self.queue, &self.name, true).await
    }

    /// Lets it tick again, from now on: what it would have done meanwhile is not made up for. Says
    /// whether that changed anything.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none;
    /// [`ErrorKind::Incompatible`](crate::ErrorKind::Incompatible) if a newer version wrote it; or if
    /// Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out; repeating it is harmless.
    pub async fn resume(&self) -> Result<bool, Error> {
        self.queue
            .inner
            .asked("resume schedule", &self.name)
            .await?;
        edit::set_paused(&self.queue, &self.name, false).await
    }

    /// Removes it; jobs it has made stay. Says whether there was one. While a worker runs that declares
    /// it, that worker stores it anew within about 35 s.
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out; repeating it is harmless.
    pub async fn remove(&self) -> Result<bool, Error> {
        self.queue
            .inner
            .asked("remove schedule", &self.name)
            .await?;
        edit::remove(&self.queue, &self.name).await
    }

    /// Makes one of its jobs now, whether it is paused or not. It is no tick: nothing is counted, and
    /// the next tick stays where it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none;
    /// [`ErrorKind::Incompatible`](crate::ErrorKind::Incompatible) if a newer version wrote it; or as
    /// enqueueing ([`Enqueue`](crate::Enqueue)).
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn trigger(&self) -> Result<JobId, Error> {
        self.queue
            .inner
            .asked("trigger schedule", &self.name)
            .await?;
        let (rule, record) = edit::job_of(&self.queue, &self.name).await?;
        let id = JobId::new(format!("{}@{}", self.name, JobId::generate()))?;
        let job = NewJob {
            id: id.clone(),
            record,
            due: Due::Now,
            priority: rule.priority,
            front: rule.front,
            await_ms: None,
            callbacks: None,
        };
        let inner = &self.queue.inner;
        let fate = inner
            .producer(inner.durability.into())
            .submit(
                &Submission::new(vec![job], Novelty::New),
                inner.setup.call_timeout,
            )
            .await;
        fate.and_then(|fate| fate.into_result(&inner.name, &id))
            .map_err(|error| error.with_job(&id))?;
        Ok(id)
    }
}
