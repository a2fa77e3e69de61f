//! Puts dead jobs back in line.

use crate::memory::Apply;
use crate::memory::order::priority_at;
use crate::memory::state::{Collection, Later, State};
use crate::store::replay::Replay;

impl Apply for Replay<'_> {
    fn apply(&self, state: &mut State) -> Vec<String> {
        let mut replayed = Vec::new();
        for id in self.ids {
            let Some(job) = state.jobs.get(id) else {
                continue;
            };
            if job.collection != Collection::Dead || replayed.contains(id) {
                continue;
            }
            replayed.push(id.clone());
        }
        for id in &replayed {
            state.fresh_budget(id);
            let priority = priority_at(state.place_of(id));
            state.enter_anew(id, Later::back(priority));
        }
        if !replayed.is_empty() && !state.is_paused() {
            state.arm(0);
        }
        state.count("replayed", replayed.len());
        state.emit_ids("replayed", &replayed);
        replayed.iter().map(ToString::to_string).collect()
    }
}
