//! Takes jobs off the head of the line and leases them.

use crate::id::{Fence, JobId, Receipt};
use crate::memory::state::{Collection, State};
use crate::store::advance::{Advance, Claimed};

/// What a claim took.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) ids: Vec<JobId>,
    pub(crate) first_fence: u64,
    /// None if it took nothing.
    pub(crate) receipt: Option<Receipt>,
    pub(crate) suspect: bool,
    /// Others handed back more that the caller has handlers for.
    pub(crate) offers_left: bool,
}

impl State {
    pub(crate) fn claim(&mut self, call: &Advance<'_>) -> Taken {
        let offered = call.handlers.map(|handlers| self.ask(handlers));
        let offered = offered.unwrap_or_default();
        let (mut ids, suspect) = self.next_in_line(call.claim, call.suspect, &offered);
        let fitting = self.fitting(&ids, call.claim_bytes);
        ids.truncate(fitting);
        let is_offered = |id: &JobId| offered.iter().any(|(_, known)| known == id);
        let unhandled: Vec<JobId> = ids.iter().filter(|id| is_offered(id)).cloned().collect();
        let mut taken = Taken {
            suspect,
            offers_left: unhandled.len() < offered.len(),
            ..Taken::default()
        };
        if !ids.is_empty() {
            let (first_fence, receipt) = self.lease(&ids, call.worker, call.lease_ms);
            (taken.first_fence, taken.receipt) = (first_fence, Some(receipt));
            self.found_theirs(&unhandled);
            self.emit_ids("active", &ids);
            taken.ids = ids;
        }
        taken
    }

    /// The head of the line; before it the first of the suspects, if the caller may run one and
    /// it is its turn: when there is room for it, or when it comes before the last of the others.
    /// What the caller is offered is mixed with the others in line.
    fn next_in_line(
        &self,
        limit: usize,
        with_suspect: bool,
        offered: &[(i64, JobId)],
    ) -> (Vec<JobId>, bool) {
        let line: Vec<_> = self.all(Collection::Waiting).take(limit).collect();
        let suspect = self
            .first(Collection::Suspects)
            .filter(|_| with_suspect)
            .filter(|(place, _)| line.len() < limit || line.last().is_some_and(|l| l.0 >= *place));
        let room = limit - usize::from(suspect.is_some());
        let mut mixed: Vec<_> = line.into_iter().take(room).chain(offered).collect();
        mixed.sort();
        let others = mixed.into_iter().take(room).map(|(_, id)| id.clone());
        let first = suspect.as_ref().map(|(_, id)| id.clone());
        (first.into_iter().chain(others).collect(), suspect.is_some())
    }

    /// How many of the jobs fit into `bytes`; the first always does.
    fn fitting(&self, ids: &[JobId], bytes: usize) -> usize {
        let mut sum = 0;
        let fits = |id: &&JobId| {
            if let Some(job) = self.jobs.get(*id) {
                sum += job.record.len() + job.payload.as_ref().map_or(0, Vec::len);
            }
            sum <= bytes
        };
        let fitting = ids.iter().take_while(fits).count();
        fitting.max(1).min(ids.len())
    }

    /// A claim as its worker gets it.
    pub(crate) fn deliver(&self, id: &JobId, fence: u64, receipt: &Receipt) -> Option<Claimed> {
        let job = self.jobs.get(id)?;
        Some(Claimed {
            id: id.clone(),
            fence: Fence(fence),
            receipt: receipt.clone(),
            record: job.record.clone(),
            payload: job.payload.clone(),
            counters: job
                .history
                .as_ref()
                .map(|history| history.encode_counters()),
            stalls: job.stalls,
        })
    }
}
