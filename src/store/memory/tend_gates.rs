//! Gates that have lost something: what they hold back goes on.

use crate::id::JobId;
use crate::memory::aside::{is_aside_name, split};
use crate::memory::gate::{Held, is_order};
use crate::memory::state::{Collection, State};

impl State {
    /// Looks at up to `limit` gates that hold jobs back. The next call goes on behind the last of them.
    pub(crate) fn tend_gates(&mut self, limit: usize) {
        self.gates.any_blocked |= self.len(Collection::Blocked) > 0;
        if !self.gates.any_blocked {
            return;
        }
        let behind = self.gates.tended.take();
        let names = self.gates.blocked_by.iter().map(|(name, ..)| split(name).0);
        let names = names.filter(|name| behind.as_ref().is_none_or(|behind| **name > **behind));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.dedup();
        names.truncate(limit);
        if names.len() == limit {
            self.gates.tended = names.last().cloned();
        }
        let (aside, names): (Vec<_>, Vec<_>) =
            names.into_iter().partition(|name| is_aside_name(name));
        for name in &aside {
            self.tend_aside(name);
        }
        for name in names.iter().filter(|name| !is_order(name)) {
            let running = self.all(Collection::Active);
            let running = running.filter(|(_, id)| self.gate_of(id).as_ref() == Some(name));
            let running = running.count() as u64;
            self.change_gate(name, |gate| gate.active = running);
        }
        self.admit(&names);
    }

    /// Whether neither the gate of a blocked job knows it, nor the job whose successor it is, nor does it wait to be told something.
    pub(crate) fn is_held_by_nothing(&self, id: &JobId) -> bool {
        if self.is_successor(id) || self.is_untold(id) || self.waits_for_children(id) {
            return false;
        }
        let Some(name) = self.gate_of(id) else {
            return true;
        };
        let rank = self.rank(&name, id);
        let is_aside = self.is_aside(&name, id);
        !is_aside && !self.gates.blocked_by.contains(&(name, rank, id.clone()))
    }

    /// Those of the jobs that nothing holds back: they have no gate, or its turn, and are no successors; and the others as
    /// `hold_and_admit` takes them.
    pub(crate) fn by_gates(&self, ids: &[JobId]) -> (Vec<JobId>, Vec<Held>) {
        let (mut others, mut held) = (Vec::new(), Vec::new());
        for id in ids {
            let name = self.gate_of(id);
            let name = name.filter(|name| self.gate(name).turn.as_ref() != Some(id));
            if self.is_successor(id) || self.waits_for_children(id) {
                held.push((None, id.clone(), 0));
                continue;
            }
            let Some(name) = name else {
                others.push(id.clone());
                continue;
            };
            let job = self.jobs.get(id);
            let job = job.filter(|job| job.collection == Collection::Blocked);
            let due_ms = job.map_or(0, |job| job.score.unsigned_abs());
            held.push((Some(name), id.clone(), due_ms));
        }
        (others, held)
    }

    /// Jobs are held back, and their gates let the next of them in.
    pub(crate) fn hold_and_admit(&mut self, jobs: &[Held]) {
        let mut gates: Vec<String> = Vec::new();
        for name in jobs.iter().filter_map(|(name, ..)| name.as_ref()) {
            if !gates.contains(name) {
                gates.push(name.clone());
            }
        }
        self.hold(jobs);
        if !gates.is_empty() {
            self.admit(&gates);
        }
    }
}
