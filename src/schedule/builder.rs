//! What a schedule is to do, checked before anything is sent.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::cron::zone_name;
use crate::error::Error;
use crate::job::record::EncodedRecord;
use crate::name;
use crate::policy::schedule::{Missed, Overlap};
use crate::queue::Queue;
use crate::queue::many::IntoEnqueue;
use crate::schedule::edit;
use crate::schedule::rule::Rule;
use crate::store::enqueue::{Due, NewJob};
use crate::time::{Timestamp, millis};

/// Longest name, in bytes: the ids of its jobs carry it, and a time.
const NAME_BYTES_MAX: usize = 100;

/// When a schedule ticks, and what becomes of the ticks; [`job`](Self::job) says what they make.
///
/// | setting | default |
/// |---|---|
/// | timezone | UTC |
/// | starting, ending, limit | none |
/// | offset, jitter | none |
/// | missed | [`Missed::Skip`] |
/// | overlap | [`Overlap::Allow`] |
#[must_use = "a schedule needs a job, and does nothing until it is awaited"]
#[derive(Debug)]
pub struct ScheduleBuilder {
    queue: Queue,
    name: String,
    rule: Rule,
}

impl ScheduleBuilder {
    pub(crate) fn of_cron(queue: Queue, name: String, expression: &str) -> Self {
        let rule = Rule {
            cron: Some(one_space_between_fields(expression)),
            ..Rule::default()
        };
        Self { queue, name, rule }
    }

    pub(crate) fn of_interval(queue: Queue, name: String, interval: Duration) -> Self {
        let rule = Rule {
            every_ms: Some(millis(interval)),
            ..Rule::default()
        };
        Self { queue, name, rule }
    }

    /// The time zone in which the cron expression is read: a name of the IANA database, such as
    /// `Europe/Berlin`, in any case. Default UTC. An interval has none.
    pub fn timezone(mut self, name: impl Into<String>) -> Self {
        self.rule.timezone = Some(zone_name(name.into()));
        self
    }

    /// No tick before this moment, by the server's clock; takes a
    /// [`SystemTime`](std::time::SystemTime) as well. An interval is counted from it, and its first
    /// tick is this moment. Default: an interval is counted from the Unix epoch.
    pub fn starting(mut self, from: impl Into<Timestamp>) -> Self {
        self.rule.starting_ms = Some(from.into().as_millis());
        self
    }

    /// No tick after this moment, by the server's clock. The schedule stays in the list when it has
    /// ended. Default: it does not end.
    pub fn ending(mut self, at: impl Into<Timestamp>) -> Self {
        self.rule.ending_ms = Some(at.into().as_millis());
        self
    }

    /// How many jobs the schedule makes in all. Default: no limit.
    pub fn limit(mut self, jobs: u64) -> Self {
        self.rule.limit = Some(jobs);
        self
    }

    /// Each job becomes due up to this much later than its tick, at random: so that not everything
    /// begins at the full hour. At most 10 years. Default: none.
    pub fn jitter(mut self, longest: Duration) -> Self {
        self.rule.jitter_ms = millis(longest);
        self
    }

    /// Every tick is this much later than the expression or the interval says. At most 10 years.
    /// Default: none.
    pub fn offset(mut self, later: Duration) -> Self {
        self.rule.offset_ms = millis(later);
        self
    }

    /// What becomes of ticks that no worker fired within a minute. Default
    /// [`Missed::Skip`].
    pub fn missed(mut self, missed: Missed) -> Self {
        self.rule.missed = missed;
        self
    }

    /// What becomes of a tick while the last job has not ended. Default [`Overlap::Allow`].
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.rule.overlap = overlap;
        self
    }

    /// What every tick makes: a job, or a request made with [`Queue::enqueue`] where it needs
    /// options. A delay is counted from the tick.
    pub fn job<R: IntoEnqueue>(self, job: R) -> Schedule {
        let Self {
            queue,
            name,
            mut rule,
        } = self;
        let request = job.into_enqueue(&queue);
        let prepared = check(&name, &rule).and_then(|()| {
            let fixed = request.is_given_an_id();
            // A tick makes the job, long after the handler has ended that stores the schedule.
            let mut request = request.without_cause();
            let (its_queue, job) = request.prepare()?;
            check_job(&queue, &its_queue, &job, fixed)?;
            rule.job = request.name().to_owned();
            rule.priority = job.priority;
            rule.front = job.front;
            if let Due::After { ms } = job.due {
                rule.delay_ms = ms;
            }
            Ok((rule, job.record))
        });
        let context = |error: Error| error.within(format!("the schedule `{name}`"));
        Schedule {
            prepared: prepared.map_err(context),
            name,
            queue,
        }
    }
}

fn one_space_between_fields(expression: &str) -> String {
    expression.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Finds all errors that can be found without knowing the time.
fn check(name: &str, rule: &Rule) -> Result<(), Error> {
    check_name(name)?;
    if rule.limit == Some(0) {
        return Err(Error::invalid(
            "the limit is 0; leave it out for none, or pause the schedule",
        ));
    }
    if rule.every_ms.is_some() && rule.timezone.is_some() {
        return Err(Error::invalid(
            "an interval has no time zone; a cron expression has one",
        ));
    }
    rule.checked()?.check_ticks()
}

pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    name::check_within("schedule's name", name, NAME_BYTES_MAX)
}

fn check_job(queue: &Queue, given: &Queue, job: &NewJob, fixed_id: bool) -> Result<(), Error> {
    if given.name() != queue.name() {
        return Err(Error::invalid(format!(
            "its job is for the queue `{}`, and it is in `{}`",
            given.name(),
            queue.name()
        )));
    }
    if matches!(job.due, Due::At { .. }) {
        return Err(Error::invalid(
            "its job has a time of its own (`at`); it is due at each tick, and `delay` makes that \
             later",
        ));
    }
    if fixed_id {
        return Err(Error::invalid(
            "its job has an id of its own; each tick makes a job with an id made of the \
             schedule's name and the tick",
        ));
    }
    Ok(())
}

/// A schedule as it is to be. Awaiting it stores it under its name; or hand it to
/// [`WorkerBuilder::schedule`](crate::WorkerBuilder::schedule).
///
/// If the same schedule is stored already, it stays as it is, its next tick included. A change takes
/// effect at once: if it changes when the schedule ticks, the next tick is the first of the new
/// ticks after now. A paused schedule stays paused. A schedule that has ended may be given another job or
/// policy, and stays ended.
///
/// # Errors
///
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), and nothing is written: an expression that
/// cannot be read, with the field it is about, or that never matches; an unknown time zone, with
/// the nearest names; an end that is past or before the start; an interval under 100 ms; a limit of
/// 0; a malformed name; a payload that is too large; a cron expression without the feature `cron`; a job whose type
/// names another queue ([`Job::QUEUE`](crate::Job::QUEUE)), unless its request says [`any_queue`](crate::Enqueue::any_queue).
/// [`ErrorKind::Incompatible`](crate::ErrorKind::Incompatible) if a newer version wrote what is
/// stored under the name. Otherwise if Redis does not answer; it can safely be repeated.
///
/// # Cancel safety
///
/// A request that is dropped while it is awaited may or may not be carried out.
#[must_use = "a schedule does nothing until it is awaited or given to a worker"]
#[derive(Debug)]
pub struct Schedule {
    pub(crate) queue: Queue,
    pub(crate) name: String,
    /// What is to be stored, or what is wrong with it.
    pub(crate) prepared: Result<(Rule, EncodedRecord), Error>,
}

impl Schedule {
    pub(crate) fn declared(self) -> Result<DeclaredSchedule, Error> {
        let (mut rule, job) = self.prepared?;
        rule.declared = true;
        Ok(DeclaredSchedule {
            stored: AtomicBool::new(false),
            name: self.name,
            rule,
            job,
        })
    }
}

/// A schedule that a worker declares in its code, with nothing wrong with it.
#[derive(Debug)]
pub(crate) struct DeclaredSchedule {
    pub(crate) name: String,
    pub(crate) rule: Rule,
    pub(crate) job: EncodedRecord,
    /// It was stored by this worker, so it should be there.
    pub(crate) stored: AtomicBool,
}

/// What awaiting a [`Schedule`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scheduled {
    /// There was no schedule of that name; now there is.
    Created,
    /// There was a different schedule of that name; it was changed.
    Changed,
    /// It was there already, and nothing was done.
    Unchanged,
}

impl IntoFuture for Schedule {
    type Output = Result<Scheduled, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (rule, job) = self.prepared?;
            edit::upsert(&self.queue, &self.name, &rule, &job).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_stored_with_one_space_between_its_fields() {
        let stored = one_space_between_fields("  0  0\t3 * * * ");
        assert_eq!(stored, "0 0 3 * * *");
    }
}
