//! Changing what is stored. Scripts know no calendar: a client reads a schedule, works out its
//! next tick from the time that the server said, and stores that if no other client was faster.

use std::time::Duration;

use tokio::time::timeout;
use tracing::{debug, warn};

use crate::error::{Error, ErrorKind};
use crate::job::record::EncodedRecord;
use crate::policy::schedule::Timing;
use crate::queue::Queue;
use crate::schedule::builder::{Scheduled, check_name};
use crate::schedule::plan;
use crate::schedule::rule::{self, Decoded, Rule, decode_state, left_alone};
use crate::store::fire::Fire;
use crate::store::schedule::{self as store, NextTick, SeenTick};
use crate::store::schedules::{Found, ScheduleState, Schedules, StoredSchedule};
use crate::store::unschedule::Unschedule;
use crate::store::{BATCH_BYTES, BATCH_JOBS};
use crate::time::Timestamp;

/// How often a change is tried again because another client was faster.
const TRIES: usize = 32;
const REGISTER_PATIENCE: Duration = Duration::from_secs(1);

/// Stores a schedule, unless the same schedule is stored already.
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
        // Of a schedule that was lost as a whole, a next tick may be left.
        let stored = stored.filter(|_| !is_nothing(&found));
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
                let known = readable(stored)?;
                let lost = missing_tick(&known, stored, now_ms);
                let Decoded {
                    rule: known, state, ..
                } = known;
                let same = known.is_same_as(rule) && found.job.as_ref() == Some(job);
                // If code declares the schedule, that is noted once; an equal definition that is awaited does not undo it.
                if same && (known.declared || !rule.declared) && lost.is_none() {
                    register(queue).await;
                    return Ok(Scheduled::Unchanged);
                }
                let tick = if !known.has_timing_of(rule) {
                    let tick = first(&state)?;
                    // A tick that is due by the old rule is fired first.
                    if fire_due(queue, stored, now_ms).await? {
                        continue;
                    }
                    tick
                } else if let Some(tick) = lost {
                    warn!(
                        queue = queue.name(),
                        schedule = name,
                        "its next tick was lost; it ticks again"
                    );
                    tick
                } else if stored.tick_ms.is_some() && !is_spent(rule, &state) {
                    NextTick::Keep
                } else {
                    // A schedule that has ended may be changed, and stays ended.
                    next_tick(rule, &timing, &state, now_ms)
                };
                (state, tick)
            }
        };
        let paused = state.paused != 0;
        let tick = if paused { NextTick::None } else { tick };
        let moves = matches!(tick, NextTick::At { .. });
        let change = store::Schedule {
            name,
            revision: state.revision,
            paused,
            tick,
            seen: stored.filter(|_| moves).map(seen),
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
            seen: (!paused).then(|| seen(stored)),
            define: None,
        };
        if queue.inner.call(&change).await? {
            return Ok(true);
        }
    }
    Err(contended(queue, name))
}

/// Gives a schedule its next tick, if it should have one and has none. Returns whether that was so.
pub(crate) async fn mend(queue: &Queue, name: &str) -> Result<bool, Error> {
    for _ in 0..TRIES {
        let found = read(queue, name).await?;
        let Some(stored) = found.schedules.first() else {
            return Ok(false);
        };
        let known = readable(stored)?;
        let Some(tick) = missing_tick(&known, stored, found.now_ms) else {
            return Ok(false);
        };
        let change = store::Schedule {
            name,
            revision: known.state.revision,
            paused: known.state.paused != 0,
            tick,
            seen: Some(seen(stored)),
            define: None,
        };
        if queue.inner.call(&change).await? {
            return Ok(true);
        }
    }
    Err(contended(queue, name))
}

/// Whether a stored schedule lacks the next tick that it should have. A schedule that cannot be read is
/// left alone.
pub(crate) fn is_off(stored: &StoredSchedule, now_ms: u64) -> bool {
    let known = rule::decode(stored);
    known.is_ok_and(|known| missing_tick(&known, stored, now_ms).is_some())
}

/// The next tick that a schedule should have, if it has no next tick although it is neither paused nor at its
/// end, or if its next tick lies further ahead than it can have been set.
fn missing_tick(known: &Decoded, stored: &StoredSchedule, now_ms: u64) -> Option<NextTick> {
    let Decoded {
        rule,
        timing,
        state,
    } = known;
    let wanted = || next_tick(rule, timing, state, now_ms);
    if state.paused != 0 {
        return stored.lost.then_some(NextTick::None);
    }
    match stored.tick_ms {
        Some(ms) => (!timing.may_be_next(ms, now_ms, state.last_ms)).then(wanted),
        // From the last tick on: what was due meanwhile is late, or counted as missed.
        None if stored.lost && (1..now_ms).contains(&state.last_ms) => {
            Some(next_tick(rule, timing, state, state.last_ms))
        }
        None if stored.lost => Some(wanted()),
        None => Some(wanted()).filter(|tick| *tick != NextTick::None),
    }
}

/// What a change of the next tick is to be compared with.
fn seen(stored: &StoredSchedule) -> SeenTick {
    match stored.tick_ms {
        Some(ms) => SeenTick::At { ms },
        None => SeenTick::None,
    }
}

/// Whether nothing is left of the schedule, but perhaps a next tick.
fn is_nothing(found: &Found) -> bool {
    let empty = |stored: &StoredSchedule| stored.rule.is_empty() && stored.state.is_empty();
    found.job.is_none() && found.schedules.iter().all(empty)
}

/// Fires what is due of a schedule, or counts it as missed, as a worker would. Returns whether anything
/// was due.
async fn fire_due(queue: &Queue, stored: &StoredSchedule, now_ms: u64) -> Result<bool, Error> {
    if stored.tick_ms.is_none() {
        return Ok(false);
    }
    let bytes = BATCH_BYTES as u64 / stored.job_bytes.max(1);
    let room = usize::try_from(bytes)
        .unwrap_or(BATCH_JOBS)
        .clamp(1, BATCH_JOBS);
    let entry = plan::entry(stored, now_ms, room);
    let entry = entry.map_err(|error| left_alone(error, &stored.name))?;
    let Some(entry) = entry else {
        return Ok(false);
    };
    let entries = [entry];
    let fire = Fire {
        worker: "",
        hold: false,
        entries: &entries,
        passed_ms: None,
    };
    let fired = queue.inner.call(&fire).await?;
    let missed = entries[0].missed;
    if missed > 0 && fired.verdicts.iter().all(Option::is_some) {
        warn!(
            queue = queue.name(),
            schedule = stored.name,
            missed,
            "no worker fired these ticks in time; they are given up"
        );
    }
    Ok(true)
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

/// The next tick of a schedule that begins, or whose ticks change. A schedule that would never tick is
/// refused, unless it has reached its limit.
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
    match timing.next_of(now_ms, state.last_ms) {
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

/// Puts the queue on the list of queues: a queue may hold a schedule and nothing else. Producers do it as well. The
/// schedule is stored already, so the caller does not wait long for this.
async fn register(queue: &Queue) {
    let registered = timeout(REGISTER_PATIENCE, queue.inner.store.register());
    let queue = queue.name();
    match registered.await {
        Ok(Ok(())) => {}
        Ok(Err(trouble)) => {
            debug!(queue, %trouble, "the queue could not be put on the list of queues")
        }
        Err(_) => debug!(
            queue,
            "the queue could not be put on the list of queues in time"
        ),
    }
}
