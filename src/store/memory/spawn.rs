//! Children that a job adds while it runs, and the steps that wait for them.

use std::collections::BTreeMap;

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::delayed::due_of;
use crate::memory::enqueue::add_met;
use crate::memory::state::{Collection, State};
use crate::policy::flow::StepChildren;
use crate::policy::steps::{StepKind, StoredStep};
use crate::store::enqueue::Novelty;
use crate::store::spawn::{Spawn, Spawned};

impl Apply for Spawn<'_> {
    fn apply(&self, state: &mut State) -> Spawned {
        if state.held(self.id, self.receipt).is_none() {
            state.count("refused", 1);
            return Spawned::LeaseLost;
        }
        let now_ms = state.now_ms();
        let Some(job) = state.jobs.get_mut(self.id) else {
            return Spawned::LeaseLost;
        };
        let history = job.history.as_ref();
        let stored = history.and_then(|history| history.kept.steps.get(&self.number));
        if let Some(stored) = stored {
            let stored = stored.clone();
            return Spawned::There { stored };
        }
        let total = history.map_or(0, |history| history.children.total);
        if total != self.first {
            return Spawned::Moved { first: total };
        }
        let all: Vec<usize> = (0..self.jobs.len()).collect();
        let flows = BTreeMap::from([(0, all)]);
        let meeting = state.meet(self.jobs, Novelty::Unsure, &flows);
        if !meeting.met.is_empty() {
            return Spawned::Met(meeting.met.into_values().collect());
        }
        let Some(job) = state.jobs.get_mut(self.id) else {
            return Spawned::LeaseLost;
        };
        let history = job.history.get_or_insert_default();
        let children = StepChildren::new(self.first, self.count);
        let step = StoredStep {
            kind: StepKind::Children,
            at_ms: now_ms,
            due_ms: None,
            name: self.name.to_owned(),
            value: children.encode().into_bytes(),
        };
        history.kept.write(self.number, &step);
        history.children.total += self.count;
        if !self.jobs.is_empty() {
            add_met(meeting, Novelty::Unsure, state);
        }
        Spawned::Stored
    }
}

impl State {
    /// The step that waits for the child of this number.
    pub(crate) fn step_of_child(&self, parent: &JobId, number: u32) -> Option<u32> {
        let history = self.jobs.get(parent)?.history.as_ref()?;
        let mut steps = history.kept.steps.keys();
        let waits = |step: &&u32| {
            let stored = history.kept.step(**step);
            let children = stored.filter(|step| step.kind == StepKind::Children);
            let children = children.and_then(|step| StepChildren::decode(&step.value).ok());
            children.is_some_and(|of| (of.first..of.first + of.count).contains(&number))
        };
        steps.find(waits).copied()
    }

    /// News of the child of this number for a step of its parent: it is not open any more, or its death ends the wait. Returns
    /// whether the parent may go on now.
    pub(crate) fn tell_step(
        &mut self,
        parent: &JobId,
        number: u32,
        child: u32,
        has_ended: bool,
        fails: bool,
    ) -> bool {
        let history = self
            .jobs
            .get_mut(parent)
            .and_then(|job| job.history.as_mut());
        let Some(kept) = history.map(|history| &mut history.kept) else {
            return false;
        };
        let step = kept
            .step(number)
            .filter(|step| step.kind == StepKind::Children);
        let Some(mut step) = step else {
            return false;
        };
        let Ok(mut children) = StepChildren::decode(&step.value) else {
            return false;
        };
        let is_new = fails && !children.failed.contains(&child);
        if has_ended {
            children.open = children.open.saturating_sub(1);
            children.failed.retain(|known| *known != child);
        } else if is_new {
            children.failed.push(child);
        }
        step.value = children.encode().into_bytes();
        kept.write(number, &step);
        is_new || has_ended && children.open == 0
    }

    /// Those that are put aside get in line. It is done last: their own attempts may have ended in the same call.
    pub(crate) fn wake_parents(&mut self, ids: &[JobId]) {
        for id in ids {
            let Some(job) = self.jobs.get(id) else {
                continue;
            };
            let (collection, score) = (job.collection, job.score);
            let history = job.history.as_ref();
            let waits = history.and_then(|history| history.kept.waits.as_ref());
            let aside = waits.and_then(|waits| waits.aside);
            let is_aside = match collection {
                Collection::Blocked => aside == Some(0),
                Collection::Delayed => aside == Some(due_of(score)),
                _ => false,
            };
            if is_aside {
                self.wake(id, collection);
            }
        }
    }
}
