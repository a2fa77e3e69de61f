//! Moves due jobs into line.

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::state::{Collection, State, moment};
use crate::store::promote::Promote;

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

impl Apply for Promote {
    fn apply(&self, state: &mut State) -> u64 {
        if state.is_paused() {
            return 0;
        }
        let promoted = state.promote(self.limit);
        if !promoted.is_empty() {
            state.arm(0);
        }
        promoted.len() as u64
    }
}
