//! Changes a job that waits, is blocked or delayed.

use crate::job::record::{EXTERNAL_PAYLOAD, NewPayload, has_traits};
use crate::memory::Apply;
use crate::memory::delayed::{due_of, later_of};
use crate::memory::order::{place, priority_at};
use crate::memory::state::{Collection, Job, Later, State};
use crate::store::edit::{Edit, Edited, Rewrite};
use crate::store::enqueue::Due;

/// The version byte, and when the job was enqueued.
const BEFORE_PLACE: usize = 10;

impl Apply for Edit<'_> {
    fn apply(&self, state: &mut State) -> Edited {
        let now_ms = state.now_ms();
        let known = priority_at(state.place_of(self.id));
        let priority = self.priority.unwrap_or(known);
        let is_reordered = priority != known;
        let Some(job) = state.jobs.get_mut(self.id) else {
            return Edited::Missing;
        };
        if job.collection == Collection::Lost {
            return Edited::Missing;
        }
        if !job.collection.waits() {
            return Edited::InState(job.shown_state().to_owned());
        }
        if self
            .rewrite
            .as_ref()
            .is_some_and(|rewrite| rewrite.seen != job.record)
        {
            return Edited::Changed;
        }
        if (is_reordered || self.due.is_some()) && has_traits(&job.record) {
            return Edited::Gated;
        }
        let (from, score) = (job.collection, job.score);
        let (known_due_ms, front) = match from {
            Collection::Delayed => (due_of(score), later_of(score).front),
            _ => (now_ms, false),
        };
        let due_ms = match self.due {
            None => known_due_ms,
            Some(Due::Now) => now_ms,
            Some(Due::After { ms }) => now_ms + ms,
            Some(Due::At { ms }) => ms,
        };
        if is_reordered {
            (job.given, job.moved) = (place(priority, 0), None);
        }
        rewrite(job, self.rewrite.as_ref());
        state.emit_ids("edited", std::slice::from_ref(self.id));
        let is_in_line = from != Collection::Delayed && due_ms <= now_ms;
        if is_reordered || self.due.is_some() && !is_in_line {
            self.leave(state, from);
            self.enter(state, due_ms, Later { priority, front });
        }
        Edited::Done
    }
}

impl Edit<'_> {
    /// It leaves the place that it had.
    fn leave(&self, state: &mut State, from: Collection) {
        let ids = std::slice::from_ref(self.id);
        state.put(self.id, Collection::Waiting, state.place_of(self.id));
        match from {
            Collection::Unhandled => state.left_unhandled(ids),
            Collection::Delayed => state.look_for_due(),
            _ => {}
        }
    }

    fn enter(&self, state: &mut State, due_ms: u64, later: Later) {
        if due_ms > state.now_ms() {
            state.enter_delayed(&[(self.id.clone(), due_ms, later)]);
            state.emit("delayed", &[format!("{}:{due_ms}", self.id)]);
        } else {
            state.enter_anew(self.id, later);
            state.emit_ids("waiting", std::slice::from_ref(self.id));
            if !state.is_paused() {
                state.arm(0);
            }
        }
    }
}

fn rewrite(job: &mut Job, rewrite: Option<&Rewrite<'_>>) {
    let (head, behind) = job.record.split_at(BEFORE_PLACE);
    let place_ends = behind.iter().position(|byte| *byte == b' ');
    let rest = match rewrite {
        Some(rewrite) => rewrite.rest,
        None => place_ends.map_or(&[][..], |at| &behind[at + 1..]),
    };
    let mut record = head.to_vec();
    match rewrite.map(|rewrite| rewrite.payload) {
        None | Some(NewPayload::Unchanged) => {}
        Some(NewPayload::Inline) => {
            record[0] &= !EXTERNAL_PAYLOAD;
            job.payload = None;
        }
        Some(NewPayload::Apart(payload)) => {
            record[0] |= EXTERNAL_PAYLOAD;
            job.payload = Some(payload.clone());
        }
    }
    record.extend_from_slice(format!("{} ", job.given).as_bytes());
    record.extend_from_slice(rest);
    job.record = record;
}
