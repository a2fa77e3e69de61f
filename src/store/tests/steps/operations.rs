//! The operations of random sequences whose jobs have durable steps.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::suspended;
use crate::id::{Fence, JobId, Receipt};
use crate::job::outcome::Outcome;
use crate::policy::steps::StepKind;
use crate::store::advance::Settlement;
use crate::store::signal::Signal;
use crate::store::step::{Step, What};
use crate::store::steps::Steps;
use crate::store::tests::random::op::{IDS, Op, Operation, Turn, WORKERS};
use crate::store::tests::random::world::{CLAIMS_IN_REACH, World, Wrong, names};
use crate::store::tests::settlement;

/// Numbers of steps in a sequence. Each has a name of its own.
const NUMBERS: u32 = 4;

fn name(number: u32) -> String {
    format!("step {number}")
}

/// The last claims that still hold, and the job of each.
pub(in crate::store::tests) fn live(world: &World<'_>) -> Vec<(JobId, Fence, Receipt)> {
    let all = (0..CLAIMS_IN_REACH as u8).filter_map(|n| world.claim(n, false));
    let mut live: Vec<(JobId, Fence, Receipt)> = Vec::new();
    for (id, fence, receipt) in all {
        let held = world.last.get("claims", id.as_str());
        let is_known = live.iter().any(|(known, ..)| *known == id);
        if held.is_some_and(|held| held == receipt.as_str().as_bytes()) && !is_known {
            live.push((id, fence, receipt));
        }
    }
    live
}

/// An attempt ends.
pub(in crate::store::tests) fn end(
    world: &mut World<'_>,
    worker: u8,
    (id, fence, receipt): (JobId, Fence, Receipt),
    outcome: Outcome,
) -> Result<(), Wrong> {
    let ended = settlement(&id, &receipt, outcome);
    let traits = world.end_traits(&id);
    let settlement = Settlement {
        fence,
        traits,
        ..ended
    };
    world.turn(Turn::settling(worker), vec![settlement])
}

/// The numbers of a job's steps that have ever waited.
fn waits(world: &World<'_>, id: &JobId) -> Vec<u32> {
    let waits = world.last.get("attempts", &format!("{id}#waits"));
    let waits = String::from_utf8_lossy(waits.map_or(&[], Vec::as_slice)).into_owned();
    let words = waits.split(' ').skip(1);
    let numbers = words.filter_map(|word| word.split([':', '=', '!']).next()?.parse().ok());
    numbers.collect()
}

pub(in crate::store::tests) fn one_of<T: Clone>(all: &[T], n: u8) -> Option<T> {
    let at = usize::from(n).checked_rem(all.len())?;
    Some(all[at].clone())
}

/// A step that is to be stored.
#[derive(Debug, Clone, Copy)]
struct NewStep {
    number: u32,
    kind: StepKind,
    after_ms: Option<u64>,
    bytes: usize,
}

impl NewStep {
    fn run(&self, world: &mut World<'_>, id: &JobId, receipt: &Receipt) -> Result<(), Wrong> {
        let name = &name(self.number);
        let what = match self.number {
            0 => What::Checkpoint,
            number => What::Step {
                number,
                kind: self.kind,
                name,
                after_ms: self.after_ms,
            },
        };
        let value = &vec![b'x'; self.bytes];
        world.both(&Step {
            id,
            receipt,
            what,
            value,
        })
    }
}

fn after_ms() -> impl Strategy<Value = Option<u64>> {
    option::of(select(&[0, 50, 1_000, 600_000][..]))
}

/// A handler stores a step, or its checkpoint (number 0), or finds a wait over.
#[derive(Debug)]
struct Store {
    claim: u8,
    stale: bool,
    step: NewStep,
}

pub(in crate::store::tests) fn store() -> impl Strategy<Value = Op> {
    use StepKind::{Done, Over, Sleep, Wait};
    let kind = select(&[Done, Sleep, Wait, Wait, Over, Over, Over][..]);
    let step = (0..=NUMBERS, kind, after_ms(), select(&[0, 1, 3_000][..]));
    let step = step.prop_map(|(number, kind, after_ms, bytes)| NewStep {
        number,
        kind,
        after_ms,
        bytes,
    });
    let what = (any::<u8>(), prop::bool::weighted(0.15), step);
    what.prop_map(|(claim, stale, step)| Op::Other(Arc::new(Store { claim, stale, step })))
}

impl Operation for Store {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let claim = match self.stale {
            true => world.claim(self.claim, true),
            false => one_of(&live(world), self.claim),
        };
        let Some((id, _, receipt)) = claim else {
            return Ok(());
        };
        let mut step = self.step;
        if step.kind == StepKind::Over {
            step.number = one_of(&waits(world, &id), step.number as u8).unwrap_or(step.number);
        }
        step.run(world, &id, &receipt)
    }
}

/// A handler waits for some steps, which it may have stored before; meanwhile one of them may be answered.
#[derive(Debug)]
struct Suspend {
    worker: u8,
    claim: u8,
    steps: Vec<NewStep>,
    answered: bool,
}

pub(in crate::store::tests) fn suspend() -> impl Strategy<Value = Op> {
    let kind = select(&[StepKind::Sleep, StepKind::Wait, StepKind::Wait][..]);
    let step = (1..=NUMBERS, kind, after_ms());
    let step = step.prop_map(|(number, kind, after_ms)| NewStep {
        number,
        kind,
        after_ms: match kind {
            StepKind::Wait => after_ms,
            _ => Some(after_ms.unwrap_or(1)),
        },
        bytes: 0,
    });
    let what = (
        0..WORKERS,
        any::<u8>(),
        vec(step, 0..3),
        prop::bool::weighted(0.2),
    );
    what.prop_map(|(worker, claim, steps, answered)| {
        Op::Other(Arc::new(Suspend {
            worker,
            claim,
            steps,
            answered,
        }))
    })
}

impl Operation for Suspend {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let Some((id, fence, receipt)) = one_of(&live(world), self.claim) else {
            return Ok(());
        };
        for step in &self.steps {
            step.run(world, &id, &receipt)?;
        }
        if let Some(step) = self.steps.first().filter(|_| self.answered) {
            let (id, name, value) = (&id, &name(step.number), &b"early"[..]);
            world.both(&Signal { id, name, value })?;
        }
        let steps: Vec<u32> = self.steps.iter().map(|step| step.number).collect();
        end(world, self.worker, (id, fence, receipt), suspended(&steps))
    }
}

/// Somebody answers, mostly what a job waits for, or reads the steps of a job.
#[derive(Debug)]
struct Tell {
    id: u8,
    waits: bool,
    number: u32,
    reads: Option<(usize, Option<usize>)>,
}

pub(in crate::store::tests) fn signal() -> impl Strategy<Value = Op> {
    let (bytes, cut) = (
        select(&[1, 4_000, 1 << 20][..]),
        select(&[3, 40, 5_000][..]),
    );
    let reads = option::weighted(0.2, (bytes, option::of(cut)));
    let what = (0..IDS, prop::bool::weighted(0.8), 1..=NUMBERS, reads);
    what.prop_map(|(id, waits, number, reads)| {
        Op::Other(Arc::new(Tell {
            id,
            waits,
            number,
            reads,
        }))
    })
}

impl Operation for Tell {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let (mut id, mut number) = (names(&[self.id]).remove(0), self.number);
        let fields = world.last.names("attempts");
        let waiting: Vec<JobId> = fields
            .iter()
            .filter_map(|field| Some(JobId::stored(field.strip_suffix("#waits")?)))
            .collect();
        if let Some(waiting) = one_of(&waiting, self.id).filter(|_| self.waits) {
            id = waiting;
            number = one_of(&waits(world, &id), self.number as u8).unwrap_or(number);
        }
        if let Some((bytes, cut)) = self.reads {
            let (id, from) = (id.as_str(), self.number);
            return world.both(&Steps {
                id,
                from,
                bytes,
                cut,
            });
        }
        let (id, name, value) = (&id, &name(number), &b"answer"[..]);
        world.both(&Signal { id, name, value })
    }
}
