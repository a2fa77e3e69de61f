//! Takes jobs off the head of the line and leases them.

use crate::id::{Fence, JobId, Receipt};
use crate::job::head::has_traits;
use crate::memory::allowance::Allowance;
use crate::memory::state::{Collection, State};
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
    /// A job with traits is next, and the caller does not ask for such jobs.
    pub(crate) meets_traits: bool,
    /// The weight of the job at which it stopped, because the rate that is set does not allow it yet.
    pub(crate) too_heavy: Option<u64>,
}

/// Which jobs are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Any,
    /// None without room for it.
    MustFit,
    /// Those before the first one with traits.
    BeforeTraits,
}

impl State {
    pub(crate) fn claim(&mut self, call: &Advance<'_>, limit: usize) -> Taken {
        let how = if call.is_full() {
            How::Any
        } else {
            How::BeforeTraits
        };
        let limit = self.within_limits(limit);
        if limit == 0 {
            // The caller has asked for these names, and hears of their jobs again.
            let offered = call.handlers.map(|handlers| self.ask(handlers));
            self.store_starts(self.allowance(0));
            return Taken {
                offers_left: offered.is_some_and(|offered| !offered.is_empty()),
                ..Taken::default()
            };
        }
        self.set_aside_paused(limit);
        let mut room = self.allowance(call.claim_bytes);
        let (mut taken, more) = self.take_from_line(call, limit, call.suspects, &mut room, how);
        let mut groups = Vec::new();
        if call.is_full() {
            groups = self.go_by_gates(call, limit, &mut taken, more, &mut room);
        }
        taken.too_heavy = self.store_starts(room);
        self.admit_to_line(&groups, true);
        self.save_starting();
        if call.is_full() {
            self.free_started(&taken.ids);
            self.forget_expiry(&taken.ids);
        }
        if !taken.ids.is_empty() {
            let (first_fence, receipt) = self.lease(&taken.ids, call.worker, call.lease_ms);
            (taken.first_fence, taken.receipt) = (first_fence, Some(receipt));
            self.emit_ids("active", &taken.ids);
        }
        taken
    }

    /// Takes jobs out of the line; and whether more are in it.
    fn take_from_line(
        &mut self,
        call: &Advance<'_>,
        limit: usize,
        suspects: Suspects,
        room: &mut Allowance,
        how: How,
    ) -> (Taken, bool) {
        let offered = call.handlers.map(|handlers| self.ask(handlers));
        let offered = offered.unwrap_or_default();
        let (mut ids, suspects) = self.next_in_line(limit, suspects, &offered);
        let fitting = self.fitting(&ids, room, how);
        let meets_traits =
            how == How::BeforeTraits && ids.get(fitting).is_some_and(|id| self.has_traits(id));
        ids.truncate(fitting);
        let is_offered = |id: &JobId| offered.iter().any(|(_, known)| known == id);
        let unhandled: Vec<JobId> = ids.iter().filter(|id| is_offered(id)).cloned().collect();
        let taken = Taken {
            suspects: suspects.min(fitting),
            offers_left: unhandled.len() < offered.len(),
            meets_traits,
            ids,
            ..Taken::default()
        };
        for id in &taken.ids {
            self.put(id, Collection::Active, 0);
        }
        self.found_theirs(&unhandled);
        let more = self.len(Collection::Waiting) > 0;
        (taken, more)
    }

    /// Leaves what its gates hold back, and takes others instead.
    fn go_by_gates(
        &mut self,
        call: &Advance<'_>,
        limit: usize,
        taken: &mut Taken,
        mut more: bool,
        room: &mut Allowance,
    ) -> Vec<String> {
        const ROUNDS: usize = 4;
        let mut groups = Vec::new();
        let line = std::mem::take(&mut taken.ids);
        taken.ids = self.pass_gates(line, &mut groups, room);
        for _ in 1..ROUNDS {
            if room.too_heavy.is_some() || !more || taken.ids.len() >= limit || room.bytes == 0 {
                break;
            }
            let limit = limit - taken.ids.len();
            let (part, left) =
                self.take_from_line(call, limit, Suspects::default(), room, How::MustFit);
            more = left;
            taken.offers_left |= part.offers_left;
            let start = self.pass_gates(part.ids, &mut groups, room);
            taken.ids.extend(start);
        }
        if !more && room.too_heavy.is_none() {
            let limit = limit - taken.ids.len();
            let ids = self.take_from_groups(&groups, limit, room);
            taken.ids.extend(ids);
        }
        groups
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
        for (place, id) in self.next_suspects(asked).into_iter().take(limit) {
            if line.len() + ids.len() == limit {
                if line.last().is_none_or(|(last, _)| *last < place) {
                    break;
                }
                line.pop();
            }
            ids.push(id);
        }
        let suspects = ids.len();
        let mut mixed: Vec<_> = line.into_iter().chain(offered).collect();
        mixed.sort();
        let others = mixed.into_iter().take(limit - suspects);
        ids.extend(others.map(|(_, id)| id.clone()));
        (ids, suspects)
    }

    /// The suspects that may run together, and together with the suspects that the caller runs already.
    fn next_suspects(&self, asked: Suspects) -> Vec<(i64, JobId)> {
        let lonely = |id: &JobId| {
            let stalls = self.jobs.get(id).map_or(0, |job| job.stalls);
            self.must_be_alone(stalls)
        };
        let mut suspects = self.suspects_not_paused();
        let at_most = match suspects.first() {
            Some((_, id)) if lonely(id) => usize::from(asked.alone).min(asked.at_most),
            _ => asked.at_most,
        };
        suspects.truncate(at_most);
        let others = suspects.iter().skip(1);
        let together = 1 + others.take_while(|(_, id)| !lonely(id)).count();
        suspects.truncate(together);
        suspects
    }

    /// Whether a suspect with so many stalls runs alone: a crash of its group would leave it fewer than
    /// three more before it is dead.
    fn must_be_alone(&self, stalls: u32) -> bool {
        stalls.saturating_add(SPARE_STALLS) > self.in_force().max_stalls
    }

    /// For how many of the jobs there is room, which becomes less; for the first, there always are bytes, unless it must fit.
    fn fitting(&self, ids: &[JobId], room: &mut Allowance, how: How) -> usize {
        let mut fitting = 0;
        for id in ids {
            let size = self.size_of(id);
            let stops = how == How::BeforeTraits && self.has_traits(id);
            if stops || (size > room.bytes && (fitting > 0 || how == How::MustFit)) {
                break;
            }
            if self.is_paused_job(id) || !room.start(self.weight(id)) {
                break;
            }
            room.bytes = room.bytes.saturating_sub(size);
            fitting += 1;
        }
        fitting
    }

    pub(crate) fn size_of(&self, id: &JobId) -> usize {
        let job = self.jobs.get(id);
        job.map_or(0, |job| {
            job.record.len() + job.payload.as_ref().map_or(0, Vec::len)
        })
    }

    fn has_traits(&self, id: &JobId) -> bool {
        self.jobs.get(id).is_some_and(|job| has_traits(&job.record))
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
