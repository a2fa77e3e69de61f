//! The jobs that a random sequence enqueues.

use std::collections::BTreeSet;

use super::op::{Gated, New};
use super::world::{LastCall, World, Wrong, name};
use std::time::Duration;

use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::job::record::EncodedRecord;
use crate::policy::retention::Retention;
use crate::policy::unique::Unique;
use crate::store::enqueue::{Due, NewJob, Novelty};
use crate::store::get::Get;

/// The id of this number.
pub(super) fn numbered(id: u8) -> JobId {
    name(id)
}

impl World<'_> {
    pub(super) fn job(&self, new: &New) -> NewJob {
        self.job_with(new, "test", JobOptions::new())
    }

    pub(in crate::store::tests) fn enqueue_named(
        &mut self,
        lane: u8,
        jobs: &[(New, &'static str)],
    ) -> Result<(), Wrong> {
        let job = |(new, name): &(New, &'static str)| self.job_with(new, name, JobOptions::new());
        let jobs = jobs.iter().map(job).collect();
        self.new_call(lane, LastCall::Enqueue(jobs))
    }

    pub(in crate::store::tests) fn enqueue_unique(
        &mut self,
        lane: u8,
        jobs: &[(New, Unique)],
    ) -> Result<(), Wrong> {
        let job = |(new, unique): &(New, Unique)| {
            self.job_with(new, "test", JobOptions::new().unique(unique.clone()))
        };
        let jobs = jobs.iter().map(job).collect();
        self.new_call(lane, LastCall::Enqueue(jobs))
    }

    pub(in crate::store::tests) fn enqueue_expiring(
        &mut self,
        lane: u8,
        jobs: &[(New, u64)],
    ) -> Result<(), Wrong> {
        let job = |(new, ms): &(New, u64)| {
            self.job_with(
                new,
                "test",
                JobOptions::new().expires_in(Duration::from_millis(*ms)),
            )
        };
        let jobs = jobs.iter().map(job).collect();
        self.new_call(lane, LastCall::Enqueue(jobs))
    }

    pub(in crate::store::tests) fn job_with(
        &self,
        new: &New,
        name_of_type: &str,
        mut options: JobOptions,
    ) -> NewJob {
        let due = match (new.delay_ms, new.at) {
            (None, _) => Due::Now,
            (Some(ms), false) => Due::After { ms },
            (Some(ms), true) => Due::At {
                ms: self.now_us / 1_000 + ms,
            },
        };
        options.priority = new.priority;
        // Some ask for a retention of their own.
        options.keep = match new.priority {
            Some(7) => Some(Retention::from_millis(60_001)),
            Some(499) => Some(Retention::Nothing),
            _ => None,
        };
        if let Some(gate) = new.gate {
            options = gate.on(options);
        }
        NewJob {
            id: name(new.id),
            record: EncodedRecord::new(name_of_type, vec![0; new.bytes], &options, Vec::new()),
            due,
            priority: new.priority,
            front: new.front,
            await_ms: new.await_ms,
            callbacks: None,
        }
    }

    /// What a producer can say at best; and of a single job, every other time, that it is new
    /// whether it is or not.
    pub(super) fn novelty(&self, jobs: &[&NewJob], call: u64) -> Novelty {
        if jobs.len() == 1 && call.is_multiple_of(2) {
            return Novelty::New;
        }
        let ids: BTreeSet<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
        let is_there = |id| self.memory.call(&Get { id }).is_some();
        match ids.len() < jobs.len() || ids.iter().any(|id| is_there(id)) {
            true => Novelty::Unsure,
            false => Novelty::New,
        }
    }

    pub(super) fn flooding(
        &mut self,
        delay_ms: Option<u64>,
        priority: Option<u16>,
        gate: Option<Gated>,
    ) -> NewJob {
        let options = JobOptions::new();
        let options = gate.map_or(options.clone(), |gate| gate.on(options));
        self.flooded += 1;
        NewJob {
            id: JobId::stored(&format!("flood-{:05}", self.flooded)),
            record: EncodedRecord::new("flood", vec![0], &options, Vec::new()),
            due: delay_ms.map_or(Due::Now, |ms| Due::After { ms }),
            priority,
            front: false,
            await_ms: None,
            callbacks: None,
        }
    }
}
