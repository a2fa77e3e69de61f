//! Deletes the queue with all that it holds.

use crate::memory::Apply;
use crate::memory::state::{Collection, State};
use crate::store::delete::{Answer, Delete, Holdings};

/// A schedule has as many fields in Redis.
const FIELDS_AT_MOST: usize = 4;

impl Apply for Delete {
    fn apply(&self, state: &mut State) -> Answer {
        let held = holdings(state);
        if is_wanted(&held) && !self.all {
            return Answer::NotEmpty(held);
        }
        // The numbers of the last calls stay, for calls that are repeated.
        let mut empty = State::default();
        empty.now_us = state.now_us;
        empty.calls = std::mem::take(&mut state.calls);
        // And which messages of other queues were taken: a relay may be late.
        empty.sources = std::mem::take(&mut state.sources);
        // And the last position of this queue.
        if state.sent > 0 {
            empty.sources.insert(String::new(), state.sent);
        }
        *state = empty;
        Answer::Deleted(held)
    }
}

/// Whether the queue holds open jobs, dead letters or schedules.
fn is_wanted(held: &Holdings) -> bool {
    let open = held.waiting + held.blocked + held.delayed + held.active;
    open + held.dead + held.schedules + held.lost + held.unsent > 0
}

fn holdings(state: &State) -> Holdings {
    let count = |collections: &[Collection]| -> u64 {
        let sizes = collections.iter().map(|of| state.len(*of) as u64);
        sizes.sum()
    };
    let schedules = state.schedules.values();
    let ticking = schedules.clone().filter(|kept| !kept.lost).count();
    let fields: usize = schedules.map(|kept| kept.fields()).sum();
    Holdings {
        waiting: count(&[
            Collection::Waiting,
            Collection::Suspects,
            Collection::Unhandled,
        ]),
        blocked: count(&[Collection::Blocked]),
        delayed: count(&[Collection::Delayed]),
        active: count(&[Collection::Active]),
        completed: count(&[Collection::Completed, Collection::Kept]),
        dead: count(&[Collection::Dead]),
        schedules: ticking.max(fields.div_ceil(FIELDS_AT_MOST)) as u64,
        lost: count(&[Collection::Lost]),
        unsent: state.outbox.len() as u64,
    }
}
