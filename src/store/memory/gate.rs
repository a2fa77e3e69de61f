//! Gates: groups, whose jobs take turns, and order keys, whose jobs run one after the other. What a gate holds back is
//! blocked.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::JobId;
use crate::job::traits::{Trait, gate_of};
use crate::memory::allowance::Allowance;
use crate::memory::order::priority_at;
use crate::memory::state::{Collection, Later, State, moment};

/// When jobs are to get the turns of their gates, so many suspects are let in before them at most.
const SUSPECTS_AT_MOST: usize = 256;
/// Looking for the job behind jobs of paused names, a gate looks at up to so many at once.
const WIDEST: usize = 64;
/// How often a gate looks for a job behind members that belong to none.
const PAGES: usize = 4;
const PRIORITY_STEP: i64 = 1 << 43;

/// What is known of a gate that is in use.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Gate {
    /// How many jobs of a group run.
    pub(crate) active: u64,
    /// The job that stands in line for a group, never a suspect; the job that all others of an order wait for.
    pub(crate) turn: Option<JobId>,
    /// The place of the turn.
    pub(crate) place: i64,
    pub(crate) halted: bool,
}

/// What is remembered of the pace of a group, as long as it says anything.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) held_until_ms: u64,
    /// What has started, as [`RateWindow`](crate::policy::limits::RateWindow) stores it.
    pub(crate) log: String,
    /// When the group is to be looked at: more of it may start, or nothing is to be remembered any more.
    pub(crate) look_at_ms: u64,
}

/// All gates of a queue.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    pub(crate) in_use: BTreeMap<String, Gate>,
    /// What is set for a gate, by its name.
    pub(crate) set: BTreeMap<String, String>,
    /// What the gates hold back: the name of the gate, the place among its jobs, and the job.
    pub(crate) blocked_by: BTreeSet<(String, i64, JobId)>,
    /// A job may be blocked.
    pub(crate) any_blocked: bool,
    /// The last gate that was looked after; none if a round is over.
    pub(crate) tended: Option<String>,
    /// Delayed jobs of groups are due until this moment.
    pub(crate) expected_ms: Option<u64>,
    /// What is remembered of the pace of groups.
    pub(crate) paces: BTreeMap<String, Pace>,
    /// How many jobs of groups that have a rate this call has started.
    pub(crate) starting: BTreeMap<String, u64>,
    /// Names that were resumed and of which jobs are aside, and since when, ms.
    pub(crate) resumed: BTreeMap<String, u64>,
    /// How many jobs of paused names this call has moved aside.
    pub(crate) moved_aside: usize,
}

/// A job that is held back: by this gate, or none if it is a successor; and when it is due, ms.
pub(crate) type Held = (Option<String>, JobId, u64);

pub(crate) fn is_order(gate: &str) -> bool {
    gate.starts_with(Trait::Order.letter())
}

impl State {
    fn record(&self, id: &JobId) -> &[u8] {
        self.jobs.get(id).map_or(&[], |job| &job.record)
    }

    /// The job's gate, if it has one.
    pub(crate) fn gate_of(&self, id: &JobId) -> Option<String> {
        gate_of(self.record(id))
    }

    pub(crate) fn gate(&self, name: &str) -> Gate {
        self.gates.in_use.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn change_gate(&mut self, name: &str, change: impl FnOnce(&mut Gate)) {
        let mut gate = self.gate(name);
        change(&mut gate);
        if gate.turn.is_none() {
            gate.place = 0;
        }
        if gate.active == 0 && gate.turn.is_none() {
            self.gates.in_use.remove(name);
        } else {
            self.gates.in_use.insert(name.to_owned(), gate);
        }
    }

    pub(crate) fn set_for(&self, gate: &str, name: &str) -> Option<&str> {
        let set = self.gates.set.get(gate)?;
        let mut values = set.split(' ').filter_map(|word| word.split_once('='));
        Some(values.find(|(known, _)| *known == name)?.1)
    }

    /// How many more jobs of a group may start now.
    pub(crate) fn room_in(&self, gate: &str) -> usize {
        if self.set_for(gate, "paused").is_some() {
            return 0;
        }
        let limit = self.set_for(gate, "concurrency");
        let limit = limit.and_then(|jobs| jobs.parse().ok());
        let limit = limit.unwrap_or(self.in_force().group_concurrency);
        let active = self.gate(gate).active;
        let room = match limit {
            0 => usize::MAX,
            _ => usize::try_from(limit.saturating_sub(active)).unwrap_or(usize::MAX),
        };
        room.min(self.free_of_group(gate))
    }

    /// The job that has the turn, if it is still there.
    fn turn(&self, gate: &str) -> Option<JobId> {
        let turn = self.gate(gate).turn?;
        let collection = self.collection_of(&turn)?;
        (is_order(gate) || collection == Collection::Waiting).then_some(turn)
    }

    pub(crate) fn is_suspect(&self, id: &JobId) -> bool {
        self.jobs.get(id).is_some_and(|job| job.stalls > 0)
    }

    /// Where a job stands among the jobs of its gate.
    pub(crate) fn rank(&self, gate: &str, id: &JobId) -> i64 {
        if !is_order(gate) {
            return self.place_of(id);
        }
        let given = self.jobs.get(id).map_or(0, |job| job.given);
        (given + PRIORITY_STEP / 2).rem_euclid(PRIORITY_STEP) - PRIORITY_STEP / 2
    }

    /// Jobs are held back, each by its gate; without one it is a successor.
    pub(crate) fn hold(&mut self, jobs: &[Held]) {
        for (gate, id, _) in jobs {
            let member = |gate: &String| (gate.clone(), self.rank(gate, id), id.clone());
            let member = gate.as_ref().map(member);
            self.gates.blocked_by.extend(member);
        }
        self.block(jobs);
    }

    /// The same of jobs of paused names, which are aside at once.
    pub(crate) fn hold_aside(&mut self, jobs: &[Held]) {
        for (gate, id, _) in jobs {
            self.put_aside(gate.as_deref().unwrap_or_default(), id);
        }
        self.block(jobs);
    }

    fn block(&mut self, jobs: &[Held]) {
        for (_, id, due_ms) in jobs {
            let due_ms = if *due_ms > self.now_ms() { *due_ms } else { 0 };
            self.put(id, Collection::Blocked, moment(due_ms));
        }
        let ids: Vec<JobId> = jobs.iter().map(|(_, id, _)| id.clone()).collect();
        self.emit_ids("blocked", &ids);
        self.gates.any_blocked |= !jobs.is_empty();
    }

    /// Notes whether any job is blocked still.
    pub(crate) fn look_for_blocked(&mut self) {
        self.gates.any_blocked &= self.len(Collection::Blocked) > 0;
        if !self.gates.any_blocked {
            self.gates.tended = None;
        }
    }

    /// The next of what a gate holds back.
    fn next_blocked(&mut self, gate: &str) -> Option<JobId> {
        let (mut looked, mut width) = (0, 1);
        while looked < PAGES {
            let moved_before = self.gates.moved_aside;
            let page = self.page_of(gate, width);
            if page.found == 0 || !page.ids.is_empty() {
                return page.ids.into_iter().next();
            }
            if self.gates.moved_aside > moved_before {
                width = WIDEST.min(4 * width);
            } else {
                looked += 1;
            }
        }
        None
    }

    pub(crate) fn unblock(&mut self, gate: &str, id: &JobId) {
        let member = (gate.to_owned(), self.rank(gate, id), id.clone());
        if !self.gates.blocked_by.remove(&member) {
            self.leave_aside(gate, id);
        }
    }

    /// Whether a gate that has no turn holds any job back.
    fn holds_any(&mut self, gate: &str) -> bool {
        self.gates.any_blocked && self.next_blocked(gate).is_some()
    }

    /// The next of a gate gets the turn, or is a suspect, which needs none. Whether it is a suspect. Those that are not due are
    /// delayed by the caller.
    fn admit_next(
        &mut self,
        gate: &str,
        admitted: &mut Vec<(String, JobId, Later, bool)>,
        delayed: &mut Vec<(JobId, u64, Later)>,
    ) -> bool {
        let Some(id) = self.next_blocked(gate) else {
            return false;
        };
        self.unblock(gate, &id);
        let is_suspect = !is_order(gate) && self.is_suspect(&id);
        let due_ms = self.jobs.get(&id).map_or(0, |job| job.score.unsigned_abs());
        let later = Later::back(priority_at(self.place_of(&id)));
        // The call has moved as many jobs of paused names aside as it may.
        let keeps_place = !is_order(gate) && self.is_paused_job(&id);
        if !is_suspect {
            self.change_gate(gate, |gate| (gate.turn, gate.place) = (Some(id.clone()), 0));
        }
        // It is in no list until all of them get in one.
        self.put(&id, Collection::Lost, 0);
        if due_ms > self.now_ms() {
            delayed.push((id, due_ms, later));
        } else {
            admitted.push((gate.to_owned(), id, later, keeps_place));
        }
        is_suspect
    }

    /// The next job of each gate comes to the back of the line, if the gate is free for it.
    pub(crate) fn admit(&mut self, gates: &[String]) {
        self.admit_to_line(gates, false);
    }

    /// The same; and if the line is empty, and `is_claim`, a single job keeps its place: it is at the back of the line there.
    pub(crate) fn admit_to_line(&mut self, gates: &[String], is_claim: bool) {
        let mut admitted = Vec::new();
        let mut open = gates.to_vec();
        open.retain(|gate| {
            let has_turn = self.turn(gate).is_some();
            let is_free = !has_turn && (is_order(gate) || self.room_in(gate) > 0);
            self.gates.any_blocked && is_free
        });
        for gate in &open {
            self.change_gate(gate, |gate| gate.turn = None);
        }
        let mut suspects = 0;
        while !open.is_empty() && suspects < SUSPECTS_AT_MOST {
            let mut delayed = Vec::new();
            open.retain(|gate| self.admit_next(gate, &mut admitted, &mut delayed));
            suspects += open.len();
            self.enter_delayed(&delayed);
            let tokens = delayed.iter().map(|(id, due, _)| format!("{id}:{due}"));
            self.emit("delayed", &tokens.collect::<Vec<_>>());
        }
        let is_due = self.due.is_some_and(|due_ms| due_ms <= self.now_ms());
        let is_empty = is_claim && self.len(Collection::Waiting) == 0;
        let stays = is_empty && admitted.len() == 1 && !is_due;
        for (gate, id, later, keeps_place) in &admitted {
            let stays = stays && self.jobs.contains_key(id);
            let place = match stays {
                true => self.place_of(id),
                false => self.next_place(*later),
            };
            if *keeps_place || stays {
                self.enter_line(id, place);
            } else {
                self.enter_at(id, place);
            }
            if self.gate(gate).turn.as_ref() == Some(id) {
                self.change_gate(gate, |gate| gate.place = place);
            }
        }
        let ids: Vec<JobId> = admitted.into_iter().map(|(_, id, ..)| id).collect();
        self.emit_ids("waiting", &ids);
        if !ids.is_empty() && !self.is_paused() {
            self.arm_for_new_job();
        }
        self.look_for_blocked();
    }

    /// Jobs are about to get in line at these places. Those that their gates hold back are blocked; the others are
    /// returned, and the gates that may let one in once these are in line.
    pub(crate) fn enter_gates(
        &mut self,
        jobs: Vec<(JobId, i64, u64)>,
    ) -> (Vec<(JobId, i64, u64)>, Vec<String>) {
        let (mut line, mut held, mut open) = (Vec::new(), Vec::new(), Vec::new());
        let mut sure = BTreeSet::new();
        for (id, place, due_ms) in jobs {
            let Some(name) = self.gate_of(&id) else {
                line.push((id, place, due_ms));
                continue;
            };
            let turn = self.gate(&name).turn;
            let turn = turn
                .filter(|_| sure.contains(&name))
                .or_else(|| self.turn(&name));
            let is_suspect = !is_order(&name) && self.is_suspect(&id);
            let passes = match turn {
                _ if !is_order(&name) && self.room_in(&name) == 0 => false,
                _ if is_suspect => true,
                // No job gets the turn before those that wait for it.
                None if open.contains(&name) => false,
                None if self.holds_any(&name) => {
                    open.push(name.clone());
                    false
                }
                None => true,
                Some(turn) if is_order(&name) => turn == id,
                Some(_) => priority_at(place) < priority_at(self.gate(&name).place),
            };
            if passes && is_suspect {
                line.push((id, place, due_ms));
            } else if passes {
                self.change_gate(&name, |gate| {
                    (gate.turn, gate.place, gate.halted) = (Some(id.clone()), place, false);
                });
                sure.insert(name);
                line.push((id, place, due_ms));
            } else {
                held.push((Some(name), id, due_ms));
            }
        }
        self.hold(&held);
        (line, open)
    }

    /// Of jobs that were taken out of the line, returns those that may start; the others are blocked. Adds the groups that this
    /// touches.
    pub(crate) fn pass_gates(
        &mut self,
        ids: Vec<JobId>,
        groups: &mut Vec<String>,
        room: &mut Allowance,
    ) -> Vec<JobId> {
        let (mut start, mut held) = (Vec::new(), Vec::new());
        for id in ids {
            let Some(name) = self.gate_of(&id) else {
                start.push(id);
                continue;
            };
            let passes = if is_order(&name) {
                let turn = self.turn(&name);
                turn.is_none_or(|turn| turn == id)
            } else {
                self.room_in(&name) > 0
            };
            if passes {
                self.pace_starts(&name, 1);
            }
            self.change_gate(&name, |gate| match is_order(&name) {
                true if passes => gate.turn = Some(id.clone()),
                true => {}
                false => {
                    gate.active += u64::from(passes);
                    gate.turn = gate.turn.take().filter(|turn| *turn != id);
                }
            });
            if !is_order(&name) && !groups.contains(&name) {
                groups.push(name.clone());
            }
            if passes {
                start.push(id);
            } else {
                room.take_back(self.weight(&id));
                held.push((Some(name), id, 0));
            }
        }
        self.hold(&held);
        start
    }

    /// A job leaves `blocked`. The caller puts it somewhere else, or ends it.
    pub(crate) fn leave_blocked(&mut self, id: &JobId) {
        if let Some(gate) = self.gate_of(id) {
            self.unblock(&gate, id);
        }
    }

    /// How many jobs of a gate run, whether one has the turn, and how many are blocked.
    pub(crate) fn counts_of_gate(&self, gate: &str) -> (u64, bool, u64) {
        let blocked = self.blocked_in(gate);
        (
            self.gate(gate).active,
            self.turn(gate).is_some(),
            blocked as u64,
        )
    }

    /// A delayed job of a group is due at this moment.
    pub(crate) fn expect_group(&mut self, due_ms: u64) {
        let known = self.gates.expected_ms.unwrap_or(0);
        if due_ms > known {
            self.gates.expected_ms = Some(due_ms);
        }
    }

    /// Everything that is due until now was promoted.
    pub(crate) fn expect_no_group(&mut self) {
        let now_ms = self.now_ms();
        self.gates.expected_ms = self
            .gates
            .expected_ms
            .filter(|until_ms| *until_ms >= now_ms);
    }
}
