//! Changing what is stored. Scripts know no calendar: a client reads a schedule, works out its
//! next tick from the time that the server said, and stores that if nobody else was faster.

use tracing::debug;

use crate::error::{Error, ErrorKind};
use crate::job::record::EncodedRecord;
use crate::policy::schedule::Timing;
use crate::queue::Queue;
use crate::schedule::builder::{Scheduled, check_name};
use crate::schedule::definition::{Definition, Progress};
use crate::store::schedule::{self as store, NextTick};
use crate::store::schedules::{Found, Schedules, StoredSchedule};
use crate::store::unschedule::Unschedule;

/// How often a change is tried again that somebody else was faster than.
const TRIES: usize = 32;

/// Makes the schedule what it is to be.
pub(crate) async fn upsert(
    queue: &Queue,
    name: &str,
    definition: &Definition,
    job: &EncodedRecord,
) -> Result<Scheduled, Error> {
    let rule = definition.encode();
    let timing = definition.timing()?;
    for _ in 0..TRIES {
        let found = read(queue, name).await?;
        let stored = found.schedules.first();
        let same = |stored: &StoredSchedule| stored.rule == rule;
        if stored.is_some_and(same) && found.job.as_ref() == Some(job) {
            return Ok(Scheduled::Unchanged);
        }
        let (progress, tick) = match stored {
            None => (Progress::default(), None),
            Some(stored) => {
                let known = readable(stored)?;
                let goes_on = known.0.has_timing_of(definition)
                    && stored.tick_ms.is_some()
                    && !is_spent(definition, &known.1);
                (known.1, goes_on.then_some(NextTick::Keep))
            }
        };
        let tick = match tick {
            Some(keep) => keep,
            None => first_tick(definition, &timing, &progress, found.now_ms)
                .map_err(|error| error.within(format!("the schedule `{name}`")))?,
        };
        let change = store::Schedule {
            name,
            revision: progress.revision,
            paused: progress.is_paused(),
            tick: if progress.is_paused() {
                NextTick::None
            } else {
                tick
            },
            define: Some(store::Definition { rule: &rule, job }),
        };
        if queue.inner.call(&change).await? == store::Scheduled::Stored {
            if stored.is_some() {
                return Ok(Scheduled::Changed);
            }
            register(queue).await;
            return Ok(Scheduled::Created);
        }
    }
    Err(contended(queue, name))
}

/// Pauses or resumes; whether that changed anything.
pub(crate) async fn set_paused(queue: &Queue, name: &str, paused: bool) -> Result<bool, Error> {
    for _ in 0..TRIES {
        let found = read(queue, name).await?;
        let stored = existing(queue, name, &found)?;
        let progress = Progress::decode(&stored.state)?;
        if progress.is_paused() == paused {
            return Ok(false);
        }
        let tick = if paused {
            NextTick::None
        } else {
            let definition = readable(stored)?.0;
            next_tick(&definition, &definition.timing()?, &progress, found.now_ms)
        };
        let change = store::Schedule {
            name,
            revision: progress.revision,
            paused,
            tick,
            define: None,
        };
        if queue.inner.call(&change).await? == store::Scheduled::Stored {
            return Ok(true);
        }
    }
    Err(contended(queue, name))
}

/// Removes it; whether there was one.
pub(crate) async fn remove(queue: &Queue, name: &str) -> Result<bool, Error> {
    check_name(name)?;
    queue.inner.call(&Unschedule { name }).await
}

/// The job of a schedule, and what it says.
pub(crate) async fn job_of(
    queue: &Queue,
    name: &str,
) -> Result<(Definition, EncodedRecord), Error> {
    let mut found = read(queue, name).await?;
    let job = found.job.take();
    let definition = readable(existing(queue, name, &found)?)?.0;
    let job = job.ok_or_else(|| {
        Error::new(
            ErrorKind::Incompatible,
            format!("the job of the schedule `{name}` is missing"),
        )
    })?;
    Ok((definition, job))
}

/// The schedule of this name, and the time. A malformed name is refused before it is sent: it could
/// be a field of another schedule.
pub(crate) async fn read(queue: &Queue, name: &str) -> Result<Found, Error> {
    check_name(name)?;
    queue.inner.call(&Schedules::Named { name }).await
}

fn existing<'a>(queue: &Queue, name: &str, found: &'a Found) -> Result<&'a StoredSchedule, Error> {
    found.schedules.first().ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!(
                "there is no schedule `{name}` in `{}`; Queue::schedules lists them",
                queue.name()
            ),
        )
    })
}

fn readable(stored: &StoredSchedule) -> Result<(Definition, Progress), Error> {
    crate::schedule::info::decode(stored).map_err(|error| {
        error.within(format!(
            "the schedule `{}` is left alone (remove it to replace it)",
            stored.name
        ))
    })
}

/// The next tick of a schedule that begins, or whose ticks change. One that would never tick is
/// refused, unless its limit is what ends it.
fn first_tick(
    definition: &Definition,
    timing: &Timing,
    progress: &Progress,
    now_ms: u64,
) -> Result<NextTick, Error> {
    let next = timing.next_after(now_ms);
    match (next, definition.ending_ms) {
        (Some(_), _) => Ok(next_tick(definition, timing, progress, now_ms)),
        (None, Some(end)) if end <= now_ms => Err(Error::invalid(format!(
            "it ended {} ms ago, by the server's clock",
            now_ms - end
        ))),
        (None, Some(_)) => Err(Error::invalid(
            "it can never fire: there is no tick before its end",
        )),
        (None, None) => Err(Error::invalid(
            "it can never fire: no day has what the expression asks for",
        )),
    }
}

/// A tick that was dealt with does not come again, even if the server's clock went back.
fn next_tick(
    definition: &Definition,
    timing: &Timing,
    progress: &Progress,
    now_ms: u64,
) -> NextTick {
    if is_spent(definition, progress) {
        return NextTick::None;
    }
    match timing.next_after(now_ms.max(progress.last_ms)) {
        Some(ms) => NextTick::At { ms },
        None => NextTick::None,
    }
}

/// It has made as many jobs as it may.
fn is_spent(definition: &Definition, progress: &Progress) -> bool {
    let limit = definition.limit;
    limit.is_some_and(|limit| progress.fired >= limit)
}

fn contended(queue: &Queue, name: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        format!(
            "the schedule `{name}` in `{}` is being changed by others all the time; try again",
            queue.name()
        ),
    )
}

/// Puts the queue on the list of queues: it may have nothing but this. Producers do it as well.
async fn register(queue: &Queue) {
    if let Err(trouble) = queue.inner.store.register().await {
        debug!(%trouble, "the queue could not be put on the list of queues");
    }
}
