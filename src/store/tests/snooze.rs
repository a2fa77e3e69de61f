//! Jobs that their handlers put off: what is promised of it, and the operation of the random sequences.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{End, How, Op, Operation, Turn, WORKERS};
use super::random::world::{CLAIMS_IN_REACH, World, Wrong};
use super::{Rig, job, on_both};
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind, Counters};
use crate::job::outcome::{DeadReason, Outcome};
use crate::job::state::State;
use crate::store::advance::Claimed;
use crate::store::replay::Replay;

const MINUTE: Duration = Duration::from_secs(60);

impl Rig {
    /// Claims the job, which waits, is due, or is put off for a minute.
    fn claim_snoozed(&mut self) -> (Claimed, Counters) {
        self.wait(MINUTE);
        let claimed = self.claim_one().expect("it is due");
        let counters = claimed.counters.as_deref().map(Counters::decode);
        let counters = counters.map_or_else(Counters::default, Result::unwrap);
        (claimed, counters)
    }
}

fn entry() -> AttemptEntry {
    AttemptEntry::new(AttemptKind::Error, "broken".into())
}

fn a_snooze_counts_burns_no_attempt_and_is_remembered_since_the_first(mut rig: Rig) {
    rig.enqueue(&[job("a")]);
    let mut first_ms = 0;
    for times in 0..3 {
        let (claimed, counters) = rig.claim_snoozed();
        assert_eq!((counters.snoozes, counters.failed), (times, 0));
        assert_eq!(counters.snoozed_since_ms, first_ms);
        if times == 0 {
            first_ms = rig.now_us / 1_000;
        }
        let snoozed = Outcome::Snoozed { after: MINUTE };
        assert!(rig.settle(&claimed.id, &claimed.receipt, snoozed));
        assert_eq!(rig.state(&claimed.id), Some(State::Delayed));
        assert!(rig.claim_one().is_none(), "it is not due");
    }
    assert_eq!(rig.total("snoozed"), 3);
    let events = rig.subject.dump();
    let last = events.part("events").last().unwrap().1;
    let due_ms = rig.now_us / 1_000 + 60_000;
    assert_eq!(last, format!("snoozed=a:{due_ms}:3 ").as_bytes());

    // Neither a failure nor a bounce changes that; to be replayed does.
    let (claimed, _) = rig.claim_snoozed();
    let retry = Outcome::Retry {
        after: MINUTE,
        entry: entry(),
    };
    assert!(rig.settle(&claimed.id, &claimed.receipt, retry));
    let (claimed, counters) = rig.claim_snoozed();
    assert_eq!((counters.snoozes, counters.failed), (3, 1));
    assert_eq!(counters.snoozed_since_ms, first_ms);
    let reason = DeadReason::SnoozedTooLong;
    let dead = Outcome::Dead {
        reason,
        entry: entry(),
    };
    assert!(rig.settle(&claimed.id, &claimed.receipt, dead));
    let ids = &[JobId::stored("a")];
    assert_eq!(rig.call(&Replay { ids }).replayed, ["a"]);
    let (_, counters) = rig.claim_snoozed();
    assert_eq!((counters.snoozes, counters.snoozed_since_ms), (0, 0));
    rig.check_whole(&ids[0]);
}

on_both!(a_snooze_counts_burns_no_attempt_and_is_remembered_since_the_first);

/// A worker puts off all of the last jobs that were claimed, or has enough of them.
#[derive(Debug)]
struct SnoozeAll {
    worker: u8,
    after_ms: Option<u64>,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    let after_ms = select(&[None, Some(1), Some(50), Some(30_000)][..]);
    (0..WORKERS, after_ms)
        .prop_map(|(worker, after_ms)| Op::Other(Arc::new(SnoozeAll { worker, after_ms })))
}

impl Operation for SnoozeAll {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let how = match self.after_ms {
            Some(after_ms) => How::Snooze { after_ms },
            None => How::Die,
        };
        let all = (0..CLAIMS_IN_REACH as u8).map(|claim| End {
            claim,
            stale: false,
            how,
            keep_ms: None,
            is_requested: false,
        });
        let settle = all.filter_map(|end| world.settlement(&end)).collect();
        world.turn(Turn::settling(self.worker), settle)
    }
}
