//! Sagas: jobs whose steps have to be undone before they may end without success.

use crate::codec;
use crate::id::JobId;
use crate::job::outcome::Ending;
use crate::memory::attempts::History;
use crate::memory::state::{Collection, State};

/// What is known of a saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Saga {
    /// It goes forward. What its steps did is to be undone before it may end without success.
    Owed,
    /// It is to be undone; why, as it is stored for a cancelled job.
    Undoing(Vec<u8>),
}

impl Saga {
    /// As Redis holds it.
    pub(crate) fn stored(stored: &[u8]) -> Self {
        match stored {
            b"owed" => Self::Owed,
            why => Self::Undoing(why.to_vec()),
        }
    }

    /// As Redis holds it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Owed => b"owed".to_vec(),
            Self::Undoing(why) => why.clone(),
        }
    }
}

impl State {
    pub(crate) fn saga(&self, id: &JobId) -> Option<&Saga> {
        self.jobs.get(id)?.history.as_ref()?.saga.as_ref()
    }

    /// A saga that goes forward is to be undone, and has all its attempts for that. What was asked for first stays. Whether it was
    /// asked for now.
    pub(crate) fn begin_undo(&mut self, id: &JobId, why: Vec<u8>) -> bool {
        if matches!(self.saga(id), Some(Saga::Undoing(_))) {
            return false;
        }
        let Some(job) = self.jobs.get_mut(id) else {
            return false;
        };
        let history: &mut History = job.history.get_or_insert_default();
        history.saga = Some(Saga::Undoing(why));
        history.counters.failed = 0;
        history.kept.last.get_or_insert(0);
        true
    }

    /// A saga that waits is to be undone: if it is delayed or put aside, it gets in line.
    pub(crate) fn undo_waiting(&mut self, id: &JobId, why: Vec<u8>) {
        if !self.begin_undo(id, why) {
            return;
        }
        let Some(from) = self.collection_of(id) else {
            return;
        };
        if from == Collection::Delayed || from == Collection::Blocked && self.is_untold(id) {
            self.wake(id, from);
        }
    }
}

/// Why a saga is undone on which workers died so often.
pub(crate) fn died(times: u32) -> Vec<u8> {
    let why = format!("its worker died {times} times while it ran");
    codec::encode_plain(&Ending::Cancelled(why))
}
