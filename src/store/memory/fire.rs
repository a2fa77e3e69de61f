//! Fires ticks that are due.

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::enqueue::add;
use crate::memory::schedules::Progress;
use crate::memory::state::{Collection, State};
use crate::store::enqueue::{Due, NewJob};
use crate::store::fire::{Entry, Fire, Fired};

impl Apply for Fire<'_> {
    fn apply(&self, state: &mut State) -> Fired {
        let mut batch = Vec::new();
        let verdicts = self.entries.iter();
        let verdicts = verdicts
            .map(|entry| fire(entry, state, &mut batch))
            .collect();
        add(&batch.iter().collect::<Vec<_>>(), state);
        state.refresh_tick();
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
    let current = kept.progress.revision == entry.revision
        && kept.tick_ms == Some(entry.tick_ms)
        && entry.last_ms <= state.now_ms();
    let record = kept.job.clone().filter(|_| current)?;
    let mut progress = kept.progress.clone();
    let mut open = entry.no_overlap && is_open(state, &progress);
    let before = batch.len();
    let reached = |progress: &Progress| entry.limit.is_some_and(|limit| progress.fired >= limit);
    for (tick_ms, due_ms) in entry.ticks.iter().zip(&entry.due_ms) {
        if reached(&progress) {
            break;
        }
        if open {
            progress.overlapped += 1;
            progress.outcome = "overlapped";
            continue;
        }
        let id = format!("{}@{tick_ms}", entry.name);
        batch.push(NewJob {
            id: JobId::stored(&id),
            record: record.clone(),
            due: Due::At { ms: *due_ms },
            priority: entry.priority,
            front: entry.front,
            await_ms: None,
        });
        progress.fired += 1;
        (progress.outcome, progress.last_job) = ("fired", id);
        open = entry.no_overlap;
    }
    if entry.ticks.is_empty() {
        progress.outcome = "missed";
    }
    progress.missed += entry.missed;
    progress.last_ms = entry.last_ms;
    let kept = state.schedules.get_mut(&entry.name)?;
    kept.tick_ms = entry.next_ms.filter(|_| !reached(&progress));
    kept.progress = progress;
    Some((batch.len() - before) as u64)
}

/// Whether the last job of a schedule has not ended.
fn is_open(state: &State, progress: &Progress) -> bool {
    let job = state.jobs.get(&JobId::stored(&progress.last_job));
    job.is_some_and(|job| {
        let ended = [Collection::Completed, Collection::Answers, Collection::Dead];
        !ended.contains(&job.collection)
    })
}
