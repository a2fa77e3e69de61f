//! Removes dead jobs for good.

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::gate::Goes;
use crate::memory::state::{Collection, State};
use crate::store::purge::{Purge, Purged};

impl Apply for Purge<'_> {
    fn apply(&self, state: &mut State) -> Purged {
        let mut purged: Vec<JobId> = Vec::new();
        for id in self.ids {
            if state.collection_of(id) == Some(Collection::Dead) && !purged.contains(id) {
                purged.push(id.clone());
            }
        }
        let leaving: Vec<_> = purged
            .iter()
            .filter_map(|id| state.leaving(id, Goes::Removed))
            .collect();
        state.announce(&purged);
        state.forget(&purged);
        state.leave(&leaving);
        state.forget_expiry(&purged);
        state.count("removed", purged.len());
        state.emit_ids("removed", &purged);
        Purged {
            purged: purged.iter().map(JobId::to_string).collect(),
        }
    }
}
