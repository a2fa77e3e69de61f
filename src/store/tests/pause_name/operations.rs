//! What random sequences do with jobs of several names.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::store::pause_name::PauseName;
use crate::store::tests::random::op::{NAMES, New, Op, Operation, PRODUCERS, WORKERS};
use crate::store::tests::random::world::{World, Wrong};

/// Jobs of these names come.
#[derive(Debug)]
struct EnqueueNamed {
    lane: u8,
    jobs: Vec<(New, &'static str)>,
}

/// A worker dies with some jobs.
#[derive(Debug)]
struct LoseWorker {
    worker: u8,
    claim: usize,
}

/// An operator pauses the jobs of a name, or lets them go on.
#[derive(Debug)]
struct ChangeName {
    name: &'static str,
    pause: bool,
}

pub(in crate::store::tests) fn enqueue(
    new: impl Strategy<Value = New>,
) -> impl Strategy<Value = Op> {
    let jobs = vec((new, select(&NAMES[..])), 1..5);
    (0..PRODUCERS, jobs).prop_map(|(lane, jobs)| Op::Other(Arc::new(EnqueueNamed { lane, jobs })))
}

pub(in crate::store::tests) fn operation() -> impl Strategy<Value = Op> {
    (select(&NAMES[..]), any::<bool>())
        .prop_map(|(name, pause)| Op::Other(Arc::new(ChangeName { name, pause })))
}

pub(in crate::store::tests) fn lose_worker() -> impl Strategy<Value = Op> {
    (0..WORKERS, 1..5usize)
        .prop_map(|(worker, claim)| Op::Other(Arc::new(LoseWorker { worker, claim })))
}

impl Operation for LoseWorker {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        world.lose_worker(self.worker, self.claim)
    }
}

impl Operation for EnqueueNamed {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        world.enqueue_named(self.lane, &self.jobs)
    }
}

impl Operation for ChangeName {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        // Two of the three names at most.
        let (name, pause, most) = (self.name, self.pause, 2);
        world.both(&PauseName { name, pause, most })
    }
}
