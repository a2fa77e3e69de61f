//! Takes jobs off the head of the line and leases them.

use crate::id::{Fence, JobId, Receipt};
use crate::memory::state::{Collection, State};
use crate::policy::limits::RateWindow;
use crate::store::advance::{Advance, Claimed, Suspects};

const SPARE_STALLS: u32 = 3;

/// What a claim took.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) ids: Vec<JobId>,
    pub(crate) first_fence: u64,
    /// None if it took nothing.
    pub(crate) receipt: Option<Receipt>,
    /// How many of them are suspects.
    pub(crate) suspects: usize,
    /// Others handed back more that the caller has handlers for.
    pub(crate) offers_left: bool,
    /// The weight of the job at which it stopped, because the rate that is set does not allow it yet.
    pub(crate) too_heavy: Option<u64>,
}

impl State {
    pub(crate) fn claim(&mut self, call: &Advance<'_>) -> Taken {
        let offered = call.handlers.map(|handlers| self.ask(handlers));
        let offered = offered.unwrap_or_default();
        let limit = self.within_limits(call.claim);
        if limit == 0 {
            return Taken::default();
        }
        let (mut ids, suspects) = self.next_in_line(limit, call.suspects, &offered);
        let (fitting, too_heavy) = self.fitting(&ids, call.claim_bytes);
        ids.truncate(fitting);
        let is_offered = |id: &JobId| offered.iter().any(|(_, known)| known == id);
        let unhandled: Vec<JobId> = ids.iter().filter(|id| is_offered(id)).cloned().collect();
        let mut taken = Taken {
            suspects: suspects.min(fitting),
            offers_left: unhandled.len() < offered.len(),
            too_heavy,
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

    /// The head of the line; before it the next suspects, as far as the caller may run them and
    /// it is their turn: when there is room, or when they come before the last of the others.
    /// What the caller is offered is mixed with the others in line.
    fn next_in_line(
        &self,
        limit: usize,
        asked: Suspects,
        offered: &[(i64, JobId)],
    ) -> (Vec<JobId>, usize) {
        let mut line: Vec<_> = self.all(Collection::Waiting).take(limit).collect();
        let mut ids = Vec::new();
        for (place, id) in self.next_suspects(asked).take(limit) {
            if line.len() + ids.len() == limit {
                if line.last().is_none_or(|(last, _)| last < place) {
                    break;
                }
                line.pop();
            }
            ids.push(id.clone());
        }
        let suspects = ids.len();
        let mut mixed: Vec<_> = line.into_iter().chain(offered).collect();
        mixed.sort();
        let others = mixed.into_iter().take(limit - suspects);
        ids.extend(others.map(|(_, id)| id.clone()));
        (ids, suspects)
    }

    /// The suspects that may run together, and together with the suspects that the caller runs already.
    fn next_suspects(&self, asked: Suspects) -> impl Iterator<Item = &(i64, JobId)> {
        let lonely = move |id: &JobId| {
            let stalls = self.jobs.get(id).map_or(0, |job| job.stalls);
            self.must_be_alone(stalls)
        };
        let first = self.all(Collection::Suspects).next();
        let at_most = match first {
            Some((_, id)) if lonely(id) => usize::from(asked.alone).min(asked.at_most),
            _ => asked.at_most,
        };
        self.all(Collection::Suspects)
            .take(at_most)
            .enumerate()
            .take_while(move |(position, (_, id))| *position == 0 || !lonely(id))
            .map(|(_, suspect)| suspect)
    }

    /// Whether a suspect with so many stalls runs alone: a crash of its group would leave it fewer than
    /// three more before it is dead.
    fn must_be_alone(&self, stalls: u32) -> bool {
        stalls.saturating_add(SPARE_STALLS) > self.in_force().max_stalls
    }

    /// How many of the jobs fit into `bytes`, the first always does, and may start by the rate that is set; these count
    /// as started. And the weight of the first job that may not.
    fn fitting(&mut self, ids: &[JobId], bytes: usize) -> (usize, Option<u64>) {
        let mut window = self.rate_window();
        let (mut sum, mut fitting, mut too_heavy) = (0, 0, None);
        for id in ids {
            if let Some(job) = self.jobs.get(id) {
                sum += job.record.len() + job.payload.as_ref().map_or(0, Vec::len);
            }
            if sum > bytes && fitting > 0 {
                break;
            }
            let weight = self.weight(id);
            if window.as_mut().is_some_and(|window| !window.start(weight)) {
                too_heavy = Some(weight);
                break;
            }
            fitting += 1;
        }
        if let Some(started) = window.and_then(RateWindow::changed) {
            self.started = started;
        }
        (fitting, too_heavy)
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
            alone: job.stalls > 0 && self.must_be_alone(job.stalls),
        })
    }
}
