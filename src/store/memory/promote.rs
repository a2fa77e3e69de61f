//! Moves due jobs into line.

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::state::{Collection, State};
use crate::store::promote::Promote;

impl State {
    /// At most `limit`, in the order in which they became due.
    pub(crate) fn promote(&mut self, limit: usize) -> Vec<JobId> {
        let ids = self.up_to(Collection::Delayed, self.now_ms(), limit);
        for id in &ids {
            if let Some(later) = self.jobs.get(id).map(|job| job.later) {
                self.enter_waiting(id, later);
            }
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
