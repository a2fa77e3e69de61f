//! Exactly-once calls: the last call of each lane, and what was answered.

use crate::id::{JobId, Receipt};
use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::Known;
use crate::store::advance::{Advance, Answer};
use crate::store::enqueue::{Enqueue, Enqueued};

pub(crate) struct LastCall {
    pub(crate) number: u64,
    pub(crate) at_ms: u64,
    answer: StoredAnswer,
}

#[derive(Clone)]
pub(crate) enum StoredAnswer {
    Enqueued {
        there: Vec<usize>,
    },
    Advanced {
        refused: Vec<usize>,
        first_fence: u64,
        /// None if nothing was claimed.
        receipt: Option<Receipt>,
        ids: Vec<JobId>,
    },
}

/// What a number says about a call.
pub(crate) enum Begun {
    New,
    /// It ran, and this was answered.
    Repeated(StoredAnswer),
    /// A later call of the same lane ran already.
    Superseded,
}

impl State {
    pub(crate) fn begin_call(&self, lane: &str, number: u64) -> Begun {
        match self.calls.get(lane) {
            Some(last) if number == last.number => Begun::Repeated(last.answer.clone()),
            Some(last) if number < last.number => Begun::Superseded,
            _ => Begun::New,
        }
    }

    pub(crate) fn end_call(&mut self, lane: &str, number: u64, answer: StoredAnswer) {
        let at_ms = self.now_ms();
        let last = LastCall {
            number,
            at_ms,
            answer,
        };
        self.calls.insert(lane.to_owned(), last);
    }
}

impl State {
    fn ran(&self, lane: &str, number: u64) -> bool {
        matches!(self.begin_call(lane, number), Begun::Repeated(_))
    }
}

impl Apply for Known<Advance<'_>> {
    fn apply(&self, state: &mut State) -> (bool, Answer) {
        let ran_before = state.ran(self.0.lane, self.0.call);
        (ran_before, self.0.apply(state))
    }
}

impl Apply for Known<Enqueue<'_>> {
    fn apply(&self, state: &mut State) -> (bool, Enqueued) {
        let ran_before = state.ran(self.0.lane, self.0.call);
        (ran_before, self.0.apply(state))
    }
}
