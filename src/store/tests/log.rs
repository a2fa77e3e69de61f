//! The log of a job: what is promised of it, and the operations of the random sequences.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{IDS, Op, Operation};
use super::random::world::{World, Wrong, names};
use super::{Rig, completed, job, on_both};
use crate::id::{Fence, JobId, Receipt};
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::outcome::{DeadReason, Outcome};
use crate::store::advance::Claimed;
use crate::store::get::Get;
use crate::store::log::{Line, Log, Logged};
use crate::store::logs::Logs;
use crate::store::remove::Remove;
use crate::store::replay::Replay;

fn lines(texts: impl IntoIterator<Item = impl ToString>) -> Vec<Line> {
    let line = |text: _| Line {
        age_ms: 5,
        text: ToString::to_string(&text),
    };
    texts.into_iter().map(line).collect()
}

impl Rig {
    fn log(&mut self, claimed: &Claimed, first: u64, lines: &[Line]) -> Logged {
        self.call(&Log {
            id: &claimed.id,
            receipt: &claimed.receipt,
            attempt: 1,
            fence: claimed.fence,
            first,
            lines,
        })
    }

    /// The lines with their numbers, without what stands in front of the texts.
    fn logs(&mut self, id: &str, after: u64) -> Vec<(u64, String)> {
        let lines = self.call(&Logs { id, after }).into_iter();
        let text = |line: Vec<u8>| {
            let line = String::from_utf8(line).unwrap();
            line.splitn(5, ' ').nth(4).unwrap().to_owned()
        };
        lines.map(|(number, line)| (number, text(line))).collect()
    }
}

fn texts(lines: &[(u64, String)]) -> Vec<(u64, &str)> {
    lines.iter().map(|(n, text)| (*n, text.as_str())).collect()
}

fn lines_are_numbered_and_stand_there_once(mut rig: Rig) {
    assert_eq!(rig.logs("a", 0), []);
    rig.enqueue(&[job("a")]);
    let claimed = rig.claim_one().unwrap();
    assert_eq!(rig.logs("a", 0), []);
    rig.wait(Duration::from_millis(100));
    let now_ms = rig.now_us / 1_000;
    assert_eq!(
        rig.log(&claimed, 1, &lines(["one", "two words"])),
        Logged::Yes
    );
    let stored = rig.call(&Logs { id: "a", after: 1 });
    let fence = claimed.fence.get();
    let line = format!("{} 1 {fence} 2 two words", now_ms - 5);
    assert_eq!(stored, [(2, line.into_bytes())]);
    // Its answer was lost, and meanwhile there is another line.
    rig.log(&claimed, 1, &lines(["one", "two words", "three"]));
    let before = rig.subject.dump();
    rig.log(&claimed, 2, &lines(["two words", "three"]));
    assert_eq!(rig.subject.dump(), before);
    let all = rig.logs("a", 0);
    assert_eq!(texts(&all), [(1, "one"), (2, "two words"), (3, "three")]);
    assert_eq!(rig.logs("a", 3), []);
}

fn g2_who_does_not_hold_the_job_writes_nothing(mut rig: Rig) {
    rig.enqueue(&[job("a")]);
    let mut claimed = rig.claim_one().unwrap();
    let receipt = claimed.receipt.clone();
    claimed.receipt = Receipt::new(&format!("1{}", receipt.as_str()));
    assert_eq!(rig.log(&claimed, 1, &lines(["x"])), Logged::LeaseLost);
    claimed.receipt = receipt;
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    assert_eq!(rig.log(&claimed, 1, &lines(["x"])), Logged::LeaseLost);
    assert_eq!((rig.logs("a", 0), rig.total("refused")), (vec![], 2));
}

/// And in any number of calls a job has no more.
fn the_newest_hundred_lines_are_kept(mut rig: Rig) {
    rig.enqueue(&[job("a")]);
    let claimed = rig.claim_one().unwrap();
    let mut first = 1;
    for lines_of_call in [60u64, 60, 100, 3] {
        let numbers = first..first + lines_of_call;
        rig.log(&claimed, first, &lines(numbers));
        first += lines_of_call;
    }
    let all = rig.logs("a", 0);
    assert_eq!((all.len(), all[0].clone()), (100, (124, "124".to_owned())));
    assert_eq!(all[99], (223, "223".to_owned()));
    // Its counters and its lines.
    assert_eq!(rig.size("attempts"), 101);
}

/// It is there for as long as the job is, and no longer.
fn a_log_stays_through_failures_and_goes_with_its_job(mut rig: Rig) {
    rig.enqueue(&[job("a"), job("b")]);
    let claimed = rig.claim_one().unwrap();
    rig.log(&claimed, 1, &lines(["first"]));
    let entry = AttemptEntry::new(AttemptKind::Error, "broken".into());
    let (reason, id) = (DeadReason::Declared, claimed.id.clone());
    let died = Outcome::Dead { reason, entry };
    assert!(rig.settle(&id, &claimed.receipt, died));
    assert_eq!(texts(&rig.logs("a", 0)), [(1, "first")]);
    rig.call(&Replay {
        ids: std::slice::from_ref(&id),
    });
    rig.call(&Remove::of(&[JobId::stored("b")]));
    let again = rig.claim_one().unwrap();
    rig.log(&again, 1, &lines(["again"]));
    let all = rig.logs("a", 0);
    assert_eq!(texts(&all), [(1, "first"), (2, "again")]);
    let found = rig.call(&Get { id: "a" }).unwrap();
    assert_eq!(found.history.len(), 1, "lines are no attempts");
    rig.keep_nothing();
    assert!(rig.settle(&id, &again.receipt, completed()));
    assert_eq!(rig.size("attempts"), 0);
    rig.check_whole(&id);
}

on_both!(
    lines_are_numbered_and_stand_there_once,
    g2_who_does_not_hold_the_job_writes_nothing,
    the_newest_hundred_lines_are_kept,
    a_log_stays_through_failures_and_goes_with_its_job,
);

/// A handler says something, again after its answer was lost, or after its lease.
#[derive(Debug)]
struct Say {
    claim: u8,
    stale: bool,
    first: u64,
    lines: usize,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    let lines = select(&[1, 2, 3, 60, 100][..]);
    let what = (any::<u8>(), prop::bool::weighted(0.1), 1..5u64, lines);
    what.prop_map(|(claim, stale, first, lines)| {
        Op::Other(Arc::new(Say {
            claim,
            stale,
            first,
            lines,
        }))
    })
}

impl Operation for Say {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let Some((id, fence, receipt)) = world.claim(self.claim, self.stale) else {
            return Ok(());
        };
        let lines: Vec<Line> = (0..self.lines)
            .map(|n| Line {
                age_ms: n as u64,
                text: format!("line {n}"),
            })
            .collect();
        world.both(&Log {
            id: &id,
            receipt: &receipt,
            attempt: 1,
            fence: Fence(fence.get()),
            first: self.first,
            lines: &lines,
        })
    }
}

/// Somebody reads the log of a job.
#[derive(Debug)]
struct Read {
    id: u8,
    after: u64,
}

pub(super) fn read() -> impl Strategy<Value = Op> {
    let what = (0..IDS, select(&[0, 1, 50][..]));
    what.prop_map(|(id, after)| Op::Other(Arc::new(Read { id, after })))
}

impl Operation for Read {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let [id] = &names(&[self.id])[..] else {
            return Ok(());
        };
        let (id, after) = (id.as_str(), self.after);
        world.both(&Logs { id, after })
    }
}
