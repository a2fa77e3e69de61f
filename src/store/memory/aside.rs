//! Jobs of paused names that groups hold back: they stay blocked and keep their places, but stand apart, so that the jobs behind
//! them go on. When the name is resumed they go back in bounded steps.

use std::collections::BTreeSet;

use crate::id::JobId;
use crate::job::record::name_of;
use crate::memory::gate::is_order;
use crate::memory::state::State;
use crate::policy::key::encode_bytes;

/// So many jobs may be moved aside in a call.
pub(crate) const AT_MOST: usize = 256;
const LETTER: char = 'p';

/// Where the jobs of this name, encoded, are aside.
fn aside_of(word: &str) -> String {
    format!("{LETTER}{word}")
}

/// The name in front of a gate's, if its jobs are aside.
pub(crate) fn split(gate: &str) -> (&str, Option<&str>) {
    match gate.split_once('\0') {
        Some((name, gate)) => (name, Some(gate)),
        None => (gate, None),
    }
}

impl State {
    /// The job's member of what is held back, if it is aside.
    fn member_aside(&self, gate: &str, id: &JobId) -> Option<(String, i64, JobId)> {
        let name = self.jobs.get(id).and_then(|job| name_of(&job.record))?;
        let gate_aside = format!("{}\0{gate}", aside_of(&encode_bytes(name)));
        Some((gate_aside, self.rank(gate, id), id.clone()))
    }

    pub(crate) fn put_aside(&mut self, gate: &str, id: &JobId) {
        let member = self.member_aside(gate, id);
        self.gates.blocked_by.extend(member);
        self.gates.moved_aside += 1;
    }

    pub(crate) fn leave_aside(&mut self, gate: &str, id: &JobId) {
        if let Some(member) = self.member_aside(gate, id) {
            self.gates.blocked_by.remove(&member);
        }
    }

    pub(crate) fn is_aside(&self, gate: &str, id: &JobId) -> bool {
        let member = self.member_aside(gate, id);
        member.is_some_and(|member| self.gates.blocked_by.contains(&member))
    }

    /// Jobs of paused names are moved. Returns the rest.
    pub(crate) fn move_aside(&mut self, gate: &str, ids: Vec<JobId>) -> Vec<JobId> {
        let mut rest: Vec<JobId> = Vec::new();
        for id in ids {
            let may_move = self.gates.moved_aside < AT_MOST && !is_order(gate);
            if may_move && self.is_paused_job(&id) {
                self.unblock(gate, &id);
                self.put_aside(gate, &id);
            } else {
                rest.push(id);
            }
        }
        rest
    }

    /// How many jobs a gate holds back, those included that are aside.
    pub(crate) fn blocked_in(&self, gate: &str) -> usize {
        let members = self.gates.blocked_by.iter();
        let of_gate = members.filter(|(name, ..)| {
            let (name, of_aside) = split(name);
            of_aside.unwrap_or(name) == gate
        });
        of_gate.count()
    }

    /// If jobs of this name, encoded, are aside, workers take them back.
    pub(crate) fn expect_back(&mut self, word: &str) {
        let name = aside_of(word);
        let now_ms = self.now_ms();
        let mut names = self.gates.blocked_by.iter().map(|(gate, ..)| split(gate).0);
        if names.any(|known| known == name) {
            self.gates.resumed.insert(name, now_ms);
        }
    }

    /// A round over all gates has come by jobs that are aside.
    pub(crate) fn tend_aside(&mut self, name: &str) {
        let word = &name[LETTER.len_utf8()..];
        if !self.is_paused_word(word) {
            self.expect_back(word);
        }
    }

    /// Moves up to `limit` jobs of these names back. Returns the names of their gates, and whether more is left.
    pub(crate) fn take_back(&mut self, names: &[String], mut limit: usize) -> (Vec<String>, bool) {
        let (mut gates, mut is_more) = (Vec::new(), false);
        for name in names {
            let is_paused = self.is_paused_word(&name[LETTER.len_utf8()..]);
            let members = self.gates.blocked_by.iter();
            let members = members.filter(|(gate, ..)| split(gate).0 == name && !is_paused);
            let members: BTreeSet<_> = members.take(limit).cloned().collect();
            for member in &members {
                self.gates.blocked_by.remove(member);
                let (aside, rank, id) = member;
                let gate = split(aside).1.unwrap_or_default().to_owned();
                gates.push(gate.clone());
                self.gates.blocked_by.insert((gate, *rank, id.clone()));
            }
            if is_paused || members.len() < limit {
                self.gates.resumed.remove(name);
            } else {
                is_more = true;
            }
            limit -= members.len();
        }
        (gates, is_more)
    }
}

/// Whether this is the name of jobs that are aside, and of no gate.
pub(crate) fn is_aside_name(name: &str) -> bool {
    name.starts_with(LETTER)
}
