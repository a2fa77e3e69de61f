//! Moves due jobs into line.

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::promote::{Promote, Promoted};

impl State {
    /// At most `limit`: the most urgent first, and of one priority in the order in which they became
    /// due. Returns how many, and how many of them are in line.
    pub(crate) fn promote(&mut self, limit: usize) -> (usize, usize) {
        let mut next = self.due_jobs();
        next.truncate(limit);
        let places: Vec<i64> = next.iter().map(|job| self.promoted_place(job)).collect();
        let ids: Vec<JobId> = next.into_iter().map(|(_, id)| id).collect();
        let mut in_line = ids.clone();
        if self.gates.expected_ms.is_some() {
            in_line = self.enter_at_or_hold(ids.iter().cloned().zip(places).collect());
        } else {
            for (id, place) in ids.iter().zip(places) {
                self.enter_at(id, place);
            }
        }
        if ids.len() < limit {
            self.look_for_due();
            self.expect_no_group();
        } else if limit > 0 {
            // There may be more.
            let now_ms = self.now_ms();
            self.due = Some(self.due.map_or(now_ms, |due| due.min(now_ms)));
        }
        self.emit_ids("waiting", &in_line);
        (ids.len(), in_line.len())
    }
}

impl Apply for Promote<'_> {
    fn apply(&self, state: &mut State) -> Promoted {
        // Also while the queue is paused: callers wait for jobs that are not to start any more.
        let expired = state.expire(self.limit);
        let mut moved = 0;
        if !state.is_paused() {
            let (due, _) = state.promote(self.limit);
            moved = due.max(state.offer_again(self.limit));
        }
        let was_untold = state.tell_if_untold();
        if (was_untold || moved > 0) && !state.is_paused() {
            state.arm(0);
        }
        if expired > 0 {
            state.say_if_drained();
        }
        Promoted {
            now_ms: state.now_ms(),
            moved: moved.max(expired) as u64,
            tick_ms: state.hold_tick(self.worker, self.hold),
            schedules: !state.schedules.is_empty(),
        }
    }
}
