//! Changes a job that waits, is blocked or delayed, or the record of a dead one: what its record holds, its priority, and until when it waits.

use crate::id::JobId;
use crate::job::head::EXTERNAL_PAYLOAD;
use crate::job::head::field_of;
use crate::job::record::NewPayload;
use crate::job::traits::{ORDER, gate_of};
use crate::memory::attempts::stamp;
use crate::memory::delayed::due_of;
use crate::memory::leave::Goes;
use crate::memory::order::{place, priority_at};
use crate::memory::state::{Collection, Later, State, moment};

/// What a job is to be.
pub(crate) struct Change {
    pub(crate) later: Later,
    /// None for now.
    pub(crate) due_ms: Option<u64>,
    /// What stands behind the place in its record; none: the same.
    pub(crate) rest: Option<Vec<u8>>,
    pub(crate) payload: NewPayload,
    /// When it was enqueued (ms), as its record says; none: the same.
    pub(crate) enqueued_ms: Option<u64>,
    /// A job of an order keeps its place there.
    pub(crate) keeps_order: bool,
    /// Somebody asks for `due_ms`: a job that waits to be told goes on then.
    pub(crate) is_moved: bool,
}

impl Change {
    /// The record, with another place in it.
    fn of(&self, record: &[u8], given: i64) -> Vec<u8> {
        let (head, behind) = record.split_at(1 + stamp(0).len());
        let mut version = head[0];
        match self.payload {
            NewPayload::Unchanged => {}
            NewPayload::Inline => version &= !EXTERNAL_PAYLOAD,
            NewPayload::Apart(_) => version |= EXTERNAL_PAYLOAD,
        }
        let enqueued = self.enqueued_ms.map(stamp);
        let enqueued = enqueued
            .as_ref()
            .map_or(&head[1..], |enqueued| &enqueued[..]);
        let place_ends = behind.iter().position(|byte| *byte == b' ');
        let rest = match &self.rest {
            Some(rest) => rest,
            None => place_ends.map_or(&[][..], |at| &behind[at + 1..]),
        };
        [&[version], enqueued, format!("{given} ").as_bytes(), rest].concat()
    }
}

impl State {
    /// When a job that waits is due; none for now.
    pub(crate) fn due_of_waiting(&self, id: &JobId) -> Option<u64> {
        let job = self.jobs.get(id)?;
        let due_ms = match job.collection {
            Collection::Delayed => due_of(job.score),
            Collection::Blocked => job.score.unsigned_abs(),
            _ => 0,
        };
        (due_ms > self.now_ms()).then_some(due_ms)
    }

    /// The job keeps its place in line, if it has the same priority, due time and gate. Returns whether it was delayed and is not
    /// where it was: after the last change of a call `look_for_due` is to be called.
    #[must_use]
    pub(crate) fn change(&mut self, id: &JobId, new: &Change) -> bool {
        let Some(job) = self.jobs.get(id) else {
            return false;
        };
        let was_delayed = job.collection == Collection::Delayed;
        let (record, given) = (job.record.clone(), job.given);
        let job_is_successor = job.collection == Collection::Blocked
            && (self.is_successor(id) || self.waits_for_children(id));
        let aside = self.suspended_until(id);
        let is_untold = aside == Some(0);
        let goes_on = is_untold && new.is_moved;
        let as_before = new.of(&record, given);
        let stays = !goes_on
            && new.due_ms == self.due_of_waiting(id)
            && new.later.priority == priority_at(self.place_of(id))
            && gate_of(&as_before) == gate_of(&record);
        if stays {
            self.rewrite(id, as_before, new, given);
            return false;
        }
        if job_is_successor || is_untold && !goes_on {
            let keeps_place = new.later.priority == priority_at(self.place_of(id));
            let given = match keeps_place {
                true => given,
                false => self.next_place(new.later),
            };
            self.rewrite(id, new.of(&record, given), new, given);
            if let Some(job) = self.jobs.get_mut(id).filter(|_| !keeps_place) {
                job.moved = None;
            }
            self.put(id, Collection::Blocked, moment(new.due_ms.unwrap_or(0)));
            return false;
        }
        if aside.is_some() {
            // A signal still finds it where it stands then.
            self.suspend_until(id, new.due_ms);
        }
        if new.keeps_order && field_of(&record, ORDER).is_some() {
            self.rewrite(id, as_before, new, given);
            self.reschedule(id, new, is_untold);
            return was_delayed;
        }
        self.leave_to_change(id);
        let is_placed = new.due_ms.is_none() || field_of(&as_before, ORDER).is_some();
        let given = match is_placed {
            true => self.next_place(new.later),
            false => place(new.later.priority, 0),
        };
        self.rewrite(id, new.of(&record, given), new, given);
        self.line_up(id, given, new.later, new.due_ms, is_placed);
        if new.due_ms.is_none() && !self.is_paused() {
            self.arm(0);
        }
        was_delayed
    }

    fn rewrite(&mut self, id: &JobId, record: Vec<u8>, new: &Change, given: i64) {
        if let Some(job) = self.jobs.get_mut(id) {
            (job.record, job.given) = (record, given);
            match &new.payload {
                NewPayload::Unchanged => {}
                NewPayload::Inline => job.payload = None,
                NewPayload::Apart(payload) => job.payload = Some(payload.clone()),
            }
        }
    }

    /// A job of an order is due at another moment. It keeps its place among the jobs of its order, and the turn, if it has it.
    fn reschedule(&mut self, id: &JobId, new: &Change, is_untold: bool) {
        let from = self.collection_of(id);
        if from == Some(Collection::Blocked) && !is_untold {
            return self.put(id, Collection::Blocked, moment(new.due_ms.unwrap_or(0)));
        }
        if is_untold {
            self.leave_blocked(id);
        }
        self.put(id, Collection::Lost, 0);
        match from {
            Some(Collection::Unhandled) => self.left_unhandled(std::slice::from_ref(id)),
            Some(Collection::Blocked) => self.look_for_blocked(),
            _ => {}
        }
        if let Some(due_ms) = new.due_ms {
            self.enter_delayed(&[(id.clone(), due_ms, new.later)]);
            self.expect_group(due_ms);
            return self.emit("delayed", &[format!("{id}:{due_ms}")]);
        }
        let place = self.next_place(new.later);
        let line = self.enter_at_or_hold(vec![(id.clone(), place)]);
        self.emit_ids("waiting", &line);
        if !self.is_paused() {
            self.arm(0);
        }
    }

    /// Out of where the job waits. What its gate holds back may go on. It has its key still.
    fn leave_to_change(&mut self, id: &JobId) {
        let from = self.collection_of(id);
        let gate = self.jobs.get(id).and_then(|job| gate_of(&job.record));
        let leaving = gate.and_then(|_| self.leaving(id, Goes::Moved));
        if from == Some(Collection::Blocked) {
            self.leave_blocked(id);
        }
        self.put(id, Collection::Lost, 0);
        match from {
            Some(Collection::Unhandled) => self.left_unhandled(std::slice::from_ref(id)),
            Some(Collection::Blocked) => self.look_for_blocked(),
            _ => {}
        }
        self.leave(leaving.as_slice());
        if let Some(job) = self.jobs.get_mut(id) {
            job.moved = None;
        }
    }
}
