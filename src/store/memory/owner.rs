//! The job that has a unique key.

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::owner::Owner;

impl Apply for Owner<'_> {
    fn apply(&self, state: &mut State) -> Option<JobId> {
        let owner = state.unique.get(self.name)?;
        state.owns_key(owner).then(|| owner.id.clone())
    }
}
