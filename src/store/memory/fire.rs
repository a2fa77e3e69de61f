//! Fires ticks that are due.

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::enqueue::add;
use crate::memory::state::{Collection, State};
use crate::store::enqueue::{Due, NewJob, Novelty};
use crate::store::fire::{Entry, Fire, Fired};
use crate::store::schedules::ScheduleState;

impl Apply for Fire<'_> {
    fn apply(&self, state: &mut State) -> Fired {
        let mut batch = Vec::new();
        let verdicts = self.entries.iter();
        let verdicts = verdicts
            .map(|entry| fire(entry, state, &mut batch))
            .collect();
        add(&batch.iter().collect::<Vec<_>>(), Novelty::Unsure, state);
        if let Some(changed_ms) = state.refresh_tick(self.passed_ms)
            && !self.hold
        {
            state.arm(changed_ms);
        }
        Fired {
            now_ms: state.now_ms(),
            verdicts,
            tick_ms: state.hold_tick(self.worker, self.hold),
        }
    }
}

/// How many jobs it makes; `None` for a schedule that is not as the caller saw it.
fn fire(entry: &Entry, state: &mut State, batch: &mut Vec<NewJob>) -> Option<u64> {
    let kept = state.schedules.get(&entry.name)?;
    let current = kept.state.revision == entry.revision
        && kept.tick_ms == Some(entry.tick_ms)
        && entry.last_ms <= state.now_ms();
    if !current {
        return None;
    }
    let mut standing = kept.state.clone();
    let mut open = entry.no_overlap && is_open(state, &standing);
    let before = batch.len();
    let reached =
        |standing: &ScheduleState| entry.limit.is_some_and(|limit| standing.fired >= limit);
    for (tick_ms, due_ms) in entry.ticks.iter().zip(&entry.due_ms) {
        if reached(&standing) {
            break;
        }
        if open {
            standing.overlapped += 1;
            standing.outcome = "overlapped".to_owned();
            continue;
        }
        let id = format!("{}@{tick_ms}", entry.name);
        batch.push(NewJob {
            id: JobId::stored(&id),
            record: kept.job.clone()?,
            due: Due::At { ms: *due_ms },
            priority: entry.priority,
            front: entry.front,
            await_ms: None,
            callbacks: None,
        });
        standing.fired += 1;
        (standing.outcome, standing.last_job) = ("fired".to_owned(), id);
        open = entry.no_overlap;
    }
    if entry.ticks.is_empty() {
        standing.outcome = "missed".to_owned();
    }
    standing.missed += entry.missed;
    standing.last_ms = entry.last_ms;
    let kept = state.schedules.get_mut(&entry.name)?;
    kept.tick_ms = entry.next_ms.filter(|_| !reached(&standing));
    kept.state = standing;
    Some((batch.len() - before) as u64)
}

/// Whether the last job of a schedule has not ended.
fn is_open(state: &State, standing: &ScheduleState) -> bool {
    let job = state.jobs.get(&JobId::stored(&standing.last_job));
    job.is_some_and(|job| {
        let ended = [Collection::Completed, Collection::Kept, Collection::Dead];
        !ended.contains(&job.collection)
    })
}
