//! The place of a job in line: its priority, then a sequence that grows from 0. `front` counts
//! down from there, and the places of the default priority are around 0.

use crate::id::JobId;
use crate::job::options::PRIORITY_DEFAULT;
use crate::memory::state::{Later, Moved, State};

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
    /// The next place at the back of a priority, or at the front of it.
    pub(crate) fn next_place(&mut self, options: Later) -> i64 {
        let sequence = if options.front {
            self.front.insert(self.front.unwrap_or(0) - 1)
        } else {
            self.sequence.insert(self.sequence.unwrap_or(0) + 1)
        };
        place(options.priority, *sequence)
    }

    /// The place that a job was given last: the one it was enqueued at, or a later one.
    pub(crate) fn place_of(&self, id: &JobId) -> i64 {
        self.jobs.get(id).map_or(0, |job| match job.moved {
            Some(Moved::To(place)) => place,
            _ => job.given,
        })
    }

    /// The place that a delayed job will get when it is due.
    pub(crate) fn later_of(&self, id: &JobId) -> Later {
        let moved = self.jobs.get(id).and_then(|job| job.moved);
        match moved {
            Some(Moved::Later(later)) => later,
            Some(Moved::To(place)) => Later::back(priority_at(place)),
            None => Later::back(PRIORITY_DEFAULT),
        }
    }
}
