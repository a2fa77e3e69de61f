//! Jobs that are not to start any more after a moment.

use crate::codec;
use crate::id::JobId;
use crate::job::outcome::Ending;
use crate::job::traits::expiry_of;
use crate::memory::attempts::History;
use crate::memory::leave::Goes;
use crate::memory::state::{Collection, State};

impl State {
    /// The first moment at which a job expires.
    pub(crate) fn expiring(&self) -> Option<u64> {
        self.expires.values().min().copied()
    }

    /// Jobs are there that have not started.
    pub(crate) fn expect_expiry(&mut self, ids: &[JobId]) {
        let before = self.expiring();
        let mut has_one = false;
        for id in ids {
            let record = self.jobs.get(id).map(|job| job.record.as_slice());
            if let Some(at_ms) = record.and_then(expiry_of) {
                self.expires.insert(id.clone(), at_ms);
                has_one = true;
            }
        }
        let now = self.expiring();
        if let Some(first_ms) = now.filter(|_| has_one && now != before) {
            self.arm(first_ms);
        }
    }

    /// A job waits, and may have begun before.
    pub(crate) fn expect_first_start(&mut self, id: &JobId) {
        if !self.has_begun(id) {
            self.expect_expiry(std::slice::from_ref(id));
        }
    }

    pub(crate) fn has_begun(&self, id: &JobId) -> bool {
        let job = self.jobs.get(id);
        let history = job.and_then(|job| job.history.as_ref());
        history.is_some_and(History::has_begun)
    }

    /// Jobs have started, or are over.
    pub(crate) fn forget_expiry(&mut self, ids: &[JobId]) {
        for id in ids {
            self.expires.remove(id);
        }
    }

    /// Ends up to `limit` jobs whose moment has come. Returns how many.
    pub(crate) fn expire(&mut self, limit: usize) -> usize {
        let now_ms = self.now_ms();
        let over = self.expires.iter().filter(|(_, at_ms)| **at_ms <= now_ms);
        let mut over: Vec<(u64, JobId)> = over.map(|(id, at_ms)| (*at_ms, id.clone())).collect();
        over.sort();
        over.truncate(limit);
        let ids: Vec<JobId> = over.into_iter().map(|(_, id)| id).collect();
        let outcome = codec::encode_plain(&Ending::Expired);
        let (mut cancelled, mut leaving) = (Vec::new(), Vec::new());
        let (mut unhandled, mut is_delayed) = (Vec::new(), false);
        for id in &ids {
            let Some(collection) = self.collection_of(id).filter(|at| at.waits()) else {
                continue;
            };
            let job = self.leaving(id, Goes::Ended);
            leaving.extend(job.map(|job| job.ended(&outcome)));
            if collection == Collection::Blocked {
                self.leave_blocked(id);
            }
            match collection {
                Collection::Unhandled => unhandled.push(id.clone()),
                Collection::Delayed => is_delayed = true,
                _ => {}
            }
            cancelled.push((id.clone(), outcome.clone()));
        }
        self.count("expired", cancelled.len());
        self.end_cancelled(cancelled);
        self.left_unhandled(&unhandled);
        self.look_for_blocked();
        self.forget_expiry(&ids);
        if is_delayed {
            self.look_for_due();
        }
        self.leave(&leaving);
        ids.len()
    }
}
