//! Successors: jobs that wait until the job that has their unique key, and runs, has ended. They are blocked, and their gates do
//! not know them yet.

use crate::id::JobId;
use crate::job::head::field_of;
use crate::job::traits::{UNIQUE, UNIQUE_UNTIL};
use crate::memory::state::{Collection, State};

impl State {
    /// The successor of the job that has this key, if it waits.
    pub(crate) fn successor(&self, name: &str) -> Option<JobId> {
        let id = self.successors.get(name)?;
        let waits = self.collection_of(id) == Some(Collection::Blocked);
        waits.then(|| id.clone())
    }

    /// Whether a job is named as a successor, and the job that it waits for is there.
    pub(crate) fn is_successor(&self, id: &JobId) -> bool {
        let record = self.jobs.get(id).map(|job| job.record.as_slice());
        let Some(name) = record.and_then(|record| field_of(record, UNIQUE)) else {
            return false;
        };
        let owner = self.unique.get(name);
        self.successors.get(name) == Some(id)
            && owner.is_some_and(|owner| self.jobs.contains_key(&owner.id))
    }

    /// The key is free: its successor has it now, and gets in line, at the place that it was given when it was enqueued. Returns
    /// whether there is one.
    pub(crate) fn let_successor_go(&mut self, name: &str) -> bool {
        let id = self.successor(name);
        self.successors.remove(name);
        let Some(id) = id else {
            return false;
        };
        let Some(job) = self.jobs.get(&id) else {
            return false;
        };
        let given = job.given;
        let until = field_of(&job.record, UNIQUE_UNTIL).map(str::to_owned);
        self.give_key(&id, name, until.as_deref());
        self.go_on(&id, given);
        true
    }
}
