//! The job that has waited for longest: what is promised of it, and the operation of the random sequences.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::random::op::{Op, Operation};
use super::random::world::{World, Wrong};
use super::{Rig, job, on_both};
use crate::store::enqueue::{Due, NewJob};
use crate::store::oldest::Oldest;

impl Rig {
    /// Which job it is, and for how many seconds it has waited.
    fn oldest(&mut self, priorities: usize) -> Option<(String, u64)> {
        let found = self.call(&Oldest { priorities })?;
        Some((found.id, (found.now_ms - found.enqueued_ms) / 1_000))
    }

    /// A second after the one before.
    fn add(&mut self, id: &str, priority: u16, front: bool) {
        self.wait(Duration::from_secs(1));
        self.enqueue(&[NewJob {
            priority: Some(priority),
            front,
            ..job(id)
        }]);
    }
}

fn told(id: &str, seconds: u64) -> Option<(String, u64)> {
    Some((id.to_owned(), seconds))
}

fn the_oldest_is_found_whatever_its_priority(mut rig: Rig) {
    assert_eq!(rig.oldest(64), None);
    rig.add("a", 900, false);
    rig.add("b", 7, false);
    rig.add("c", 900, false);
    assert_eq!(rig.oldest(64), told("a", 2));
    rig.add("d", 1_023, false);
    rig.add("e", 0, false);
    assert_eq!(rig.oldest(64), told("a", 4));
    assert_eq!(rig.claim_one().unwrap().id.as_str(), "e");
    rig.enqueue(&[NewJob {
        due: Due::After { ms: 1 },
        ..job("later")
    }]);
    rig.wait(Duration::from_secs(60));
    assert_eq!(rig.oldest(64), told("a", 64));
}

/// The last of the front is claimed first.
fn what_came_to_the_front_is_found(mut rig: Rig) {
    rig.add("a", 500, true);
    rig.add("b", 500, true);
    rig.add("c", 500, false);
    assert_eq!(rig.oldest(64), told("a", 2));
    assert_eq!(rig.claim_one().unwrap().id.as_str(), "b");
    assert_eq!(rig.claim_one().unwrap().id.as_str(), "a");
    assert_eq!(rig.oldest(64), told("c", 0));
}

/// The least urgent ones wait for longest.
fn only_so_many_priorities_are_looked_at(mut rig: Rig) {
    for priority in 0..6 {
        rig.add(&format!("p{priority}"), priority, false);
    }
    // Beside them, the last job of the priority before is met.
    assert_eq!(rig.oldest(2), told("p3", 2));
    assert_eq!(rig.oldest(64), told("p0", 5));
}

on_both!(
    the_oldest_is_found_whatever_its_priority,
    what_came_to_the_front_is_found,
    only_so_many_priorities_are_looked_at,
);

/// Somebody looks.
#[derive(Debug)]
struct Look {
    priorities: usize,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    let priorities = prop_oneof![1..3usize, Just(64)];
    priorities.prop_map(|priorities| Op::Other(Arc::new(Look { priorities })))
}

impl Operation for Look {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let priorities = self.priorities;
        world.both(&Oldest { priorities })
    }
}
