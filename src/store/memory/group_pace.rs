//! How fast jobs of a group may start: by its rate, or the rate that is set for all groups, and by a hold.

use crate::memory::aside::is_aside_name;
use crate::memory::gate::{Pace, is_order};
use crate::memory::state::State;
use crate::policy::limits::{Rate, RateWindow};

/// No hold ends later: one that does was stored before the clock was set back.
const HELD_AT_MOST_MS: u64 = 24 * 60 * 60 * 1_000;

impl State {
    fn rate_of(&self, gate: &str) -> Option<Rate> {
        match self.set_for(gate, "rate") {
            Some(own) => Rate::parse(own),
            None => self.in_force().group_rate,
        }
    }

    /// What may start by the rate of a group, with what this call has started.
    fn window_of_group(&self, gate: &str) -> Option<RateWindow> {
        let log = self.gates.paces.get(gate).map_or("", |pace| &pace.log);
        let mut window = RateWindow::at(self.rate_of(gate)?, self.now_ms(), log);
        window.add(self.gates.starting.get(gate).copied().unwrap_or(0));
        Some(window)
    }

    pub(crate) fn group_held_until(&self, gate: &str) -> u64 {
        let now_ms = self.now_ms();
        let pace = self.gates.paces.get(gate);
        let held_ms = pace.map(|pace| pace.held_until_ms);
        let held_ms = held_ms.filter(|ms| (now_ms + 1..=now_ms + HELD_AT_MOST_MS).contains(ms));
        held_ms.unwrap_or(0)
    }

    /// How many jobs of a group may start now.
    pub(crate) fn free_of_group(&self, gate: &str) -> usize {
        if self.group_held_until(gate) > 0 {
            return 0;
        }
        let window = self.window_of_group(gate);
        let free = window.map(|window| usize::try_from(window.free()).unwrap_or(usize::MAX));
        free.unwrap_or(usize::MAX)
    }

    /// So many jobs of a group start.
    pub(crate) fn pace_starts(&mut self, gate: &str, jobs: u64) {
        if jobs > 0 && !is_order(gate) && self.rate_of(gate).is_some() {
            *self.gates.starting.entry(gate.to_owned()).or_default() += jobs;
        }
    }

    /// Stores what this call has started.
    pub(crate) fn save_starting(&mut self) {
        let gates: Vec<String> = self.gates.starting.keys().cloned().collect();
        self.save_paces(&gates);
    }

    /// Stores what has started of these groups, and until when they are held.
    pub(crate) fn save_paces(&mut self, gates: &[String]) {
        for gate in gates {
            let held_until_ms = self.group_held_until(gate);
            let window = self.window_of_group(gate);
            let nothing = || "0".to_owned();
            let known = self.gates.paces.get(gate).map(|pace| pace.log.clone());
            let known = known.filter(|log| !log.is_empty());
            let log = match window {
                Some(window) => window.changed().or(known).unwrap_or_else(nothing),
                None => nothing(),
            };
            self.gates.starting.remove(gate);
            let pace = Pace {
                held_until_ms,
                log,
                look_at_ms: 0,
            };
            self.gates.paces.insert(gate.clone(), pace);
            match self.look_at_ms(gate) {
                Some(at_ms) => {
                    let pace = self.gates.paces.get_mut(gate);
                    pace.expect("it was just inserted").look_at_ms = at_ms;
                }
                None => {
                    self.gates.paces.remove(gate);
                }
            }
        }
    }

    /// When a group is to be looked at again, if anything is to be remembered of it.
    fn look_at_ms(&self, gate: &str) -> Option<u64> {
        let window = self.window_of_group(gate);
        if self.free_of_group(gate) > 0 {
            return window?.over_at();
        }
        let opens_ms = window.map_or(0, |window| window.opens_at(1));
        Some(opens_ms.max(self.group_held_until(gate)))
    }

    /// The first moment at which a group is to be looked at.
    pub(crate) fn paced(&self) -> Option<u64> {
        let moments = self.gates.paces.values().map(|pace| pace.look_at_ms);
        moments.chain(self.gates.resumed.values().copied()).min()
    }

    /// Looks at up to `limit` groups whose moment has come, and jobs of names that were resumed: the next jobs of these groups get
    /// in line. Returns how many, or `limit` if there is more to do.
    pub(crate) fn look_at_paced(&mut self, limit: usize) -> usize {
        let now_ms = self.now_ms();
        let due = self.gates.paces.iter();
        let due = due.filter(|(_, pace)| pace.look_at_ms <= now_ms);
        let due = due.map(|(gate, pace)| (pace.look_at_ms, gate.clone()));
        let resumed = self.gates.resumed.iter();
        let resumed = resumed.filter(|(_, since_ms)| **since_ms <= now_ms);
        let resumed = resumed.map(|(name, since_ms)| (*since_ms, name.clone()));
        let mut due: Vec<(u64, String)> = due.chain(resumed).collect();
        due.sort();
        due.truncate(limit);
        let looked_at = due.len();
        let names = due.into_iter().map(|(_, name)| name);
        let (resumed, mut gates): (Vec<_>, Vec<_>) = names.partition(|name| is_aside_name(name));
        let (free, is_more) = self.take_back(&resumed, limit - gates.len());
        self.save_paces(&gates);
        for gate in free {
            if !gates.contains(&gate) {
                gates.push(gate);
            }
        }
        if !gates.is_empty() {
            self.admit(&gates);
        }
        if is_more { limit } else { looked_at }
    }

    /// A handler was told to wait: no job of this group starts until then. A longer hold stays.
    pub(crate) fn hold_group(&mut self, gate: &str, until_ms: u64) {
        let held_ms = self.group_held_until(gate).max(until_ms);
        self.set_group_hold(gate, held_ms);
    }

    /// Its jobs may start again.
    pub(crate) fn end_group_hold(&mut self, gate: &str) {
        self.set_group_hold(gate, 0);
    }

    fn set_group_hold(&mut self, gate: &str, held_ms: u64) {
        let pace = self.gates.paces.entry(gate.to_owned()).or_default();
        pace.held_until_ms = held_ms;
        self.save_paces(&[gate.to_owned()]);
    }
}
