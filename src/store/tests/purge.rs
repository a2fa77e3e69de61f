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
use crate::policy::order::{OnFailure, Order};
use crate::store::purge::Purge;
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

    fn purge(&mut self, ids: &[&str]) -> Vec<String> {
        let ids: Vec<JobId> = ids.iter().map(|id| JobId::stored(id)).collect();
        self.call(&Purge { ids: &ids }).purged
    }
}

fn only_what_is_dead_is_purged(mut rig: Rig) {
    rig.enqueue(&[job("a"), job("b"), job("c"), job("d")]);
    for id in ["a", "b"] {
        assert_eq!(rig.die().as_str(), id);
    }
    let replayed = [JobId::stored("a")];
    assert_eq!(rig.call(&Replay { ids: &replayed }).replayed, ["a"]);
    let runs = rig.claim_one().unwrap();
    assert_eq!(runs.id.as_str(), "c");
    assert_eq!(rig.purge(&["a", "b", "b", "c", "d", "nobody"]), ["b"]);
    assert_eq!(rig.total("removed"), 1);
    for id in ["a", "b", "c", "d"] {
        rig.check_whole(&JobId::stored(id));
    }
    assert_eq!(rig.state(&JobId::stored("b")), None);
    let before = rig.subject.dump();
    assert!(rig.purge(&["b"]).is_empty(), "again");
    assert_eq!(rig.subject.dump(), before);
}

/// What it held back goes on.
fn a_purged_job_halts_its_order_no_longer(mut rig: Rig) {
    rig.traits = true;
    let ordered = JobOptions::new().ordered_by(Order::by("k").on_failure(OnFailure::Halt));
    rig.enqueue(&[with("a", &ordered), with("b", &ordered)]);
    rig.die();
    assert!(rig.claim_one().is_none());
    assert_eq!(rig.purge(&["a"]), ["a"]);
    assert_eq!(rig.claim_one().unwrap().id.as_str(), "b");
}

on_both!(
    only_what_is_dead_is_purged,
    a_purged_job_halts_its_order_no_longer,
);

/// An operator removes what is dead of these.
#[derive(Debug)]
struct PurgeSome {
    ids: Vec<u8>,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    vec(0..IDS, 1..6).prop_map(|ids| Op::Other(Arc::new(PurgeSome { ids })))
}

impl Operation for PurgeSome {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let ids = names(&self.ids);
        let before = world.redis.dump();
        let verb = Purge { ids: &ids };
        let told = world.redis.call(&verb)?;
        same("purge", &told, &world.memory.call(&verb))?;
        let was_dead = |id: &String| before.get("dead", id).is_some();
        match told.purged.iter().all(was_dead) {
            true => Ok(()),
            false => Err(format!("{told:?} were not all dead")),
        }
    }
}
