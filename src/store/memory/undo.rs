//! A saga that runs is to be undone.

use crate::memory::Apply;
use crate::memory::saga::Saga;
use crate::memory::state::State;
use crate::store::undo::{Undo, Undoing};

impl Apply for Undo<'_> {
    fn apply(&self, state: &mut State) -> Undoing {
        if state.held(self.id, self.receipt).is_none() {
            state.count("refused", 1);
            return Undoing::LeaseLost;
        }
        let request = state.take_request(self.id);
        if let Some(Saga::Undoing(why)) = state.saga(self.id) {
            return Undoing::Because(why.clone());
        }
        let why = request.unwrap_or_else(|| self.why());
        state.begin_undo(self.id, why.clone());
        Undoing::Because(why)
    }
}
