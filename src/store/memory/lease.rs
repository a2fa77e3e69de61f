//! Leases: who holds which job, under which fence, until when.

use crate::id::{Fence, JobId};
use crate::memory::state::{Collection, State};

/// What is remembered of a claim.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) fence: u64,
    /// The place that the job was taken from.
    pub(crate) place: u64,
    pub(crate) since_ms: u64,
    pub(crate) worker: String,
}

impl Claim {
    /// As Redis holds it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24 + self.worker.len());
        bytes.extend(self.fence.to_be_bytes());
        bytes.extend((self.place as f64).to_be_bytes());
        bytes.extend(self.since_ms.to_be_bytes());
        bytes.extend(self.worker.as_bytes());
        bytes
    }
}

impl State {
    /// The claim on a job, if it still carries that fence.
    pub(crate) fn held(&self, id: &JobId, fence: Fence) -> Option<&Claim> {
        let claim = self.jobs.get(id)?.claim.as_ref()?;
        (claim.fence == fence.get()).then_some(claim)
    }

    /// Leases jobs under consecutive fences; the first of these. Time takes part in it, so that
    /// a fence grows even when the last one is forgotten.
    pub(crate) fn lease(&mut self, ids: &[JobId], worker: &str, lease_ms: u64) -> u64 {
        let first = self.now_us.max(self.fence.unwrap_or(0) + 1);
        self.fence = Some(first + ids.len() as u64 - 1);
        let now_ms = self.now_ms();
        for (fence, id) in (first..).zip(ids) {
            let place = self.jobs.get(id).map_or(0, |job| job.score);
            self.put(id, Collection::Active, now_ms + lease_ms);
            if let Some(job) = self.jobs.get_mut(id) {
                job.claim = Some(Claim {
                    fence,
                    place,
                    since_ms: now_ms,
                    worker: worker.to_owned(),
                });
            }
        }
        first
    }

    /// Sets the deadline of a lease that was checked to hold.
    pub(crate) fn renew(&mut self, id: &JobId, lease_ms: u64) {
        self.put(id, Collection::Active, self.now_ms() + lease_ms);
    }
}
