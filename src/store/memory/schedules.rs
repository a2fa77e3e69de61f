//! Schedules as they are kept, and what is told of them.

use crate::codec;
use crate::id::JobId;
use crate::job::record::EncodedRecord;
use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::schedule::{NextTick, Schedule, Scheduled};
use crate::store::schedules::{Found, Schedules, StoredSchedule};
use crate::store::unschedule::Unschedule;

/// A schedule.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) progress: Progress,
    /// Only clients read it.
    pub(crate) rule: Vec<u8>,
    pub(crate) job: Option<EncodedRecord>,
    pub(crate) tick_ms: Option<u64>,
}

/// How far a schedule is.
#[derive(Default, Clone)]
pub(crate) struct Progress {
    /// Another one with every change but a tick.
    pub(crate) revision: u64,
    paused: bool,
    pub(crate) fired: u64,
    pub(crate) missed: u64,
    pub(crate) overlapped: u64,
    /// The last tick that was dealt with, and what became of it.
    pub(crate) last_ms: u64,
    pub(crate) outcome: &'static str,
    pub(crate) last_job: String,
}

impl Progress {
    /// As Redis holds it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        codec::encode_plain(&(
            self.revision,
            u8::from(self.paused),
            self.fired,
            self.missed,
            self.overlapped,
            self.last_ms,
            self.outcome,
            self.last_job.as_str(),
        ))
    }
}

impl Kept {
    fn shown(&self, name: &str, last_job_state: Option<String>) -> StoredSchedule {
        StoredSchedule {
            name: name.to_owned(),
            tick_ms: self.tick_ms,
            rule: self.rule.clone(),
            state: self.progress.encode(),
            job_bytes: self.job.as_ref().map_or(0, EncodedRecord::bytes) as u64,
            last_job_state,
        }
    }
}

impl Apply for Schedule<'_> {
    fn apply(&self, state: &mut State) -> Scheduled {
        let known = state.schedules.get(self.name);
        if known.map_or(0, |kept| kept.progress.revision) != self.revision {
            return Scheduled::Changed;
        }
        // Never the same twice, also for a schedule that was removed and comes back.
        state.revision += 1;
        let revision = state.revision;
        let kept = state.schedules.entry(self.name.to_owned()).or_default();
        kept.progress.revision = revision;
        kept.progress.paused = self.paused;
        if let Some(define) = self.define {
            kept.rule = define.rule.to_vec();
            kept.job = Some(define.job.clone());
        }
        kept.tick_ms = match self.tick {
            NextTick::Keep => return Scheduled::Stored,
            NextTick::At { ms } => Some(ms),
            NextTick::None => None,
        };
        state.offer_tick();
        Scheduled::Stored
    }
}

impl Apply for Unschedule<'_> {
    fn apply(&self, state: &mut State) -> bool {
        let removed = state.schedules.remove(self.name).is_some();
        state.offer_tick();
        removed
    }
}

impl Apply for Schedules<'_> {
    fn apply(&self, state: &mut State) -> Found {
        let now_ms = state.now_ms();
        let in_order = state.schedules_in_order();
        let (mut names, mut cursor) = (Vec::new(), Schedules::ALL.to_owned());
        match self {
            Schedules::Named { name } => names.extend(state.schedules.get_key_value(*name)),
            Schedules::Due { offset, limit, .. } => {
                let due = |kept: &Kept| kept.tick_ms.is_some_and(|tick_ms| tick_ms <= now_ms);
                let due = in_order.iter().filter(|(_, kept)| due(kept));
                names.extend(due.skip(*offset).take(*limit));
            }
            // The cursor is the number of schedules that were told.
            Schedules::Some {
                cursor: from,
                limit,
            } => {
                let from: usize = from.parse().unwrap_or(0);
                names.extend(in_order.iter().skip(from).take(*limit));
                if from + limit < in_order.len() {
                    cursor = (from + limit).to_string();
                }
            }
        }
        let asked_for_due = matches!(self, Schedules::Due { .. });
        let last_job = |kept: &Kept| {
            let id = JobId::stored(&kept.progress.last_job);
            let job = state.jobs.get(&id).filter(|_| !asked_for_due)?;
            Some(job.collection.state().to_owned())
        };
        let job = match self {
            Schedules::Named { .. } => names.first().and_then(|(_, kept)| kept.job.clone()),
            _ => None,
        };
        let ticks = in_order.iter().filter_map(|(_, kept)| kept.tick_ms);
        Found {
            now_ms,
            next_ms: ticks.filter(|tick_ms| *tick_ms > now_ms).min(),
            schedules: names
                .iter()
                .map(|(name, kept)| kept.shown(name, last_job(kept)))
                .collect(),
            cursor,
            job,
        }
    }
}

impl State {
    /// By their next tick; those without one last.
    fn schedules_in_order(&self) -> Vec<(&String, &Kept)> {
        let mut all: Vec<_> = self.schedules.iter().collect();
        all.sort_by_key(|(_, kept)| kept.tick_ms.unwrap_or(u64::MAX));
        all
    }
}
