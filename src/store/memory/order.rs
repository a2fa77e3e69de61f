//! The place of a job in line: its priority, then a sequence that grows from 0. `front` counts
//! down from there, and the places of the default priority are around 0.

use crate::id::JobId;
use crate::job::options::PRIORITY_DEFAULT;
use crate::memory::state::{Later, State};

const PRIORITY_STEP: i64 = 1 << 43;

pub(crate) fn place(priority: u16, sequence: i64) -> i64 {
    (i64::from(priority) - i64::from(PRIORITY_DEFAULT)) * PRIORITY_STEP + sequence
}

/// The priority that a place was made with.
pub(crate) fn priority_at(place: i64) -> u16 {
    let above_default = (place + PRIORITY_STEP / 2).div_euclid(PRIORITY_STEP);
    u16::try_from(above_default + i64::from(PRIORITY_DEFAULT)).unwrap_or(PRIORITY_DEFAULT)
}

impl State {
    /// The next place at the back of a priority, behind all that is due, or at the front of it.
    pub(crate) fn next_place(&mut self, options: Later) -> i64 {
        self.leave_room();
        self.last_place(options)
    }

    /// The same, whatever is due.
    pub(crate) fn last_place(&mut self, options: Later) -> i64 {
        let sequence = if options.front {
            self.front.insert(self.front.unwrap_or(0) - 1)
        } else {
            self.sequence.insert(self.sequence.unwrap_or(0) + 1)
        };
        place(options.priority, *sequence)
    }

    /// The place that a job was given last: where it was enqueued, or where it went later.
    pub(crate) fn place_of(&self, id: &JobId) -> i64 {
        let job = self.jobs.get(id);
        job.map_or(0, |job| job.moved.unwrap_or(job.given))
    }
}
