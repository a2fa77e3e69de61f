//! Cancels jobs that have not begun.

use crate::id::JobId;
use crate::job::record::retention_of;
use crate::memory::Apply;
use crate::memory::gate::Goes;
use crate::memory::state::{Collection, State};
use crate::store::cancel::{Cancel, Cancelled};

impl Apply for Cancel<'_> {
    fn apply(&self, state: &mut State) -> Cancelled {
        let mut cancelled: Vec<JobId> = Vec::new();
        let mut others = Vec::new();
        for id in self.ids {
            let Some(job) = state.jobs.get(id) else {
                continue;
            };
            match job.collection {
                _ if cancelled.contains(id) => {}
                Collection::Lost => {}
                collection if collection.waits() => cancelled.push(id.clone()),
                _ => others.push((id.to_string(), job.shown_state().to_owned())),
            }
        }
        let was_in = |collection| {
            let is_in = |id: &&JobId| state.collection_of(id) == Some(collection);
            cancelled.iter().filter(is_in).cloned().collect::<Vec<_>>()
        };
        let (delayed, unhandled) = (was_in(Collection::Delayed), was_in(Collection::Unhandled));
        for id in was_in(Collection::Blocked) {
            state.leave_blocked(&id);
        }
        let leaving: Vec<_> = cancelled
            .iter()
            .filter_map(|id| state.leaving(id, Goes::Ended))
            .collect();
        self.end(state, &cancelled);
        state.left_unhandled(&unhandled);
        state.left_blocked();
        if !delayed.is_empty() {
            state.look_for_due();
        }
        state.leave(&leaving);
        state.forget_expiry(&cancelled);
        state.count("cancelled", cancelled.len());
        state.emit_ids("cancelled", &cancelled);
        if !cancelled.is_empty() {
            state.say_if_drained();
        }
        Cancelled {
            cancelled: cancelled.iter().map(JobId::to_string).collect(),
            others,
        }
    }
}

impl Cancel<'_> {
    fn end(&self, state: &mut State, ids: &[JobId]) {
        let mut plain = Vec::new();
        for id in ids {
            let own = state.jobs.get(id).and_then(|job| retention_of(&job.record));
            let job = (id.clone(), self.outcome());
            match own {
                Some(_) => state.finish(&[job], own),
                None => plain.push(job),
            }
        }
        state.finish(&plain, None);
    }
}
