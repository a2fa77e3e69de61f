//! Renews leases.

use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::extend::Extend;

impl Apply for Extend<'_> {
    fn apply(&self, state: &mut State) -> Vec<usize> {
        let mut lost = Vec::new();
        for (position, (id, receipt)) in self.leases.iter().enumerate() {
            if state.held(id, receipt).is_some() {
                state.renew(id, self.lease_ms);
            } else {
                lost.push(position);
            }
        }
        lost
    }
}
