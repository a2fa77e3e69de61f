//! Names whose jobs an operator has paused: their jobs make way for the jobs behind them.

use crate::id::JobId;
use crate::job::record::name_of;
use crate::memory::Apply;
use crate::memory::aside::AT_MOST;
use crate::memory::gate::{Held, is_order};
use crate::memory::leave::{Goes, Leaving};
use crate::memory::state::{Collection, State};
use crate::policy::key::encode_bytes;
use crate::store::pause_name::{Answer, PauseName};

/// The line is looked at in pages of so many jobs.
const PAGE: usize = 64;
const LOOKED_AT_MOST: usize = 256;
const SUSPECTS_AT_MOST: usize = 256;
const DAY_MS: u64 = 86_400_000;

impl Apply for PauseName<'_> {
    fn apply(&self, state: &mut State) -> Answer {
        let known = std::mem::take(&mut state.paused_names);
        let mut names: Vec<&str> = known.split(' ').filter(|name| !name.is_empty()).collect();
        let is_paused = names.contains(&self.name);
        let changed = is_paused != self.pause;
        let is_full = changed && self.pause && names.len() >= self.most;
        if changed && !is_full {
            names.retain(|name| *name != self.name);
            names.extend(self.pause.then_some(self.name));
        }
        if !names.is_empty() {
            state.paused_names = format!(" {} ", names.join(" "));
        }
        if is_full {
            return Answer::Full;
        }
        if changed {
            let kind = if self.pause { "paused" } else { "resumed" };
            state.emit_value(kind, self.name.as_bytes());
        }
        if changed && !self.pause {
            if state.news_of_unhandled().is_some() {
                state.tell_of_unhandled();
            }
            if state.gates.any_blocked {
                state.expect_back(self.name);
            }
            if !state.is_paused() {
                state.arm(0);
            }
        }
        Answer::Done { changed }
    }
}

impl State {
    pub(crate) fn is_paused_name(&self, name: &[u8]) -> bool {
        !self.paused_names.is_empty() && self.is_paused_word(&encode_bytes(name))
    }

    /// The same of a name that is encoded.
    pub(crate) fn is_paused_word(&self, word: &str) -> bool {
        self.paused_names.contains(&format!(" {word} "))
    }

    /// Whether the name of a job is paused.
    pub(crate) fn is_paused_job(&self, id: &JobId) -> bool {
        let record = self.jobs.get(id).map(|job| &job.record[..]);
        let name = record.and_then(name_of);
        name.is_some_and(|name| self.is_paused_name(name))
    }

    /// The suspects that may be claimed, as far as their names are concerned.
    pub(crate) fn suspects_not_paused(&self) -> Vec<(i64, JobId)> {
        self.all(Collection::Suspects)
            .take(SUSPECTS_AT_MOST)
            .filter(|(_, id)| !self.is_paused_job(id))
            .cloned()
            .collect()
    }

    /// Looks at the line from its head on, until it has met `wanted` jobs that may be claimed. Jobs of paused names wait, at
    /// their places, where jobs wait for a worker that has a handler of their name.
    pub(crate) fn set_aside_paused(&mut self, wanted: usize) {
        if self.paused_names.is_empty() {
            return;
        }
        let (mut others, mut looked) = (0, 0);
        while others < wanted && looked < LOOKED_AT_MOST && self.gates.moved_aside < AT_MOST {
            let page = if looked == 0 { PAGE.min(wanted) } else { PAGE };
            let page = page.min(LOOKED_AT_MOST - looked);
            let page = page.min(AT_MOST - self.gates.moved_aside);
            let ids = self.all(Collection::Waiting).skip(others).take(page);
            let ids: Vec<JobId> = ids.map(|(_, id)| id.clone()).collect();
            if ids.is_empty() {
                return;
            }
            looked += ids.len();
            let (aside, rest): (Vec<_>, Vec<_>) =
                ids.into_iter().partition(|id| self.is_paused_job(id));
            others += rest.len();
            self.set_aside(&aside);
        }
    }

    fn set_aside(&mut self, ids: &[JobId]) {
        let leaving = ids.iter().filter_map(|id| self.leaving(id, Goes::Waiting));
        let leaving: Vec<Leaving> = leaving.collect();
        let gate = |id: &JobId| self.gate_of(id).filter(|gate| !is_order(gate));
        let (of_groups, others): (Vec<_>, Vec<_>) = ids.iter().partition(|id| gate(id).is_some());
        let held = of_groups.iter().map(|id| (gate(id), (*id).clone(), 0));
        let held: Vec<Held> = held.collect();
        self.hold_aside(&held);
        for id in &others {
            let record = self.jobs.get(id).map(|job| &job.record[..]);
            let name = record.and_then(name_of).unwrap_or_default();
            let name = String::from_utf8_lossy(name).into_owned();
            self.enter_unhandled(id, &name, DAY_MS);
        }
        if !others.is_empty() && self.news_of_unhandled().is_none() {
            self.tell_of_unhandled();
        }
        self.leave(&leaving);
    }
}
