//! Puts dead jobs back in line.

use crate::memory::Apply;
use crate::memory::order::priority_at;
use crate::memory::state::{Collection, Later, State};
use crate::store::replay::{DUPLICATE, Replay, Replayed};

impl Apply for Replay<'_> {
    fn apply(&self, state: &mut State) -> Replayed {
        let (mut replayed, mut others) = (Vec::new(), Vec::new());
        let mut taken = Vec::new();
        for id in self.ids {
            let Some(job) = state.jobs.get(id) else {
                continue;
            };
            let (collection, shown) = (job.collection, job.shown_state());
            match collection {
                Collection::Dead if replayed.contains(id) => {}
                Collection::Dead if !state.take_key_again(id, &mut taken) => {
                    others.push((id.to_string(), DUPLICATE.to_owned()));
                }
                Collection::Dead => replayed.push(id.clone()),
                Collection::Lost => {}
                _ => others.push((id.to_string(), shown.to_owned())),
            }
        }
        for id in &replayed {
            state.fresh_budget(id);
            state.expect_first_start(id);
        }
        let mut jobs = Vec::new();
        for id in &replayed {
            let priority = priority_at(state.place_of(id));
            jobs.push((id.clone(), state.next_place(Later::back(priority))));
        }
        state.enter_at_or_hold(jobs);
        if !replayed.is_empty() && !state.is_paused() {
            state.arm(0);
        }
        state.count("replayed", replayed.len());
        state.emit_ids("replayed", &replayed);
        Replayed {
            replayed: replayed.iter().map(ToString::to_string).collect(),
            others,
        }
    }
}
