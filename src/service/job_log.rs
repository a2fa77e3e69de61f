//! What a handler has said of its job and Redis does not have yet: the lines of one attempt.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::store::log::Line;
use crate::time::millis;

/// Lines that are kept of a job. `lua/lib/job_log.lua` has the same number.
pub(crate) const LINES_KEPT: usize = 100;

#[derive(Default)]
pub(crate) struct JobLog {
    waiting: Mutex<Waiting>,
    /// One call at a time carries lines, so that they get there in their order.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<(Instant, String)>,
    /// How many lines there were in this attempt.
    said: u64,
    /// A task sends them.
    is_looked_after: bool,
    /// The attempt has ended.
    is_closed: bool,
}

impl JobLog {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a line; if too many wait, the oldest one is dropped. Says whether a task is needed to send them.
    pub(crate) fn push(&self, text: String) -> bool {
        let mut waiting = self.lock();
        if waiting.is_closed {
            return false;
        }
        waiting.lines.push_back((Instant::now(), text));
        waiting.said += 1;
        if waiting.lines.len() > LINES_KEPT {
            waiting.lines.pop_front();
        }
        !std::mem::replace(&mut waiting.is_looked_after, true)
    }

    /// The number of the first line that waits, and all of them; `None` if none does.
    pub(crate) fn waiting(&self) -> Option<(u64, Vec<Line>)> {
        let waiting = self.lock();
        let line = |(at, text): &(Instant, String)| Line {
            age_ms: millis(at.elapsed()),
            text: text.clone(),
        };
        let lines: Vec<Line> = waiting.lines.iter().map(line).collect();
        let first = waiting.said + 1 - lines.len() as u64;
        (!lines.is_empty()).then_some((first, lines))
    }

    /// Redis has all lines up to this number.
    pub(crate) fn sent(&self, last: u64) {
        let mut waiting = self.lock();
        let left = usize::try_from(waiting.said.saturating_sub(last)).unwrap_or(usize::MAX);
        let sent = waiting.lines.len().saturating_sub(left);
        waiting.lines.drain(..sent);
    }

    /// Whether the task that sends them may end: nothing waits, or the attempt has ended.
    pub(crate) fn rests(&self) -> bool {
        let mut waiting = self.lock();
        let rests = waiting.is_closed || waiting.lines.is_empty();
        waiting.is_looked_after &= !rests;
        rests
    }

    /// No further lines are taken. Says how many wait.
    pub(crate) fn close(&self) -> usize {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        waiting.lines.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(log: &JobLog) -> Option<(u64, usize)> {
        log.waiting().map(|(first, lines)| (first, lines.len()))
    }

    #[test]
    fn lines_keep_their_numbers_whatever_was_sent_or_dropped_meanwhile() {
        let log = JobLog::default();
        assert!(log.push("1".to_owned()), "a task is needed");
        assert!(!log.push("2".to_owned()));
        assert_eq!(numbers(&log), Some((1, 2)));
        log.push("3".to_owned());
        log.sent(2);
        assert_eq!(numbers(&log), Some((3, 1)));
        assert!(!log.rests());
        for n in 4..=150 {
            log.push(n.to_string());
        }
        assert_eq!(numbers(&log), Some((51, LINES_KEPT)));
        // The call that carried the first ones took so long that these were dropped.
        log.sent(40);
        assert_eq!(numbers(&log), Some((51, LINES_KEPT)));
        log.sent(150);
        assert!(log.waiting().is_none() && log.rests());
        assert!(log.push("151".to_owned()), "another task");
        assert_eq!(log.close(), 1);
        assert!(!log.push("152".to_owned()));
        assert_eq!(numbers(&log), Some((151, 1)));
    }
}
