//! Flows in the random sequences.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::random::op::{IDS, New, Op, Operation, PRODUCERS};
use super::super::random::world::{World, Wrong, names};
use crate::policy::flow::OnDeath;
use crate::store::children::Children;

/// A job of a flow: which of the jobs before it is its parent, and what its death means there.
pub(in crate::store::tests) type Node = (New, u8, OnDeath);

#[derive(Debug)]
struct EnqueueFlow {
    lane: u8,
    nodes: Vec<Node>,
    /// Whether the first job has a job for when a child of it is dead, and for when all have ended.
    callbacks: (bool, bool),
}

impl Operation for EnqueueFlow {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        world.enqueue_flow(self.lane, &self.nodes, self.callbacks)
    }
}

/// What a job knows of its children is read.
#[derive(Debug)]
struct ReadChildren {
    id: u8,
}

impl Operation for ReadChildren {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let id = names(&[self.id]);
        let (from, max_bytes) = (u32::from(self.id % 3), 300);
        world.both(&Children {
            id: id[0].as_str(),
            from,
            max_bytes,
        })
    }
}

/// The jobs of a flow get in line, of which each but the first is a child of one before it.
pub(in crate::store::tests) fn operation(
    new: impl Strategy<Value = New>,
) -> impl Strategy<Value = Op> {
    flow(new).prop_map(|(lane, nodes)| enqueue(lane, nodes, (false, false)))
}

/// The same, and there are jobs for when something has become of the children of the first.
pub(in crate::store::tests) fn batch(new: impl Strategy<Value = New>) -> impl Strategy<Value = Op> {
    let callbacks = (prop::bool::weighted(0.7), prop::bool::weighted(0.7));
    (flow(new), callbacks).prop_map(|((lane, nodes), callbacks)| enqueue(lane, nodes, callbacks))
}

fn enqueue(lane: u8, nodes: Vec<Node>, callbacks: (bool, bool)) -> Op {
    Op::Other(Arc::new(EnqueueFlow {
        lane,
        nodes,
        callbacks,
    }))
}

fn flow(new: impl Strategy<Value = New>) -> impl Strategy<Value = (u8, Vec<Node>)> {
    let on_death = select(vec![OnDeath::Hold, OnDeath::Fail, OnDeath::GoOn]);
    (0..PRODUCERS, vec((new, any::<u8>(), on_death), 2..5)).prop_map(|(lane, mut nodes)| {
        // Mostly they have ids of their own.
        let (first, step) = (nodes[0].0.id, [1, 3, 7][usize::from(nodes[0].1 % 3)]);
        for (at, node) in nodes.iter_mut().enumerate() {
            if node.1 % 8 > 0 {
                node.0.id = (first + step * at as u8) % IDS;
            }
        }
        (lane, nodes)
    })
}

pub(in crate::store::tests) fn read_operation() -> impl Strategy<Value = Op> {
    any::<u8>().prop_map(|id| Op::Other(Arc::new(ReadChildren { id })))
}
