//! Cancels jobs: those that wait end at once, those that run are asked to end.

use crate::codec;
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::outcome::{DeadReason, Ending, Outcome};
use crate::job::record::retention_of;
use crate::memory::Apply;
use crate::memory::leave::Goes;
use crate::memory::saga::Saga;
use crate::memory::state::{Collection, State};
use crate::policy::retention::Retention;
use crate::store::advance::Settlement;
use crate::store::cancel::{Cancel, Cancelled};

const ANNOUNCEMENTS_KEPT: usize = 1_000;

impl Apply for Cancel<'_> {
    fn apply(&self, state: &mut State) -> Cancelled {
        state.cancel(self.ids, &self.outcome())
    }
}

impl State {
    /// Ends jobs that wait, and asks those that run to end.
    pub(crate) fn cancel(&mut self, asked: &[JobId], stored: &[u8]) -> Cancelled {
        let (mut cancelled, mut running): (Vec<JobId>, Vec<JobId>) = Default::default();
        let (mut others, mut undone) = (Vec::new(), Vec::new());
        for id in asked {
            let Some(job) = self.jobs.get(id) else {
                continue;
            };
            match job.collection {
                _ if cancelled.contains(id) => {}
                Collection::Lost => {}
                Collection::Active => running.push(id.clone()),
                collection if collection.waits() && self.saga(id).is_some() => {
                    undone.push(id.clone());
                }
                collection if collection.waits() => cancelled.push(id.clone()),
                _ => others.push((id.to_string(), job.shown_state().to_owned())),
            }
        }
        for id in &undone {
            self.undo_waiting(id, stored.to_vec());
        }
        let was_in = |state: &Self, collection| {
            let is_in = |id: &&JobId| state.collection_of(id) == Some(collection);
            cancelled.iter().filter(is_in).cloned().collect::<Vec<_>>()
        };
        let (delayed, unhandled) = (
            was_in(self, Collection::Delayed),
            was_in(self, Collection::Unhandled),
        );
        for id in was_in(self, Collection::Blocked) {
            self.leave_blocked(&id);
        }
        let leaving: Vec<_> = cancelled
            .iter()
            .filter_map(|id| self.leaving(id, Goes::Ended))
            .map(|job| job.ended(stored))
            .collect();
        let outcome = |id: &JobId| (id.clone(), stored.to_vec());
        self.end_cancelled(cancelled.iter().map(outcome).collect());
        self.left_unhandled(&unhandled);
        self.look_for_blocked();
        if !delayed.is_empty() {
            self.look_for_due();
        }
        self.leave(&leaving);
        self.forget_expiry(&cancelled);
        if !cancelled.is_empty() {
            self.say_if_drained();
        }
        self.request(&running, stored);
        let names = |ids: &[JobId]| ids.iter().map(JobId::to_string).collect();
        Cancelled {
            cancelled: names(&cancelled),
            running: names(&[running, undone].concat()),
            others,
            has_sent: self.has_sent,
        }
    }
}

impl State {
    /// Asks running jobs to end. The first request stays.
    fn request(&mut self, ids: &[JobId], stored: &[u8]) {
        let mut announced = Vec::new();
        for id in ids {
            let Some(job) = self.jobs.get_mut(id) else {
                continue;
            };
            let request = job.request.get_or_insert_with(|| stored.to_vec()).clone();
            job.history.get_or_insert_default();
            if let Some(claim) = &job.claim {
                let receipt = claim.receipt.as_str().as_bytes();
                announced.push((id.to_string(), [receipt, b"\n", &request].concat()));
            }
        }
        if !announced.is_empty() {
            let now_ms = self.now_ms();
            self.cancels.append(now_ms, announced, ANNOUNCEMENTS_KEPT);
        }
    }
}

impl State {
    /// The application asked for the end of these jobs; with each, what is stored as its outcome.
    pub(crate) fn end_cancelled(&mut self, jobs: Vec<(JobId, Vec<u8>)>) {
        let ids: Vec<JobId> = jobs.iter().map(|(id, _)| id.clone()).collect();
        let mut plain = Vec::new();
        for job in jobs {
            match self.own_retention(&job.0) {
                None => plain.push(job),
                own => self.finish(&[job], own),
            }
        }
        self.finish(&plain, None);
        self.count("cancelled", ids.len());
        self.emit_ids("cancelled", &ids);
    }

    fn own_retention(&self, id: &JobId) -> Option<Retention> {
        self.jobs.get(id).and_then(|job| retention_of(&job.record))
    }

    pub(crate) fn take_request(&mut self, id: &JobId) -> Option<Vec<u8>> {
        self.jobs.get_mut(id)?.request.take()
    }

    /// How an attempt ends: as its worker says, or as cancelled, if that was asked for and the job has not completed. In the
    /// second case also what is stored, if the worker says otherwise. The end of a plain completion looks at no request.
    pub(crate) fn obeyed(&mut self, ended: &Settlement) -> (Settlement, Option<Vec<u8>>) {
        let mut obeyed = ended.clone();
        if ended.is_plain() {
            return (obeyed, None);
        }
        let request = self.take_request(&ended.id);
        let request = request.filter(|_| !ended.outcome.is_completed());
        let said = match &ended.outcome {
            Outcome::Cancelled(reason) => Some(reason.clone()),
            // Nor is a saga undone because no worker could run it for too long.
            Outcome::Dead { reason, .. }
                if !matches!(reason, DeadReason::UnknownName | DeadReason::Undecodable) =>
            {
                Some(reason.to_string())
            }
            _ => None,
        };
        let said = said.map(|reason| codec::encode_plain(&Ending::Cancelled(reason)));
        match (self.saga(&ended.id), request.clone().or(said)) {
            (Some(Saga::Owed), Some(why)) => {
                self.begin_undo(&ended.id, why);
                obeyed.outcome = Outcome::Released;
                return (obeyed, None);
            }
            (Some(Saga::Undoing(_)), _) if matches!(ended.outcome, Outcome::Cancelled(_)) => {
                // Something was left undone.
                let (reason, entry) = (
                    DeadReason::Stuck,
                    AttemptEntry::new(AttemptKind::Error, String::new()),
                );
                obeyed.outcome = Outcome::Dead { reason, entry };
                return (obeyed, None);
            }
            (Some(_), _) => return (obeyed, None),
            (None, _) => {}
        }
        let Some(request) = request else {
            return (obeyed, None);
        };
        let ending = codec::decode_plain("a request", &request);
        let Ok(Ending::Cancelled(reason)) = ending else {
            unreachable!("{request:?} is no request to cancel a job");
        };
        obeyed.keep = self.own_retention(&ended.id);
        obeyed.outcome = Outcome::Cancelled(reason);
        let is_as_told = obeyed.outcome == ended.outcome;
        (obeyed, (!is_as_told).then_some(request))
    }
}
