//! Jobs that were handed back because the worker has no handler of their name. They keep their
//! places in line, apart from it, for a worker that has one.

use crate::id::JobId;
use crate::memory::state::{Collection, State, moment};

/// One call tells all workers of so many again at most.
const AGAIN_AT_MOST: usize = 256;

impl State {
    /// Whether any wait; the last news of them.
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
            job.name = Some(name.to_owned());
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
        }
    }

    /// Those of these names, in the order of their places.
    pub(crate) fn offered(&self, handlers: &[&str]) -> Vec<(i64, JobId)> {
        let mut offered: Vec<(i64, JobId)> = self
            .all(Collection::Unhandled)
            .filter(|(_, id)| {
                let name = self.jobs.get(id).and_then(|job| job.name.as_deref());
                name.is_some_and(|name| handlers.contains(&name))
            })
            .map(|(_, id)| (self.place_of(id), id.clone()))
            .collect();
        offered.sort();
        offered
    }

    /// Those back in line, at most `limit`, at which any worker is to look again; how many.
    pub(crate) fn offer_again(&mut self, limit: usize) -> usize {
        let ids = self.up_to(Collection::Unhandled, moment(self.now_ms()), limit);
        for id in &ids {
            self.enter_line(id, self.place_of(id));
        }
        self.left_unhandled(&ids);
        self.emit_ids("waiting", &ids);
        ids.len()
    }

    /// Tells every worker once more.
    pub(crate) fn tell_again(&mut self) {
        self.offer_again(AGAIN_AT_MOST);
        if self.news_of_unhandled().is_some() {
            self.tell_of_unhandled();
        }
    }
}
