//! Removes jobs for good, but not while they run.

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::attempts::History;
use crate::memory::leave::Goes;
use crate::memory::state::{Collection, Job, State};
use crate::store::remove::{Remove, Removed};

impl Remove<'_> {
    /// Whether an attempt of the job has left something since it was read.
    fn has_run_since(&self, at: usize, job: &Job) -> bool {
        let counters = job.history.as_ref().map(History::encode_counters);
        let seen = self.seen.and_then(|seen| seen.get(at));
        seen.is_some_and(|seen| *seen != counters.unwrap_or_default())
    }

    /// Whether the job is in another state than it must be.
    fn is_elsewhere(&self, job: &Job) -> bool {
        let only_in = self.only_in;
        only_in.is_some_and(|only_in| only_in != job.shown_state())
    }
}

impl Apply for Remove<'_> {
    fn apply(&self, state: &mut State) -> Removed {
        let (mut removed, mut active): (Vec<JobId>, Vec<String>) = (Vec::new(), Vec::new());
        let mut others = Vec::new();
        let (mut delayed, mut open) = (false, false);
        for (at, id) in self.ids.iter().enumerate() {
            match state.collection_of(id) {
                Some(Collection::Active) => active.push(id.to_string()),
                Some(_)
                    if self.is_elsewhere(&state.jobs[id])
                        || self.has_run_since(at, &state.jobs[id]) =>
                {
                    let shown = state.jobs[id].shown_state();
                    others.push((id.to_string(), shown.to_owned()));
                }
                Some(collection) if !removed.contains(id) => {
                    delayed |= collection == Collection::Delayed;
                    open |= collection.waits();
                    removed.push(id.clone());
                }
                _ => {}
            }
        }
        let blocked: Vec<JobId> = removed
            .iter()
            .filter(|id| state.collection_of(id) == Some(Collection::Blocked))
            .cloned()
            .collect();
        for id in &blocked {
            state.leave_blocked(id);
        }
        let leaving: Vec<_> = removed
            .iter()
            .filter_map(|id| state.leaving(id, Goes::Removed))
            .collect();
        state.announce(&removed);
        let unhandled: Vec<JobId> = removed
            .iter()
            .filter(|id| state.collection_of(id) == Some(Collection::Unhandled))
            .cloned()
            .collect();
        state.forget(&removed);
        state.left_unhandled(&unhandled);
        state.look_for_blocked();
        if delayed {
            state.look_for_due();
        }
        state.leave(&leaving);
        state.forget_expiry(&removed);
        state.count("removed", removed.len());
        state.emit_ids("removed", &removed);
        if open {
            state.say_if_drained();
        }
        Removed {
            removed: removed.iter().map(JobId::to_string).collect(),
            active,
            others,
            has_sent: state.has_sent,
        }
    }
}
