//! What workers say of themselves.

use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::report::{Answer, Report};
use crate::store::workers::{Found, Said, Workers};

const DROPPED_AT_MOST: usize = 256;

/// What a worker has said, and until when it stands (ms).
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) said: Said,
    pub(crate) until_ms: u64,
}

impl Apply for Report<'_> {
    fn apply(&self, state: &mut State) -> Answer {
        let now_ms = state.now_ms();
        let last = state.workers.get(self.worker);
        let is_repeated = last.is_some_and(|standing| standing.said.number == self.number);
        state.tally(if is_repeated { "" } else { self.lines });
        let over = state.workers.iter();
        let over = over.filter(|(_, standing)| standing.until_ms <= now_ms);
        let mut over: Vec<(u64, String)> = over
            .map(|(worker, standing)| (standing.until_ms, worker.clone()))
            .collect();
        over.sort();
        for (_, worker) in over.into_iter().take(DROPPED_AT_MOST) {
            state.workers.remove(&worker);
        }
        if self.stops {
            state.workers.remove(self.worker);
            return Answer::Reported;
        }
        let is_known = state.workers.contains_key(self.worker);
        if !is_known && state.workers.len() >= self.most {
            return Answer::Full;
        }
        let standing = Standing {
            said: Said {
                worker: self.worker.to_owned(),
                since_ms: now_ms.saturating_sub(self.age_ms),
                at_ms: now_ms,
                number: self.number,
                about: self.about.to_vec(),
            },
            until_ms: now_ms + self.ttl_ms,
        };
        state.workers.insert(self.worker.to_owned(), standing);
        Answer::Reported
    }
}

/// In memory all of them are one page.
impl Apply for Workers<'_> {
    fn apply(&self, state: &mut State) -> Found {
        let now_ms = state.now_ms();
        let standing = state.workers.values();
        let standing = standing.filter(|standing| standing.until_ms > now_ms);
        Found {
            cursor: Self::FIRST.to_owned(),
            workers: standing.map(|standing| standing.said.clone()).collect(),
        }
    }
}
