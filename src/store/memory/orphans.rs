//! Jobs that are in no list, or are blocked by nothing. In memory there are none, unless a test takes
//! something away.

use crate::codec;
use crate::id::JobId;
use crate::job::head::field_of;
use crate::job::outcome::Ending;
use crate::job::traits::UNIQUE_UNTIL;
use crate::memory::Apply;
use crate::memory::attempts::stamp;
use crate::memory::children::Missing;
use crate::memory::leave::Goes;
use crate::memory::order::{place, priority_at};
use crate::memory::state::{Collection, Later, State, moment};
use crate::store::orphans::{Found, How, Orphans};

const AT_MOST: usize = 256;

/// What a job is, as far as it shows without its list.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Held,
    Dead,
    Completed,
    Open,
}

impl Apply for Orphans<'_> {
    fn apply(&self, state: &mut State) -> Found {
        let blocked = state.all(Collection::Blocked);
        let unknown = blocked.filter(|(_, id)| state.is_held_by_nothing(id));
        let lost = state.all(Collection::Lost).chain(unknown);
        let mut lost: Vec<JobId> = lost.map(|(_, id)| id.clone()).collect();
        lost.sort();
        let mut more = false;
        let families = families(state);
        if self.how != How::Look {
            (lost, more) = chosen(self, state, lost);
        }
        let mut found = match self.how {
            _ if lost.is_empty() => lost,
            How::Look => lost,
            How::PutBack => {
                put_back(self, state, &lost);
                lost
            }
            How::Remove => remove(self, state, &lost),
        };
        let (mut dropped, mut told) = (0, Vec::new());
        for (parent, (mut missing, _)) in families {
            if self.how != How::Look {
                if dropped >= AT_MOST {
                    more = true;
                    break;
                }
                // A child that was put back or removed just now may have changed what is open.
                let open;
                (missing, open) = state.missing_children(&parent, false);
                let waits_itself = state.waits_for_children(&parent);
                dropped += missing.len();
                let has_missing = !missing.is_empty();
                if has_missing
                    && state.drop_children(&parent, &missing, open, &mut told) == 0
                    && waits_itself
                {
                    state.let_parent_go(&parent);
                }
            }
            found.extend(missing.into_iter().map(|(_, id)| id));
        }
        state.wake_parents(&told);
        Found {
            ids: found.iter().map(JobId::to_string).collect(),
            cursor: Self::FIRST.to_owned(),
            more,
        }
    }
}

/// Parents that would wait for ever, and their children that are missing.
fn families(state: &State) -> Vec<(JobId, Missing)> {
    let blocked = state.all(Collection::Blocked);
    let waits = |id: &JobId| state.waits_for_children(id) || state.is_untold(id);
    let parents = blocked.filter(|(_, id)| waits(id));
    let families = parents.map(|(_, id)| (id.clone(), state.missing_children(id, false)));
    let families = families.filter(|(_, (missing, _))| !missing.is_empty());
    let mut families: Vec<_> = families.collect();
    families.sort_by(|(a, _), (b, _)| a.cmp(b));
    families
}

/// Those that are dealt with now, and whether that leaves some.
fn chosen(call: &Orphans<'_>, state: &mut State, lost: Vec<JobId>) -> (Vec<JobId>, bool) {
    let (mut chosen, mut taken) = (Vec::new(), Vec::new());
    for id in lost {
        if chosen.len() == AT_MOST {
            return (chosen, true);
        }
        if call.how == How::Remove || regains_key(state, &id, &mut taken) {
            chosen.push(id);
        }
    }
    (chosen, false)
}

/// Whether a job may be put back: it has its unique key again, or needs none. While another job has the key, it may not; but
/// one that a worker holds runs in any case.
fn regains_key(state: &mut State, id: &JobId, taken: &mut Vec<String>) -> bool {
    let kind = kind(state, id);
    let runs = kind == Kind::Held;
    if !runs && kind != Kind::Open {
        return true;
    }
    if !runs && state.is_successor(id) {
        return true;
    }
    let record = state.jobs.get(id).map(|job| job.record.as_slice());
    let until_started = record.and_then(|record| field_of(record, UNIQUE_UNTIL)) == Some("started");
    let is_free = until_started && (runs || state.has_begun(id));
    is_free || state.take_key_again(id, taken) || runs
}

fn kind(state: &State, id: &JobId) -> Kind {
    let Some(job) = state.jobs.get(id) else {
        return Kind::Open;
    };
    let ending = job.outcome.as_ref().and_then(|outcome| {
        let ending = outcome.get(stamp(0).len()..)?;
        codec::decode_plain::<Ending>("an outcome", ending).ok()
    });
    match ending {
        _ if job.claim.is_some() => Kind::Held,
        Some(Ending::Dead(_)) => Kind::Dead,
        Some(_) => Kind::Completed,
        None => Kind::Open,
    }
}

fn of_kind(state: &State, ids: &[JobId], wanted: Kind) -> Vec<JobId> {
    let ids = ids.iter().filter(|id| kind(state, id) == wanted);
    ids.cloned().collect()
}

fn put_back(call: &Orphans<'_>, state: &mut State, ids: &[JobId]) {
    let now_ms = state.now_ms();
    let open = of_kind(state, ids, Kind::Open);
    for id in ids {
        match kind(state, id) {
            Kind::Held => state.renew(id, longest_lease(call, state)),
            Kind::Dead => state.put(id, Collection::Dead, moment(now_ms)),
            Kind::Completed => {
                state.put(id, Collection::Completed, moment(now_ms));
            }
            Kind::Open => {}
        }
    }
    forget_names(state, &open);
    let (plain, gated) = state.by_gates(&open);
    let (anew, known): (Vec<_>, Vec<_>) = plain.into_iter().partition(|id| has_no_place(state, id));
    for id in &known {
        state.enter_line(id, state.place_of(id));
    }
    for id in &anew {
        let priority = priority_at(state.place_of(id));
        state.enter_anew(id, Later::back(priority));
    }
    for (gate, id, _) in &gated {
        if gate.is_some() && has_no_place(state, id) {
            let place = state.next_place(Later::back(priority_at(state.place_of(id))));
            state.move_to(id, place);
        }
        if let Some(gate) = gate {
            // It may still stand apart, with the jobs of its paused name.
            state.leave_aside(gate, id);
        }
    }
    state.hold_and_admit(&gated);
    if !open.is_empty() {
        state.look_for_blocked();
    }
    state.emit_ids("waiting", &known);
    state.emit_ids("waiting", &anew);
    for id in &open {
        state.expect_first_start(id);
    }
    if !open.is_empty() && !state.is_paused() {
        state.arm(0);
    }
    state.look_for_due();
}

fn remove(call: &Orphans<'_>, state: &mut State, ids: &[JobId]) -> Vec<JobId> {
    for id in of_kind(state, ids, Kind::Held) {
        state.renew(&id, longest_lease(call, state));
    }
    let open = of_kind(state, ids, Kind::Open);
    let ended = [Kind::Dead, Kind::Completed].map(|kind| of_kind(state, ids, kind));
    let removed: Vec<JobId> = ended.into_iter().flatten().chain(open.clone()).collect();
    state.announce(&removed);
    forget_names(state, &open);
    for id in &removed {
        state.leave_blocked(id);
    }
    state.look_for_blocked();
    let leaving: Vec<_> = removed
        .iter()
        .filter_map(|id| state.leaving(id, Goes::Removed))
        .collect();
    state.forget(&removed);
    state.leave(&leaving);
    state.forget_expiry(&removed);
    state.count("removed", removed.len());
    state.emit_ids("removed", &removed);
    if !open.is_empty() && state.len(Collection::Lost) == 0 {
        state.say_if_drained();
    }
    state.look_for_due();
    removed
}

/// One that was delayed since it was enqueued has no place yet.
fn has_no_place(state: &State, id: &JobId) -> bool {
    let known = state.place_of(id);
    known == place(priority_at(known), 0)
}

/// No lease may be longer than the longest in use.
fn longest_lease(call: &Orphans<'_>, state: &State) -> u64 {
    state
        .recovery
        .map_or(call.lease_ms, |watch| watch.longest_ms)
}

fn forget_names(state: &mut State, ids: &[JobId]) {
    let has_name = |id: &&JobId| state.jobs.get(*id).is_some_and(|job| job.name.is_some());
    let named: Vec<JobId> = ids.iter().filter(has_name).cloned().collect();
    state.left_unhandled(&named);
}
