//! Renews leases.

use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::extend::{Extend, Extended};

impl Apply for Extend<'_> {
    fn apply(&self, state: &mut State) -> Extended {
        let (mut lost, mut requests) = (Vec::new(), Vec::new());
        for (position, (id, receipt)) in self.leases.iter().enumerate() {
            if state.held(id, receipt).is_some() {
                state.renew(id, self.lease_ms);
                let request = state.jobs.get(id).and_then(|job| job.request.clone());
                requests.extend(request.map(|request| (position, request)));
            } else {
                lost.push(position);
            }
        }
        Extended { lost, requests }
    }
}
