//! Exactly-once calls: the last call of each lane, and what was answered.

use crate::id::{JobId, Receipt};
use crate::memory::state::State;
use crate::store::enqueue::There;

pub(crate) struct LastCall {
    pub(crate) number: u64,
    pub(crate) at_ms: u64,
    answer: StoredAnswer,
}

#[derive(Clone)]
pub(crate) enum StoredAnswer {
    /// It was only asked whether the call ran.
    Asked,
    Enqueued {
        there: Vec<There>,
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
    /// It did not run, and never will: a question has its number.
    Asked,
    /// A later call of the same lane ran already.
    Superseded,
}

impl State {
    pub(crate) fn begin_call(&mut self, lane: &str, number: u64, is_question: bool) -> Begun {
        match self.calls.get(lane) {
            Some(last) if number < last.number => return Begun::Superseded,
            Some(last) if number == last.number => {
                return match &last.answer {
                    StoredAnswer::Asked => Begun::Asked,
                    answer => Begun::Repeated(answer.clone()),
                };
            }
            _ => {}
        }
        if is_question {
            self.end_call(lane, number, StoredAnswer::Asked);
            return Begun::Asked;
        }
        Begun::New
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
