//! Leases: who holds which job, since when, until when.

use crate::id::{JobId, Receipt};
use crate::memory::state::{Collection, State, moment};

/// What is remembered of a claim: what all jobs have in common that one call claimed.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) receipt: Receipt,
    pub(crate) since_ms: u64,
}

impl State {
    /// The claim on a job, if that is its receipt.
    pub(crate) fn held(&self, id: &JobId, receipt: &Receipt) -> Option<&Claim> {
        let claim = self.jobs.get(id)?.claim.as_ref()?;
        (claim.receipt == *receipt).then_some(claim)
    }

    /// Leases jobs under consecutive fences; the first of these, and their receipt. Time takes
    /// part in a fence, so that it grows even when the last one is forgotten.
    pub(crate) fn lease(&mut self, ids: &[JobId], worker: &str, lease_ms: u64) -> (u64, Receipt) {
        let first = self.now_us.max(self.fence.unwrap_or(0) + 1);
        self.fence = Some(first + ids.len() as u64 - 1);
        let since_ms = self.now_ms();
        let receipt = Receipt::new(&format!("{first} {since_ms} {worker}"));
        for id in ids {
            self.put(id, Collection::Active, moment(since_ms + lease_ms));
            if let Some(job) = self.jobs.get_mut(id) {
                let receipt = receipt.clone();
                job.claim = Some(Claim { receipt, since_ms });
            }
        }
        (first, receipt)
    }

    /// Sets the deadline of a lease that was checked to hold.
    pub(crate) fn renew(&mut self, id: &JobId, lease_ms: u64) {
        self.put(id, Collection::Active, moment(self.now_ms() + lease_ms));
    }
}
