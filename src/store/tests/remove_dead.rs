//! Removing dead jobs: what is promised of it, and the operation of the random sequences.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::random::op::{IDS, Op, Operation};
use super::random::world::{World, Wrong, names, same};
use super::{Rig, job, on_both, with};
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::{DeadReason, Outcome};
use crate::job::state::State;
use crate::policy::order::{OnFailure, Order};
use crate::store::get::Get;
use crate::store::remove::{Remove, Removed};
use crate::store::replay::Replay;

impl Rig {
    fn die(&mut self) -> JobId {
        let claimed = self.claim_one().unwrap();
        let entry = AttemptEntry::new(AttemptKind::Error, "broken".into());
        let reason = DeadReason::Declared;
        let outcome = Outcome::Dead { reason, entry };
        assert!(self.settle(&claimed.id, &claimed.receipt, outcome));
        claimed.id
    }

    fn remove_dead(&mut self, ids: &[&str]) -> Removed {
        let ids: Vec<JobId> = ids.iter().map(|id| JobId::stored(id)).collect();
        self.call(&dead(&ids))
    }
}

fn dead(ids: &[JobId]) -> Remove<'_> {
    let only_in = Some(State::Dead.as_str());
    Remove {
        ids,
        only_in,
        seen: None,
    }
}

fn only_what_is_dead_is_removed(mut rig: Rig) {
    rig.enqueue(&[job("a"), job("b"), job("c"), job("d")]);
    for id in ["a", "b"] {
        assert_eq!(rig.die().as_str(), id);
    }
    let replayed = [JobId::stored("a")];
    assert_eq!(rig.call(&Replay { ids: &replayed }).replayed, ["a"]);
    let runs = rig.claim_one().unwrap();
    assert_eq!(runs.id.as_str(), "c");
    let told = rig.remove_dead(&["a", "b", "b", "c", "d", "nobody"]);
    assert_eq!(
        (told.removed, told.active),
        (vec!["b".into()], vec!["c".into()])
    );
    let waiting = |id: &str| (id.to_owned(), "waiting".to_owned());
    assert_eq!(told.others, [waiting("a"), waiting("d")]);
    assert_eq!(rig.total("removed"), 1);
    for id in ["a", "b", "c", "d"] {
        rig.check_whole(&JobId::stored(id));
    }
    assert_eq!(rig.state(&JobId::stored("b")), None);
    let before = rig.subject.dump();
    assert!(rig.remove_dead(&["b"]).removed.is_empty(), "again");
    assert_eq!(rig.subject.dump(), before);
}

/// What it held back goes on.
fn a_dead_job_that_was_removed_halts_its_order_no_longer(mut rig: Rig) {
    rig.traits = true;
    let ordered = JobOptions::new().ordered_by(Order::by("k").on_failure(OnFailure::Halt));
    rig.enqueue(&[with("a", &ordered), with("b", &ordered)]);
    rig.die();
    assert!(rig.claim_one().is_none());
    assert_eq!(rig.remove_dead(&["a"]).removed, ["a"]);
    assert_eq!(rig.claim_one().unwrap().id.as_str(), "b");
}

/// Between a look at it and its removal a job may have run, and be where it was.
fn what_has_run_since_it_was_read_is_left_alone(mut rig: Rig) {
    rig.enqueue(&[job("a"), job("b")]);
    rig.die();
    let ids = [JobId::stored("a"), JobId::stored("b")];
    let counters = rig.call(&Get { id: "a" }).unwrap().counters.unwrap();
    let remove = |seen: &[Vec<u8>], rig: &mut Rig| {
        rig.call(&Remove {
            ids: &ids,
            only_in: None,
            seen: Some(seen),
        })
    };
    let told = remove(&[Vec::new(), b"\x94".to_vec()], &mut rig);
    let left = |id: &str, state: &str| (id.to_owned(), state.to_owned());
    assert_eq!(told.others, [left("a", "dead"), left("b", "waiting")]);
    assert!(told.removed.is_empty());
    let told = remove(&[counters, Vec::new()], &mut rig);
    assert_eq!(told.removed, ["a", "b"]);
}

on_both!(
    only_what_is_dead_is_removed,
    what_has_run_since_it_was_read_is_left_alone,
    a_dead_job_that_was_removed_halts_its_order_no_longer,
);

/// An operator removes what is dead of these.
#[derive(Debug)]
struct RemoveSome {
    ids: Vec<u8>,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    vec(0..IDS, 1..6).prop_map(|ids| Op::Other(Arc::new(RemoveSome { ids })))
}

impl Operation for RemoveSome {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let ids = names(&self.ids);
        let before = world.redis.dump();
        let verb = dead(&ids);
        let told = world.redis.call(&verb)?;
        same("remove what is dead", &told, &world.memory.call(&verb))?;
        let was_dead = |id: &String| before.get("dead", id).is_some();
        match told.removed.iter().all(was_dead) {
            true => Ok(()),
            false => Err(format!("{told:?} were not all dead")),
        }
    }
}
