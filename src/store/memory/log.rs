//! The log of a job: what its handlers have said, the newest lines of it.

use std::collections::VecDeque;

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::log::{Log, Logged};
use crate::store::logs::Logs;

const LINES_KEPT: usize = 100;

#[derive(Debug, Default)]
pub(crate) struct Said {
    /// How many lines were ever written.
    pub(crate) logged: u64,
    /// The newest ones, as they are stored.
    pub(crate) lines: VecDeque<String>,
    /// The attempt that wrote the last one (its fence), and the number of that line within the attempt.
    last: Option<(u64, u64)>,
}

impl Said {
    /// The number of the first line that is kept.
    pub(crate) fn first(&self) -> u64 {
        self.logged + 1 - self.lines.len() as u64
    }

    fn write(&mut self, call: &Log<'_>, now_ms: u64) {
        let fence = call.fence.get();
        for (number, line) in (call.first..).zip(call.lines) {
            let is_there = self
                .last
                .is_some_and(|(of, last)| of == fence && number <= last);
            if is_there {
                continue;
            }
            let (at_ms, attempt) = (now_ms - line.age_ms, call.attempt);
            let stored = format!("{at_ms} {attempt} {fence} {number} {}", line.text);
            self.lines.push_back(stored);
            self.logged += 1;
            self.last = Some((fence, number));
        }
        let over = self.lines.len().saturating_sub(LINES_KEPT);
        self.lines.drain(..over);
    }
}

impl Apply for Log<'_> {
    fn apply(&self, state: &mut State) -> Logged {
        if state.held(self.id, self.receipt).is_none() {
            state.count("refused", 1);
            return Logged::LeaseLost;
        }
        let now_ms = state.now_ms();
        if let Some(job) = state.jobs.get_mut(self.id) {
            let history = job.history.get_or_insert_default();
            history.said.write(self, now_ms);
        }
        Logged::Yes
    }
}

impl Apply for Logs<'_> {
    fn apply(&self, state: &mut State) -> Vec<(u64, Vec<u8>)> {
        let job = state.jobs.get(&JobId::stored(self.id));
        let Some(said) = job.and_then(|job| Some(&job.history.as_ref()?.said)) else {
            return Vec::new();
        };
        let lines = (said.first()..).zip(&said.lines);
        let wanted = lines.filter(|(number, _)| *number > self.after);
        wanted
            .map(|(number, line)| (number, line.clone().into_bytes()))
            .collect()
    }
}
