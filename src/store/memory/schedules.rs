//! Schedules as they are kept, and what is told of them.

use std::ops::Bound;

use crate::codec;
use crate::id::JobId;
use crate::job::record::EncodedRecord;
use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::schedule::{NextTick, Schedule, SeenTick};
use crate::store::schedules::{Found, ScheduleState, Schedules, StoredSchedule};
use crate::store::unschedule::Unschedule;

/// Stands before a name that is a cursor, so that no cursor is equal to [`Schedules::ALL`].
const LAST: char = '>';

/// A schedule.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) state: ScheduleState,
    /// Only clients read it.
    pub(crate) rule: Vec<u8>,
    pub(crate) job: Option<EncodedRecord>,
    pub(crate) tick_ms: Option<u64>,
    /// A test took its next tick away.
    pub(crate) lost: bool,
}

/// As Redis holds it.
pub(crate) fn encode_state(state: &ScheduleState) -> Vec<u8> {
    codec::encode_plain(&(
        state.revision,
        state.paused,
        state.fired,
        state.missed,
        state.overlapped,
        state.last_ms,
        state.outcome.as_str(),
        state.last_job.as_str(),
    ))
}

impl Kept {
    /// How many fields it has in Redis.
    pub(crate) fn fields(&self) -> usize {
        let job = self.job.as_ref();
        let payload = job.is_some_and(|job| job.external_payload.is_some());
        2 + usize::from(job.is_some()) + usize::from(payload)
    }

    fn shown(&self, name: &str, last_job_state: Option<String>) -> StoredSchedule {
        StoredSchedule {
            name: name.to_owned(),
            tick_ms: self.tick_ms,
            lost: self.lost,
            rule: self.rule.clone(),
            state: encode_state(&self.state),
            job_bytes: self.job.as_ref().map_or(0, EncodedRecord::bytes) as u64,
            last_job_state,
        }
    }
}

impl Apply for Schedule<'_> {
    fn apply(&self, state: &mut State) -> bool {
        let known = state.schedules.get(self.name);
        let tick_ms = known.and_then(|kept| kept.tick_ms);
        let ticked_on = match (self.seen, self.tick) {
            (_, NextTick::Keep) => tick_ms.is_none(),
            (Some(seen), _) => {
                let same = seen == tick_ms.map_or(SeenTick::None, |ms| SeenTick::At { ms });
                !same || tick_ms.is_some_and(|ms| ms <= state.now_ms())
            }
            (None, NextTick::At { ms }) => ms <= known.map_or(0, |kept| kept.state.last_ms),
            (None, NextTick::None) => false,
        };
        if known.map_or(0, |kept| kept.state.revision) != self.revision || ticked_on {
            return false;
        }
        // Never the same twice, also for a schedule that was removed and comes back.
        state.revision = state.revision.max(self.revision) + 1;
        let revision = state.revision;
        let kept = state.schedules.entry(self.name.to_owned()).or_default();
        kept.state.revision = revision;
        kept.state.paused = u8::from(self.paused);
        if let Some(define) = self.define {
            kept.rule = define.rule.to_vec();
            kept.job = Some(define.job.clone());
        }
        kept.tick_ms = match self.tick {
            NextTick::Keep => return true,
            NextTick::At { ms } => Some(ms),
            NextTick::None => None,
        };
        kept.lost = false;
        state.offer_tick();
        true
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
            // By name, whatever is added or removed between two pages: the cursor is the last name.
            Schedules::Some {
                cursor: from,
                limit,
            } => {
                let seen = from.strip_prefix(LAST);
                let after = seen.map_or(Bound::Unbounded, Bound::Excluded);
                let rest = state.schedules.range::<str, _>((after, Bound::Unbounded));
                names.extend(rest.take(*limit));
                if let Some((last, _)) = names.last()
                    && names.len() == *limit
                {
                    cursor = format!("{LAST}{last}");
                }
            }
        }
        let asked_for_due = matches!(self, Schedules::Due { .. });
        let last_job = |kept: &Kept| {
            let id = JobId::stored(&kept.state.last_job);
            let job = state.jobs.get(&id).filter(|_| !asked_for_due)?;
            Some(job.shown_state().to_owned())
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
