//! From a unique key to the job that has it: what is told, and the operation of the random sequences.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{Op, Operation};
use super::random::world::{World, Wrong, same};
use super::unique::{claim, dead, end, met, unique};
use super::{Rig, completed, on_both};
use crate::id::JobId;
use crate::policy::unique::{OnDuplicate, Unique};
use crate::store::owner::Owner;
use crate::store::remove::Remove;

const MINUTE: Duration = Duration::from_secs(60);

fn owner(rig: &mut Rig) -> Option<String> {
    let owner = rig.call(&Owner { name: "test:k" });
    owner.map(|id| id.to_string())
}

fn the_job_that_waits_or_runs_has_the_key(mut rig: Rig) {
    assert_eq!(owner(&mut rig), None);
    let latest = |id| unique(id, Unique::by("k").on_duplicate(OnDuplicate::KeepLatest));
    rig.enqueue(&[latest("a"), unique("other", "l")]);
    assert_eq!(owner(&mut rig).as_deref(), Some("a"));
    let first = claim(&mut rig).unwrap();
    assert_eq!(met(&mut rig, &[latest("b")]), ["b"]);
    assert_eq!(owner(&mut rig).as_deref(), Some("a"), "it runs");
    end(&mut rig, &first, dead());
    assert_eq!(owner(&mut rig).as_deref(), Some("b"));
    rig.call(&Remove::of(&[JobId::stored("b")]));
    assert_eq!(owner(&mut rig), None);
}

fn a_key_that_is_remembered_leads_to_its_job_until_the_time_is_over(mut rig: Rig) {
    rig.enqueue(&[unique("a", Unique::by("k").for_time(MINUTE))]);
    let first = claim(&mut rig).unwrap();
    end(&mut rig, &first, completed());
    assert_eq!(owner(&mut rig).as_deref(), Some("a"));
    rig.wait(MINUTE);
    assert_eq!(owner(&mut rig), None);
}

on_both! {
    the_job_that_waits_or_runs_has_the_key,
    a_key_that_is_remembered_leads_to_its_job_until_the_time_is_over,
}

/// Somebody asks who has a key.
#[derive(Debug)]
struct Ask {
    name: &'static str,
}

impl Operation for Ask {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let verb = Owner { name: self.name };
        let redis = world.redis.call(&verb)?;
        same("owner", &redis, &world.memory.call(&verb))
    }
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    let names = select(&["test:k", "test:l%20m", "test:n"][..]);
    names.prop_map(|name| Op::Other(Arc::new(Ask { name })))
}
