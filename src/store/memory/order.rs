//! The place of a job in line: its priority, then a sequence that starts in the middle of its
//! range, so that `front` can count down from there.

use crate::memory::state::State;

const PRIORITY_STEP: u64 = 1 << 43;
const SEQUENCE_START: u64 = 1 << 42;

pub(crate) fn place(priority: u16, sequence: u64) -> u64 {
    u64::from(priority) * PRIORITY_STEP + sequence
}

/// The priority that a place was made with.
pub(crate) fn priority_at(score: u64) -> u16 {
    u16::try_from(score / PRIORITY_STEP).unwrap_or(u16::MAX)
}

impl State {
    /// The next place at the back.
    pub(crate) fn next_at_back(&mut self) -> u64 {
        let sequence = self.sequence.unwrap_or(SEQUENCE_START) + 1;
        self.sequence = Some(sequence);
        sequence
    }

    /// The next place at the front.
    pub(crate) fn next_at_front(&mut self) -> u64 {
        let sequence = self.front.unwrap_or(SEQUENCE_START + 1) - 1;
        self.front = Some(sequence);
        sequence
    }
}
