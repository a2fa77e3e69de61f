//! How a job gets in line, or waits until it is due.

use crate::id::JobId;
use crate::memory::order::place;
use crate::memory::state::{Collection, Later, State};

impl State {
    /// At its place: suspects among themselves, all others in `waiting`.
    pub(crate) fn enter_line(&mut self, id: &JobId, score: u64) {
        let stalled = self.jobs.get(id).is_some_and(|job| job.stalls > 0);
        let collection = if stalled {
            Collection::Suspects
        } else {
            Collection::Waiting
        };
        self.put(id, collection, score);
    }

    /// At the back of its priority, or before everything of it.
    pub(crate) fn enter_waiting(&mut self, id: &JobId, options: Later) {
        let sequence = if options.front {
            self.next_at_front()
        } else {
            self.next_at_back()
        };
        self.enter_line(id, place(options.priority, sequence));
    }

    /// All of them at once: the wake-up is armed when the head moved.
    pub(crate) fn enter_delayed(&mut self, jobs: &[(JobId, u64, Later)]) {
        let head = self.next_due();
        for (id, due_ms, later) in jobs {
            self.put(id, Collection::Delayed, *due_ms);
            if let Some(job) = self.jobs.get_mut(id) {
                job.later = *later;
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
