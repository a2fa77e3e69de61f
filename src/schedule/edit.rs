//! Changing what is stored. Scripts know no calendar: a client reads a schedule, works out its
//! next tick from the time that the server said, and stores that if nobody else was faster.

use tracing::debug;

use crate::error::{Error, ErrorKind};
use crate::job::record::EncodedRecord;
use crate::policy::schedule::Timing;
use crate::queue::Queue;
use crate::schedule::builder::{Scheduled, check_name};
use crate::schedule::rule::{self, Decoded, Rule, decode_state, left_alone};
use crate::store::schedule::{self as store, NextTick};
use crate::store::schedules::{Found, ScheduleState, Schedules, StoredSchedule};
use crate::store::unschedule::Unschedule;
use crate::time::Timestamp;

/// How often a change is tried again that somebody else was faster than.
const TRIES: usize = 32;

/// Makes the schedule what it is to be.
pub(crate) async fn upsert(
    queue: &Queue,
    name: &str,
    rule: &Rule,
    job: &EncodedRecord,
) -> Result<Scheduled, Error> {
    let encoded = rule.encode();
    let timing = rule.timing()?;
    for _ in 0..TRIES {
        let found = read(queue, name).await?;
        let now_ms = found.now_ms;
        let stored = found.schedules.first();
        let first = |state: &ScheduleState| {
            first_tick(rule, &timing, state, now_ms)
                .map_err(|error| error.within(format!("the schedule `{name}`")))
        };
        let (state, tick) = match stored {
            None => {
                let new = ScheduleState::default();
                let tick = first(&new)?;
                (new, tick)
            }
            Some(stored) => {
                let Decoded {
                    rule: known, state, ..
                } = readable(stored)?;
                let same = known.is_same_as(rule) && found.job.as_ref() == Some(job);
                // That code declares it is noted once, and not taken back by one who awaits it.
                if same && (known.declared || !rule.declared) {
                    register(queue).await;
                    return Ok(Scheduled::Unchanged);
                }
                let tick = if !known.has_timing_of(rule) {
                    first(&state)?
                } else if stored.tick_ms.is_some() && !is_spent(rule, &state) {
                    NextTick::Keep
                } else {
                    // One that has ended may be changed, and stays ended.
                    next_tick(rule, &timing, &state, now_ms)
                };
                (state, tick)
            }
        };
        let paused = state.paused != 0;
        let change = store::Schedule {
            name,
            revision: state.revision,
            paused,
            tick: if paused { NextTick::None } else { tick },
            define: Some(store::Definition {
                rule: &encoded,
                job,
            }),
        };
        if queue.inner.call(&change).await? {
            register(queue).await;
            return Ok(match stored {
                Some(_) => Scheduled::Changed,
                None => Scheduled::Created,
            });
        }
    }
    Err(contended(queue, name))
}

/// Pauses or resumes; whether that changed anything.
pub(crate) async fn set_paused(queue: &Queue, name: &str, paused: bool) -> Result<bool, Error> {
    for _ in 0..TRIES {
        let found = read(queue, name).await?;
        let stored = existing(queue, name, &found)?;
        let state = decode_state(&stored.state).map_err(|error| left_alone(error, &stored.name))?;
        if (state.paused != 0) == paused {
            return Ok(false);
        }
        let tick = if paused {
            NextTick::None
        } else {
            let known = readable(stored)?;
            next_tick(&known.rule, &known.timing, &state, found.now_ms)
        };
        let change = store::Schedule {
            name,
            revision: state.revision,
            paused,
            tick,
            define: None,
        };
        if queue.inner.call(&change).await? {
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
pub(crate) async fn job_of(queue: &Queue, name: &str) -> Result<(Rule, EncodedRecord), Error> {
    let mut found = read(queue, name).await?;
    let job = found.job.take();
    let rule = readable(existing(queue, name, &found)?)?.rule;
    let job = job.ok_or_else(|| {
        Error::new(
            ErrorKind::Incompatible,
            format!("the job of the schedule `{name}` is missing"),
        )
    })?;
    Ok((rule, job))
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

fn readable(stored: &StoredSchedule) -> Result<Decoded, Error> {
    rule::decode(stored).map_err(|error| left_alone(error, &stored.name))
}

/// The next tick of a schedule that begins, or whose ticks change. One that would never tick is
/// refused, unless its limit is what ends it.
fn first_tick(
    rule: &Rule,
    timing: &Timing,
    state: &ScheduleState,
    now_ms: u64,
) -> Result<NextTick, Error> {
    let next = timing.next_after(now_ms);
    match (next, rule.ending_ms) {
        (Some(_), _) => Ok(next_tick(rule, timing, state, now_ms)),
        (None, Some(end)) if end <= now_ms => Err(Error::invalid(format!(
            "it has ended at {}; by the server's clock it is {}",
            Timestamp::from_millis(end),
            Timestamp::from_millis(now_ms)
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
fn next_tick(rule: &Rule, timing: &Timing, state: &ScheduleState, now_ms: u64) -> NextTick {
    if is_spent(rule, state) {
        return NextTick::None;
    }
    match timing.next_after(now_ms.max(state.last_ms)) {
        Some(ms) => NextTick::At { ms },
        None => NextTick::None,
    }
}

/// It has made as many jobs as it may.
fn is_spent(rule: &Rule, state: &ScheduleState) -> bool {
    let limit = rule.limit;
    limit.is_some_and(|limit| state.fired >= limit)
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
