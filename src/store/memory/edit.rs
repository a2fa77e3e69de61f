//! Changes a job that waits, is blocked or delayed, or the record of a dead one.

use crate::job::head::field_of;
use crate::job::record::NewPayload;
use crate::job::traits::ORDER;
use crate::memory::Apply;
use crate::memory::change::Change;
use crate::memory::delayed::later_of;
use crate::memory::order::priority_at;
use crate::memory::state::{Collection, Later, State};
use crate::store::edit::{Edit, Edited};
use crate::store::enqueue::Due;

impl Apply for Edit<'_> {
    fn apply(&self, state: &mut State) -> Edited {
        let now_ms = state.now_ms();
        let known = priority_at(state.place_of(self.id));
        let priority = self.priority.unwrap_or(known);
        let Some(job) = state.jobs.get(self.id) else {
            return Edited::Missing;
        };
        if job.collection == Collection::Lost {
            return Edited::Missing;
        }
        // Of a dead job only the record is changed.
        let is_plain = self.rewrite.is_some() && self.priority.is_none() && self.due.is_none();
        let is_dead = job.collection == Collection::Dead && is_plain;
        if !job.collection.waits() && !is_dead {
            return Edited::InState(job.shown_state().to_owned());
        }
        let rewrite = self.rewrite.as_ref();
        if rewrite.is_some_and(|rewrite| rewrite.seen != job.record) {
            return Edited::Changed;
        }
        if priority != known && field_of(&job.record, ORDER).is_some() {
            return Edited::Ordered;
        }
        let front = job.collection == Collection::Delayed && later_of(job.score).front;
        let due_ms = match self.due {
            None => state.due_of_waiting(self.id),
            Some(Due::Now) => None,
            Some(Due::After { ms }) => Some(now_ms + ms),
            Some(Due::At { ms }) => Some(ms),
        };
        let change = Change {
            later: Later { priority, front },
            due_ms: due_ms.filter(|due_ms| *due_ms > now_ms),
            rest: rewrite.map(|rewrite| rewrite.rest.to_vec()),
            payload: rewrite.map_or(NewPayload::Unchanged, |rewrite| rewrite.payload.clone()),
            enqueued_ms: None,
            keeps_order: true,
            is_moved: self.due.is_some(),
        };
        state.emit_ids("edited", std::slice::from_ref(self.id));
        if state.change(self.id, &change) {
            state.look_for_due();
        }
        Edited::Done
    }
}
