//! The end of a job: completed, cancelled or dead. If a caller waits for its outcome, the outcome is announced, and
//! kept for a while even if the job would otherwise be dropped at once.

use std::collections::BTreeSet;

use crate::codec;
use crate::id::JobId;
use crate::job::head::{field_of, has_traits};
use crate::job::outcome::{DeadReason, Ending};
use crate::job::traits::ON_FAILURE;
use crate::memory::attempts::stamp;
use crate::memory::leave::Goes;
use crate::memory::state::{Collection, State, moment};
use crate::policy::retention::Retention;
use crate::time::millis;

pub(crate) const AWAITED_KEPT_MS: u64 = 60_000;
const ANNOUNCEMENTS_KEPT: usize = 1_000;

/// A moment at which a job that is kept apart is dropped, as a score. Half a millisecond more marks
/// those that then move on to the other completed jobs.
fn dropped_at(ms: u64) -> i64 {
    2 * moment(ms)
}

pub(crate) fn moves_on(score: i64) -> bool {
    score % 2 == 1
}

/// When a job ended that moves on.
pub(crate) fn ended_at(score: i64) -> i64 {
    score / 2 - moment(AWAITED_KEPT_MS)
}

impl State {
    /// The last score of those kept apart that have had their time.
    pub(crate) fn kept_until(&self) -> i64 {
        dropped_at(self.now_ms())
    }

    /// Announces the jobs that callers wait for, and returns these jobs.
    pub(crate) fn announce(&mut self, ids: &[JobId]) -> BTreeSet<JobId> {
        let now_ms = self.now_ms();
        let is_awaited = |id: &&JobId| self.awaited.get(*id).is_some_and(|until| *until > now_ms);
        let awaited: Vec<JobId> = ids.iter().filter(is_awaited).cloned().collect();
        if !awaited.is_empty() {
            let names: Vec<&str> = awaited.iter().map(JobId::as_str).collect();
            let field = ("ids".to_owned(), names.join(" ").into_bytes());
            self.finished
                .append(now_ms, vec![field], ANNOUNCEMENTS_KEPT);
        }
        for id in &awaited {
            self.awaited.remove(id);
        }
        awaited.into_iter().collect()
    }

    /// Announces a job that goes on, if a caller waits for it.
    pub(crate) fn tell_callers(&mut self, id: &JobId) {
        let now_ms = self.now_ms();
        if self.awaited.get(id).is_some_and(|until| *until > now_ms) {
            let field = ("ids".to_owned(), id.as_str().as_bytes().to_vec());
            self.finished
                .append(now_ms, vec![field], ANNOUNCEMENTS_KEPT);
        }
    }

    /// A caller has not read all of a job that is kept apart: it is kept for it from here on, too.
    pub(crate) fn keep_for_caller(&mut self, id: &JobId) {
        let until = dropped_at(self.now_ms() + AWAITED_KEPT_MS);
        if let Some(score) = self.jobs.get(id).map(|job| job.score) {
            let longer = until + i64::from(moves_on(score));
            self.put(id, Collection::Kept, score.max(longer));
        }
    }

    /// Ends jobs. `own` is their own retention, if they have one.
    pub(crate) fn finish(&mut self, jobs: &[(JobId, Vec<u8>)], own: Option<Retention>) {
        let now_ms = self.now_ms();
        let ids: Vec<JobId> = jobs.iter().map(|(id, _)| id.clone()).collect();
        let awaited = self.announce(&ids);
        let most = self.in_force().keep_completed;
        for (id, outcome) in jobs {
            let waits = awaited.contains(id);
            match own.map(Retention::as_millis) {
                Some(ms) if waits => {
                    let until = dropped_at(now_ms + ms.max(AWAITED_KEPT_MS));
                    self.put(id, Collection::Kept, until);
                }
                None if waits => {
                    let until = dropped_at(now_ms + AWAITED_KEPT_MS) + 1;
                    self.put(id, Collection::Kept, until);
                }
                Some(ms) if ms > 0 => self.put(id, Collection::Kept, dropped_at(now_ms + ms)),
                None if most != Retention::Nothing => {
                    self.put(id, Collection::Completed, moment(now_ms));
                }
                _ => {
                    self.forget([id]);
                    continue;
                }
            }
            self.store_outcome(id, outcome);
        }
    }

    /// Dead letters are dropped only if that is set for the queue.
    pub(crate) fn bury(&mut self, dead: &[(JobId, DeadReason)]) {
        let now_ms = self.now_ms();
        let ids: Vec<JobId> = dead.iter().map(|(id, _)| id.clone()).collect();
        self.announce(&ids);
        let mut tokens = Vec::new();
        for (id, reason) in dead {
            self.put(id, Collection::Dead, moment(now_ms));
            self.store_outcome(id, &codec::encode_plain(&Ending::Dead(*reason)));
            tokens.push(format!("{id}:{reason}"));
        }
        self.count("dead", dead.len());
        self.emit("dead", &tokens);
    }

    fn store_outcome(&mut self, id: &JobId, outcome: &[u8]) {
        let at = stamp(self.now_ms());
        if let Some(job) = self.jobs.get_mut(id) {
            job.outcome = Some([&at, outcome].concat());
        }
    }

    /// Drops completed jobs that are more than are to be kept, at most `budget`; returns how many.
    pub(crate) fn cap_completed(&mut self, budget: usize) -> usize {
        let limit = usize::try_from(self.in_force().keep_at_most).unwrap_or(usize::MAX);
        let excess = self.len(Collection::Completed).saturating_sub(limit);
        let gone = self.up_to(Collection::Completed, i64::MAX, excess.min(budget));
        self.forget(&gone);
        gone.len()
    }

    /// Drops dead letters that are too old or too many, if that is set, at most `budget`; not those that halt their order, nor stuck sagas. Looks at
    /// one page; the next call at the next one. Returns how many.
    pub(crate) fn cap_dead(&mut self, budget: usize) -> usize {
        let settings = self.in_force();
        let at_most = usize::try_from(settings.keep_dead_at_most).unwrap_or(usize::MAX);
        let excess = self.len(Collection::Dead).saturating_sub(at_most);
        let too_many = excess.min(budget);
        let oldest = settings
            .keep_dead
            .map(|keep| moment(self.now_ms()) - moment(millis(keep)));
        let from = std::mem::take(&mut self.dead_from);
        let page = self.all(Collection::Dead).skip(from).take(budget);
        let mut gone: Vec<JobId> = Vec::new();
        let (mut looked, mut too_old) = (0, 0);
        for (died, id) in page {
            let is_old = oldest.is_some_and(|oldest| *died <= oldest);
            looked += 1;
            too_old += usize::from(is_old);
            let record = &self.jobs[id].record;
            let halts = has_traits(record) && field_of(record, ON_FAILURE) == Some("halt");
            let holds_up = halts || self.holds_its_parent(id) || self.saga(id).is_some();
            if (is_old || gone.len() < too_many) && !holds_up {
                gone.push(id.clone());
            }
        }
        let is_set = settings.keep_dead.is_some() || settings.keep_dead_at_most != u64::MAX;
        match looked == budget && (too_old == looked || excess > gone.len()) {
            true => self.dead_from = from + looked - gone.len(),
            // Nothing is looked at.
            false if !is_set => self.dead_from = from,
            false => {}
        }
        let leaving: Vec<_> = gone
            .iter()
            .filter_map(|id| self.leaving(id, Goes::Removed))
            .collect();
        self.forget(&gone);
        // They have left their gates when they died.
        let told = self.tell_parents(&leaving);
        self.wake_parents(&told.woken);
        self.count("dead_dropped", gone.len());
        gone.len()
    }
}
