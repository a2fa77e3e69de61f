//! The order of the delayed jobs, and the room that is kept in line for those that are due.

use std::collections::BTreeMap;

use crate::id::JobId;
use crate::job::options::PRIORITY_DEFAULT;
use crate::memory::order::place;
use crate::memory::state::{Collection, Later, State, moment};
use crate::store::BATCH_JOBS;
use crate::store::enqueue::{Due, NewJob};

/// What separates the lines. Each priority has two: of the jobs that go to its front, and of others.
const LINE: i64 = 1 << 42;
/// The end of the last line.
#[cfg(test)]
pub(crate) const ROOMS: i64 = 1047 * LINE;

/// Places that are kept free: the sequence numbers from the first to the last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// When a new job is due.
pub(crate) fn due_ms(new: &NewJob, now_ms: u64) -> u64 {
    match new.due {
        Due::Now => now_ms,
        Due::After { ms } => now_ms + ms,
        Due::At { ms } => ms,
    }
}

/// The score of a delayed job.
pub(crate) fn delayed_score(later: Later, due_ms: u64) -> i64 {
    let to_front = if later.front { LINE } else { 0 };
    place(later.priority, moment(due_ms).min(LINE - 1)) - to_front
}

/// When a job with this score is due.
pub(crate) fn due_of(score: i64) -> u64 {
    score.rem_euclid(LINE).unsigned_abs()
}

/// Where the job with this score is to go.
pub(crate) fn later_of(score: i64) -> Later {
    let line = score.div_euclid(LINE);
    let front = line.rem_euclid(2) == 1;
    let above_default = (line + i64::from(front)) / 2;
    let priority = u16::try_from(above_default + i64::from(PRIORITY_DEFAULT));
    Later {
        priority: priority.unwrap_or(PRIORITY_DEFAULT),
        front,
    }
}

impl State {
    /// All that is due: the most urgent first, and of one priority in the order in which it became due.
    pub(crate) fn due_jobs(&self) -> Vec<(i64, JobId)> {
        let is_due = |job: &&(i64, JobId)| due_of(job.0) <= self.now_ms();
        let delayed = self.all(Collection::Delayed);
        delayed.filter(is_due).cloned().collect()
    }

    /// The place of a job that is promoted: in the room that was kept for it, or a new one. Jobs before
    /// it, of the same priority, have got theirs.
    pub(crate) fn promoted_place(&mut self, (score, id): &(i64, JobId)) -> i64 {
        let later = later_of(*score);
        let room = self.rooms.range(due_of(*score)..).next();
        let Some((until_ms, room)) = room.filter(|_| !later.front) else {
            return self.last_place(later);
        };
        let end = delayed_score(later, *until_ms);
        let line = self.all(Collection::Delayed);
        let left = line.filter(|job| **job >= (*score, id.clone()) && job.0 <= end);
        let number = room.last - left.count() as i64 + 1;
        place(later.priority, number.max(room.first))
    }

    /// What is due goes before jobs that become ready now: as many places are kept as any priority
    /// needs for what has none yet. Jobs that go to the front need none.
    pub(crate) fn leave_room(&mut self) {
        let now_ms = self.now_ms();
        if self.due.is_none_or(|due| due > now_ms) {
            return;
        }
        let newest = self.rooms.last_key_value().map(|(until_ms, _)| *until_ms);
        let mut needed: BTreeMap<u16, i64> = BTreeMap::new();
        for (score, _) in self.due_jobs() {
            let later = later_of(score);
            if !later.front && newest.is_none_or(|until_ms| due_of(score) > until_ms) {
                *needed.entry(later.priority).or_default() += 1;
            }
        }
        self.look_for_due();
        if let Some(most) = needed.into_values().max() {
            let before = self.sequence.unwrap_or(0);
            let (first, last) = (before + 1, before + most);
            self.rooms.insert(now_ms, Room { first, last });
            self.sequence = Some(last);
        }
    }

    /// Finds when the next delayed job is due. Once nothing is due, no room is needed.
    pub(crate) fn look_for_due(&mut self) {
        let delayed = self.all(Collection::Delayed);
        self.due = delayed.map(|(score, _)| due_of(*score)).min();
        if self.due.is_none_or(|due| due > self.now_ms()) {
            for _ in 0..BATCH_JOBS {
                self.rooms.pop_first();
            }
        }
    }
}
