//! Unique keys: of all jobs with the same key, one is there at a time.

use crate::id::JobId;
use crate::job::head::field_of;
use crate::job::traits::{UNIQUE, UNIQUE_UNTIL};
use crate::memory::leave::{Goes, Leaving};
use crate::memory::state::{Collection, State};

/// Who has a unique key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) id: JobId,
    /// Until when (ms) the key is remembered; none: as long as the job is there.
    pub(crate) until_ms: Option<u64>,
}

/// For how many ms the key of a job is remembered, if it is taken for a time.
fn remembered_ms(until_what: Option<&str>) -> Option<u64> {
    until_what?.parse().ok()
}

fn remembered_of(record: &[u8]) -> Option<u64> {
    remembered_ms(field_of(record, UNIQUE_UNTIL))
}

impl State {
    fn has_key(&self, name: &str, id: &JobId) -> bool {
        self.unique.get(name).is_some_and(|owner| owner.id == *id)
    }

    /// Whether a key's owner has it still.
    pub(crate) fn owns_key(&self, owner: &Owner) -> bool {
        let collection = self.collection_of(&owner.id);
        let is_open = collection.is_some_and(|at| at.waits() || at == Collection::Active);
        match owner.until_ms {
            Some(until_ms) => until_ms > self.now_ms(),
            None => is_open,
        }
    }

    /// Who has the key, if it is not free.
    pub(crate) fn owner_of_key(&mut self, name: &str) -> Option<Owner> {
        let owner = self.unique.get(name)?.clone();
        if self.owns_key(&owner) {
            return Some(owner);
        }
        self.unique.remove(name);
        self.let_successor_go(name)
            .then(|| self.owner_of_key(name))?
    }

    pub(crate) fn give_key(&mut self, id: &JobId, name: &str, until_what: Option<&str>) {
        let now_ms = self.now_ms();
        let until_ms = remembered_ms(until_what).map(|ms| now_ms + ms);
        let id = id.clone();
        self.unique.insert(name.to_owned(), Owner { id, until_ms });
    }

    /// Jobs leave what they were. The keys of those that have ended are free, and go to their successors; a key that is taken for
    /// a time only if its job is removed.
    pub(crate) fn free_keys(&mut self, jobs: &[Leaving]) {
        for job in jobs {
            let Some(name) = field_of(&job.record, UNIQUE) else {
                continue;
            };
            let is_free = match job.to {
                Goes::Waiting | Goes::Delayed | Goes::Moved => continue,
                Goes::Removed => true,
                Goes::Dead | Goes::Ended => remembered_of(&job.record).is_none(),
            };
            if is_free && self.has_key(name, &job.id) {
                self.unique.remove(name);
                self.let_successor_go(name);
            } else if self.successors.get(name) == Some(&job.id) {
                self.successors.remove(name);
            }
        }
    }

    /// Jobs were claimed: keys that are taken until then are free.
    pub(crate) fn free_started(&mut self, ids: &[JobId]) {
        for id in ids {
            let Some(job) = self.jobs.get(id) else {
                continue;
            };
            let name = field_of(&job.record, UNIQUE).map(str::to_owned);
            if let Some(name) = name
                && field_of(&job.record, UNIQUE_UNTIL) == Some("started")
                && self.has_key(&name, id)
            {
                self.unique.remove(&name);
            }
        }
    }

    /// A dead job is to get in line again: whether no other job has its key, which it then has, or its time with the key
    /// is over.
    pub(crate) fn take_key_again(&mut self, id: &JobId, taken: &mut Vec<String>) -> bool {
        let Some(job) = self.jobs.get(id) else {
            return true;
        };
        let Some(name) = field_of(&job.record, UNIQUE).map(str::to_owned) else {
            return true;
        };
        let until_what = field_of(&job.record, UNIQUE_UNTIL).map(str::to_owned);
        if remembered_ms(until_what.as_deref()).is_some() {
            return true;
        }
        if taken.contains(&name) {
            return false;
        }
        // A job that is in no list may have its key still.
        if !self.has_key(&name, id) {
            let owner = self.owner_of_key(&name);
            if owner.is_some_and(|owner| owner.id != *id) {
                return false;
            }
            self.give_key(id, &name, until_what.as_deref());
        }
        taken.push(name);
        true
    }

    /// Forgets keys that were taken for a time that is over. Returns how many.
    pub(crate) fn forget_keys(&mut self, limit: usize) -> usize {
        let now_ms = self.now_ms();
        let over = |owner: &Owner| owner.until_ms.filter(|until_ms| *until_ms <= now_ms);
        let keys = self.unique.iter();
        let mut names: Vec<(u64, String)> = keys
            .filter_map(|(name, owner)| Some((over(owner)?, name.clone())))
            .collect();
        names.sort();
        names.truncate(limit);
        for (_, name) in &names {
            self.unique.remove(name);
        }
        names.len()
    }
}
