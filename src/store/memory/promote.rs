//! Moves due jobs into line.

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::state::{Collection, State, moment};
use crate::store::promote::{Promote, Promoted};

impl State {
    /// At most `limit`, in the order in which they became due.
    pub(crate) fn promote(&mut self, limit: usize) -> Vec<JobId> {
        let ids = self.up_to(Collection::Delayed, moment(self.now_ms()), limit);
        for id in &ids {
            self.enter_anew(id, self.later_of(id));
        }
        self.emit_ids("waiting", &ids);
        ids
    }
}

impl Apply for Promote<'_> {
    fn apply(&self, state: &mut State) -> Promoted {
        let mut moved = 0;
        if !state.is_paused() {
            let due = state.promote(self.limit).len();
            moved = due.max(state.offer_again(self.limit));
        }
        if moved > 0 {
            state.arm(0);
        }
        Promoted {
            now_ms: state.now_ms(),
            moved: moved as u64,
            tick_ms: state.hold_tick(self.worker, self.hold),
            schedules: !state.schedules.is_empty(),
        }
    }
}
