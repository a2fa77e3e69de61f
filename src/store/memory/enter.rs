//! How a job gets in line, or waits until it is due.

use crate::id::JobId;
use crate::memory::state::{Collection, Later, Moved, State, moment};

impl State {
    /// At its place: suspects among themselves, all others in `waiting`.
    pub(crate) fn enter_line(&mut self, id: &JobId, score: i64) {
        let stalled = self.jobs.get(id).is_some_and(|job| job.stalls > 0);
        let collection = if stalled {
            Collection::Suspects
        } else {
            Collection::Waiting
        };
        self.put(id, collection, score);
    }

    /// To a new place, at the back of its priority or before everything of it.
    pub(crate) fn enter_anew(&mut self, id: &JobId, options: Later) {
        let place = self.next_place(options);
        if let Some(job) = self.jobs.get_mut(id) {
            job.moved = Some(Moved::To(place));
        }
        self.enter_line(id, place);
    }

    /// All of them at once: the wake-up is armed when the head moved.
    pub(crate) fn enter_delayed(&mut self, jobs: &[(JobId, u64, Later)]) {
        let head = self.next_due();
        for (id, due_ms, later) in jobs {
            self.put(id, Collection::Delayed, moment(*due_ms));
            if let Some(job) = self.jobs.get_mut(id)
                && !later.is_default()
            {
                job.moved = Some(Moved::Later(*later));
            }
        }
        let earliest = jobs.iter().map(|(_, due_ms, _)| *due_ms).min();
        if let Some(earliest) = earliest
            && head.is_none_or(|head| earliest < head)
        {
            self.arm(earliest);
        }
    }
}
