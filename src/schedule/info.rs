//! What is known of a schedule.

use std::time::Duration;

use crate::id::JobId;
use crate::job::state::State;
use crate::schedule::rule::{Decoded, Rule, decode};
use crate::store::schedules::{ScheduleState, StoredSchedule};
use crate::time::Timestamp;

/// What a schedule follows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rhythm {
    /// A cron expression.
    Cron {
        /// The expression.
        expression: String,
        /// The name of its time zone.
        timezone: String,
    },
    /// An interval.
    Every(Duration),
}

/// What became of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TickOutcome {
    /// It made a job.
    Fired,
    /// It was skipped, because the job of the tick before it had not ended.
    Overlapped,
    /// No worker fired it in time, and it was given up.
    Missed,
}

/// All that is known of one schedule.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ScheduleInfo {
    /// Its name.
    pub name: String,
    /// What it follows.
    pub rhythm: Option<Rhythm>,
    /// The name of the jobs it makes.
    pub job: Option<String>,
    /// When it ticks next; `None` while it is paused, and when it has ended.
    pub next_tick: Option<Timestamp>,
    /// The last tick that was dealt with, and what became of it.
    pub last_tick: Option<(Timestamp, TickOutcome)>,
    /// The last job that a tick has made, and where that is; `None` if it is gone.
    pub last_job: Option<(JobId, Option<State>)>,
    /// Ticks that made a job.
    pub fired: u64,
    /// Ticks that were given up because no worker fired them in time. Ticks that
    /// [`Missed::FireOnce`](crate::Missed::FireOnce) and [`Missed::FireAll`](crate::Missed::FireAll)
    /// make up for are counted in `fired` instead. After a very long time a lower bound,
    /// where the rhythm is a cron expression.
    pub missed: u64,
    /// Ticks that were skipped because the job before had not ended.
    pub overlapped: u64,
    /// Whether it is paused.
    pub paused: bool,
    /// Why this version cannot read the schedule, if it cannot. Then the schedule is left alone, and it is not known
    /// what it follows and which jobs it makes.
    pub unreadable: Option<String>,
    declared: bool,
}

impl ScheduleInfo {
    pub(crate) fn new(stored: &StoredSchedule) -> Self {
        let (rule, state, unreadable) = match decode(stored) {
            Ok(Decoded { rule, state, .. }) => (Some(rule), state, None),
            Err(error) => (None, ScheduleState::default(), Some(error.to_string())),
        };
        let outcome = match state.outcome.as_str() {
            "fired" => Some(TickOutcome::Fired),
            "overlapped" => Some(TickOutcome::Overlapped),
            "missed" => Some(TickOutcome::Missed),
            _ => None,
        };
        let last_job = (!state.last_job.is_empty()).then(|| {
            let place = stored.last_job_state.as_deref().and_then(State::parse);
            (JobId::stored(&state.last_job), place)
        });
        Self {
            name: stored.name.clone(),
            rhythm: rule.as_ref().and_then(Rule::rhythm),
            job: rule.as_ref().map(|rule| rule.job.clone()),
            next_tick: stored.tick_ms.map(Timestamp::from_millis),
            last_tick: outcome.map(|outcome| (Timestamp::from_millis(state.last_ms), outcome)),
            last_job,
            fired: state.fired,
            missed: state.missed,
            overlapped: state.overlapped,
            paused: state.paused != 0,
            unreadable,
            declared: rule.is_some_and(|rule| rule.declared),
        }
    }

    /// Whether a worker has declared it in its code.
    pub(crate) fn is_declared(&self) -> bool {
        self.declared
    }
}
