//! The operations of random sequences whose jobs add children while they run.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::suspended;
use crate::id::JobId;
use crate::job::head::fields_of;
use crate::job::options::JobOptions;
use crate::job::traits::child_of;
use crate::policy::flow::{ChildOf, OnDeath};
use crate::policy::steps::StepKind;
use crate::store::enqueue::NewJob;
use crate::store::replay::Replay;
use crate::store::spawn::Spawn;
use crate::store::step::{Step, What};
use crate::store::tests::completed;
use crate::store::tests::random::op::{IDS, New, Op, Operation, WORKERS};
use crate::store::tests::random::world::{World, Wrong, names};
use crate::store::tests::steps::operations::{end, live, one_of};
use crate::store::tests::unique::dead;

/// Numbers of steps in a sequence. Each has a name of its own.
const NUMBERS: u32 = 3;
const NAP: u32 = 4;

/// A job that is added; whether it is a child of the one before it; and what its death means.
type Node = (New, bool, OnDeath);

/// A handler adds children, under the number of its last step or a new one, and may wait for them, or for an earlier step as well.
#[derive(Debug)]
struct SpawnChildren {
    worker: u8,
    claim: u8,
    stale: bool,
    number: u32,
    nodes: Vec<Node>,
    /// How far off the number of the first of them is.
    off: u32,
    /// Whether the attempt is put aside, and at which step beside this one, if that is there.
    waits: bool,
    also: u32,
    /// It sleeps beside.
    nap_ms: Option<u64>,
}

pub(in crate::store::tests) fn operation(
    new: impl Strategy<Value = New>,
) -> impl Strategy<Value = Op> {
    let on_death = select(vec![OnDeath::Hold, OnDeath::Fail, OnDeath::GoOn]);
    let node = (new, prop::bool::weighted(0.2), on_death);
    let what = (
        (0..WORKERS, any::<u8>(), prop::bool::weighted(0.1)),
        1..=NUMBERS,
        vec(node, 0..4),
        prop::bool::weighted(0.1),
        (prop::bool::weighted(0.6), 1..=NUMBERS),
        option::weighted(0.3, select(&[50, 1_000, 600_000][..])),
    );
    what.prop_map(
        |((worker, claim, stale), number, mut nodes, off, (waits, also), nap_ms)| {
            // Mostly they have ids of their own.
            for at in 1..nodes.len() {
                nodes[at].0.id = (nodes[0].0.id + 2 * at as u8 + 1) % IDS;
            }
            Op::Other(Arc::new(SpawnChildren {
                worker,
                claim,
                stale,
                number,
                nodes,
                off: u32::from(off),
                waits,
                also,
                nap_ms,
            }))
        },
    )
}

/// A job that others have added while they ran ends; or all that are dead are replayed.
#[derive(Debug)]
struct EndChild {
    worker: u8,
    claim: u8,
    dies: bool,
}

pub(in crate::store::tests) fn end_child() -> impl Strategy<Value = Op> {
    let what = (0..WORKERS, any::<u8>(), prop::bool::weighted(0.6));
    what.prop_map(|(worker, claim, dies)| {
        Op::Other(Arc::new(EndChild {
            worker,
            claim,
            dies,
        }))
    })
}

impl Operation for EndChild {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let mut claims = live(world);
        claims.retain(|(id, ..)| {
            let record = world.last.get("jobs", id.as_str());
            let of = record.and_then(|record| child_of(fields_of(record)?));
            of.is_some_and(|of| of.of_step.is_some())
        });
        let Some(claim) = one_of(&claims, self.claim) else {
            // Those that have died are tried again.
            let dead = world.last.names("dead").into_iter();
            let ids: Vec<JobId> = dead.map(|id| JobId::stored(&id)).collect();
            return world.both(&Replay { ids: &ids });
        };
        let outcome = if self.dies { dead() } else { completed() };
        end(world, self.worker, claim, outcome)
    }
}

impl SpawnChildren {
    /// The jobs, and how many of them are children of the job itself.
    fn jobs(&self, world: &World<'_>, parent: &JobId, first: u32) -> (Vec<NewJob>, u32) {
        let (mut jobs, mut own) = (Vec::new(), 0);
        let below = |at: usize| self.nodes.get(at).is_some_and(|(_, below, _)| *below);
        for (at, (new, _, on_death)) in self.nodes.iter().enumerate() {
            let is_own = at == 0 || !below(at);
            let (of, number, of_step) = match is_own {
                true => (parent.clone(), first + own, Some(self.number)),
                false => (names(&[self.nodes[at - 1].0.id]).remove(0), 0, None),
            };
            own += u32::from(is_own);
            let child_of = Some(ChildOf {
                queue: None,
                route: None,
                parent: of,
                number,
                on_death: *on_death,
                of_step,
            });
            let options = JobOptions {
                children: u32::from(below(at + 1)),
                child_of,
                ..JobOptions::new()
            };
            jobs.push(world.job_with(new, "test", options));
        }
        (jobs, own)
    }
}

impl Operation for SpawnChildren {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let claim = match self.stale {
            true => world.claim(self.claim, true),
            false => one_of(&live(world), self.claim),
        };
        let Some((id, fence, receipt)) = claim else {
            return Ok(());
        };
        let known = world.last.get("attempts", &format!("{id}#children"));
        let known = known.map(|known| String::from_utf8_lossy(known).into_owned());
        let total = known.and_then(|known| known.split(' ').next()?.parse().ok());
        let first = total.unwrap_or(0) + self.off;
        let (jobs, count) = self.jobs(world, &id, first);
        let jobs: Vec<&NewJob> = jobs.iter().collect();
        world.both(&Spawn {
            id: &id,
            receipt: &receipt,
            number: self.number,
            name: &format!("step {}", self.number),
            first,
            count,
            jobs: &jobs,
        })?;
        if !self.waits || self.stale {
            return Ok(());
        }
        let mut steps = vec![self.number];
        let also = format!("{id}#step{}", self.also);
        steps.extend(world.last.get("attempts", &also).map(|_| self.also));
        if let Some(after_ms) = self.nap_ms {
            world.both(&Step {
                id: &id,
                receipt: &receipt,
                what: What::Step {
                    number: NAP,
                    kind: StepKind::Sleep,
                    name: "nap",
                    after_ms: Some(after_ms),
                },
                value: b"",
            })?;
            steps.push(NAP);
        }
        end(world, self.worker, (id, fence, receipt), suspended(&steps))
    }
}
