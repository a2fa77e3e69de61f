//! Stores how far a running job is.

use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::progress::{Progress, Stored};

/// A larger value is not in the event: the cap of the stream counts ids, not bytes.
const VALUE_IN_EVENT_MAX: usize = 256;

impl Apply for Progress<'_> {
    fn apply(&self, state: &mut State) -> Stored {
        if state.held(self.id, self.receipt).is_none() {
            state.count("refused", 1);
            return Stored::LeaseLost;
        }
        if let Some(job) = state.jobs.get_mut(self.id) {
            job.progress = Some(self.value.to_vec());
        }
        state.emit("progress", &[self.id.to_string()]);
        if self.value.len() <= VALUE_IN_EVENT_MAX {
            state.emit_value("value", self.value);
        }
        Stored::Yes
    }
}
