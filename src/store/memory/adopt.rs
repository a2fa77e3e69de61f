//! Takes jobs in that waited in another queue.

use std::collections::BTreeSet;

use crate::id::JobId;
use crate::job::traits::UNIQUE;
use crate::memory::Apply;
use crate::memory::attempts::{History, stamp};
use crate::memory::enqueue::add;
use crate::memory::state::State;
use crate::store::adopt::{Adopt, AdoptJob, Adopted};
use crate::store::enqueue::{Due, NewJob, Novelty};
use crate::store::import::Beside;

impl Apply for Adopt<'_> {
    fn apply(&self, state: &mut State) -> Adopted {
        let (mut jobs, mut there, mut duplicates) = (Vec::new(), Vec::new(), Vec::new());
        let (mut ids, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for job in self.jobs {
            let name = job.record.field(UNIQUE);
            if ids.contains(&job.id) || state.jobs.contains_key(&job.id) {
                there.push(job.id.to_string());
            } else if name
                .is_some_and(|name| keys.contains(name) || state.owner_of_key(name).is_some())
            {
                duplicates.push(job.id.to_string());
            } else {
                ids.insert(&job.id);
                keys.extend(name);
                jobs.push(job);
            }
        }
        let new: Vec<NewJob> = jobs.iter().map(|job| new(job)).collect();
        if !new.is_empty() {
            add(&new.iter().collect::<Vec<_>>(), Novelty::Unsure, state);
        }
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id.clone()).collect();
        state.forget_expiry(&ids);
        for job in &jobs {
            // It was enqueued when it was.
            if let Some(stored) = state.jobs.get_mut(&job.id) {
                let stamp = stamp(job.enqueued_ms);
                stored.record[1..][..stamp.len()].copy_from_slice(&stamp);
                let counters = job.counters.as_ref();
                stored.history =
                    counters.map(|it| History::imported(it, &job.history, &Beside::default()));
            }
            state.expect_first_start(&job.id);
        }
        Adopted {
            adopted: ids.iter().map(ToString::to_string).collect(),
            there,
            duplicates,
        }
    }
}

fn new(job: &AdoptJob) -> NewJob {
    NewJob {
        id: job.id.clone(),
        record: job.record.clone(),
        due: job.at_ms.map_or(Due::Now, |ms| Due::At { ms }),
        priority: Some(job.priority),
        front: false,
        await_ms: None,
        callbacks: None,
    }
}
