//! Jobs that were handed back because the worker has no handler of their name. They keep their
//! places in line, apart from it, for a worker that has one.

use crate::id::JobId;
use crate::memory::state::{Collection, State, moment};
use crate::policy::job_names::without_version;

/// What is known of a job that was handed back.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) name: String,
    /// How long after that it may be too old.
    pub(crate) after_ms: u64,
}

/// When all workers are told again, at most so many jobs that may be too old are looked at.
const AGAIN_AT_MOST: usize = 256;

impl State {
    /// The last news of unhandled jobs; `None` if there are no such jobs.
    pub(crate) fn news_of_unhandled(&self) -> Option<u64> {
        self.unhandled.filter(|news| *news > 0)
    }

    /// There may be more of them.
    pub(crate) fn tell_of_unhandled(&mut self) {
        let next = self.unhandled.unwrap_or(0) + 1;
        self.unhandled = Some(next.max(self.now_us));
    }

    /// After that time any worker is to look at the job again.
    pub(crate) fn enter_unhandled(&mut self, id: &JobId, name: &str, after_ms: u64) {
        let at_ms = self.now_ms() + after_ms;
        self.put(id, Collection::Unhandled, moment(at_ms));
        if let Some(job) = self.jobs.get_mut(id) {
            let name = name.to_owned();
            job.name = Some(Name { name, after_ms });
        }
    }

    /// Some were taken out.
    pub(crate) fn left_unhandled(&mut self, ids: &[JobId]) {
        for id in ids {
            if let Some(job) = self.jobs.get_mut(id) {
                job.name = None;
            }
        }
        if !ids.is_empty() && self.len(Collection::Unhandled) == 0 {
            self.unhandled = Some(0);
            self.asked.clear();
            self.offers_held = false;
        }
    }

    /// These jobs have found a worker: the time for which they have bounced is 0 again.
    pub(crate) fn found_theirs(&mut self, ids: &[JobId]) {
        for id in ids {
            let job = self.jobs.get_mut(id);
            if let Some(history) = job.and_then(|job| job.history.as_mut()) {
                history.counters.bounced_since_ms = 0;
            }
        }
        self.left_unhandled(ids);
    }

    /// A worker asks for these names: what there is of them, in the order of the places.
    pub(crate) fn ask(&mut self, handlers: &[&str]) -> Vec<(i64, JobId)> {
        if self.news_of_unhandled().is_none() {
            return Vec::new();
        }
        let now_ms = self.now_ms();
        let asked = handlers.iter().map(|name| ((*name).to_owned(), now_ms));
        self.asked.extend(asked);
        let is_paused = |name: &&&str| self.is_paused_offer(name);
        let handlers = handlers.iter().filter(|name| !is_paused(name));
        self.offered(&handlers.copied().collect::<Vec<_>>())
    }

    /// Whether a name is paused under which a job is kept; it may have a version.
    fn is_paused_offer(&self, name: &str) -> bool {
        let of_job = without_version(name);
        self.is_paused_name(name.as_bytes()) || self.is_paused_name(of_job.as_bytes())
    }

    /// The unhandled jobs of these names, in the order of their places.
    fn offered(&self, handlers: &[&str]) -> Vec<(i64, JobId)> {
        let mut offered: Vec<(i64, JobId)> = self
            .all(Collection::Unhandled)
            .filter(|(_, id)| {
                let name = self.jobs.get(id).and_then(|job| job.name.as_ref());
                name.is_some_and(|name| handlers.contains(&&*name.name))
            })
            .map(|(_, id)| (self.place_of(id), id.clone()))
            .collect();
        offered.sort();
        offered
    }

    /// When a job may be too old, from when a worker last asked for its name.
    fn too_old_at(&self, id: &JobId) -> Option<u64> {
        let name = self.jobs.get(id)?.name.as_ref()?;
        // While its name is paused a job does not grow older.
        let asked_ms = match self.is_paused_offer(&name.name) {
            true => self.now_ms(),
            false => *self.asked.get(&name.name)?,
        };
        Some(asked_ms + name.after_ms)
    }

    /// Looks at those, at most `limit`, that may be too old: back in line, unless a worker asked for
    /// them meanwhile; how many.
    pub(crate) fn offer_again(&mut self, limit: usize) -> usize {
        let ids = self.up_to(Collection::Unhandled, moment(self.now_ms()), limit);
        let looked_at = ids.len();
        let mut again = Vec::new();
        for id in ids {
            match self.too_old_at(&id) {
                Some(at_ms) if at_ms > self.now_ms() => {
                    self.put(&id, Collection::Unhandled, moment(at_ms));
                }
                _ => again.push(id),
            }
        }
        for id in &again {
            self.enter_line(id, self.place_of(id));
        }
        self.left_unhandled(&again);
        self.emit_ids("waiting", &again);
        looked_at
    }

    /// Here the news is lost only if a test takes it away. Whether it was.
    pub(crate) fn tell_if_untold(&mut self) -> bool {
        let is_untold = self.unhandled.is_none() && self.len(Collection::Unhandled) > 0;
        if is_untold {
            self.tell_of_unhandled();
        }
        is_untold
    }

    /// Tells every worker once more.
    pub(crate) fn tell_again(&mut self) {
        self.offer_again(AGAIN_AT_MOST);
        if self.news_of_unhandled().is_some() {
            self.tell_of_unhandled();
        }
    }
}
