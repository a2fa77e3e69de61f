//! Changing jobs that do not run: what is promised of it, and the operation of the random sequences.

use std::sync::Arc;
use std::time::Duration;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{IDS, Op, Operation};
use super::random::world::{World, Wrong, names, same};
use super::{Rig, completed, job, on_both, settlement};
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::outcome::Outcome;
use crate::job::record::{NewPayload, OtherPayload, Record, edited};
use crate::job::state::State;
use crate::queue::info::JobInfo;
use crate::store::edit::{Edit, Edited, Rewrite};
use crate::store::enqueue::{Due, NewJob};
use crate::store::get::Get;

fn of_test(bytes: &[u8]) -> OtherPayload<'_> {
    OtherPayload {
        name: "test",
        bytes,
        version: None,
        is_ticket: false,
    }
}

fn delayed(id: &str, ms: u64) -> NewJob {
    let due = Due::After { ms };
    NewJob { due, ..job(id) }
}

impl Rig {
    pub(super) fn edit(&mut self, id: &str, priority: Option<u16>, due: Option<Due>) -> Edited {
        let id = &JobId::stored(id);
        self.call(&Edit {
            id,
            priority,
            due,
            rewrite: None,
        })
    }

    fn rewrite(&mut self, id: &str, seen: &[u8], payload: &[u8], attempts: u32) -> Edited {
        let (rest, payload) = edited(seen, Some(of_test(payload)), Some(attempts)).unwrap();
        let id = &JobId::stored(id);
        self.call(&Edit {
            id,
            priority: None,
            due: None,
            rewrite: Some(Rewrite {
                seen,
                rest: &rest,
                payload: &payload,
            }),
        })
    }

    fn record(&mut self, id: &str) -> (Vec<u8>, Record) {
        let found = self.call(&Get { id }).unwrap();
        let record = Record::decode(&found.record, found.payload).unwrap();
        (found.record, record)
    }

    fn info(&mut self, id: &str) -> JobInfo {
        let found = self.call(&Get { id }).unwrap();
        JobInfo::decode(&JobId::stored(id), found).unwrap()
    }

    /// The ids in the order in which they are claimed.
    fn all_claimed(&mut self) -> Vec<String> {
        let claimed = self.advance(&[], 10).claimed;
        claimed.iter().map(|job| job.id.to_string()).collect()
    }
}

fn a_job_in_line_gets_another_priority_or_moment_and_keeps_the_rest(mut rig: Rig) {
    rig.enqueue(&[job("a"), job("b"), job("c"), job("d"), delayed("e", 60_000)]);
    assert_eq!(rig.edit("c", Some(10), None), Edited::Done);
    assert_eq!(rig.edit("e", Some(20), None), Edited::Done);
    assert_eq!(
        rig.edit("b", Some(500), Some(Due::Now)),
        Edited::Done,
        "as it is"
    );
    assert_eq!(
        rig.edit("a", None, Some(Due::After { ms: 5_000 })),
        Edited::Done
    );
    assert_eq!(rig.info("c").priority, 10);
    assert_eq!(
        (rig.info("e").priority, rig.info("e").state),
        (20, State::Delayed)
    );
    assert_eq!(rig.info("a").state, State::Delayed);
    assert_eq!(rig.all_claimed(), ["c", "b", "d"]);
    rig.wait(Duration::from_secs(5));
    assert_eq!(rig.all_claimed(), ["a"]);
    assert_eq!(rig.edit("e", None, Some(Due::Now)), Edited::Done);
    rig.enqueue(&[job("f")]);
    assert_eq!(rig.all_claimed(), ["e", "f"], "of priority 20, and of 500");
    for id in ["a", "b", "c", "d", "e"] {
        rig.check_whole(&JobId::stored(id));
    }
}

/// A retry goes to the back of the priority that the job has now.
fn a_priority_stays_through_a_retry(mut rig: Rig) {
    rig.enqueue(&[delayed("a", 1_000), job("b")]);
    rig.edit("a", Some(7), Some(Due::Now));
    let claimed = rig.claim_one().unwrap();
    assert_eq!(claimed.id.as_str(), "a");
    let entry = AttemptEntry::new(AttemptKind::Error, "broken".into());
    let after = Duration::ZERO;
    assert!(rig.settle(
        &claimed.id,
        &claimed.receipt,
        Outcome::Retry { after, entry }
    ));
    assert_eq!(rig.all_claimed(), ["a", "b"]);
}

fn a_payload_is_replaced_wherever_it_lies(mut rig: Rig) {
    rig.enqueue(&[job("a")]);
    let mut seen = rig.record("a").0;
    for payload in [vec![7; 3_000], vec![8; 4_000], vec![9; 5], vec![10; 6]] {
        assert_eq!(rig.rewrite("a", &seen, &payload, 3), Edited::Done);
        let (stored, record) = rig.record("a");
        assert_eq!((record.payload, record.attempts), (payload.clone(), 3));
        assert_eq!(rig.size("payloads"), usize::from(payload.len() > 2_048));
        assert_eq!(
            rig.rewrite("a", &seen, &[1], 9),
            match stored == seen {
                true => Edited::Done,
                false => Edited::Changed,
            }
        );
        seen = rig.record("a").0;
    }
    assert_eq!(rig.all_claimed(), ["a"], "it kept its place");
}

fn what_runs_or_has_ended_is_left_as_it_is(mut rig: Rig) {
    rig.enqueue(&[job("runs"), job("done"), job("dies")]);
    let claimed = rig.advance(&[], 3).claimed;
    let entry = AttemptEntry::new(AttemptKind::Error, "broken".into());
    let reason = crate::job::outcome::DeadReason::Declared;
    let ends = [
        settlement(&claimed[1].id, &claimed[1].receipt, completed()),
        settlement(
            &claimed[2].id,
            &claimed[2].receipt,
            Outcome::Dead { reason, entry },
        ),
    ];
    rig.advance(&ends, 0);
    let before = rig.subject.dump();
    for (id, state) in [("runs", "active"), ("done", "completed"), ("dies", "dead")] {
        let told = Edited::InState(state.to_owned());
        assert_eq!(rig.edit(id, Some(3), Some(Due::After { ms: 5 })), told);
        assert_eq!(rig.edit(id, Some(3), None), told);
        if state != "dead" {
            let seen = rig.record(id).0;
            assert_eq!(rig.rewrite(id, &seen, &[1], 9), told);
        }
    }
    assert_eq!(rig.edit("nobody", Some(3), None), Edited::Missing);
    assert_eq!(rig.subject.dump(), before);
}

/// It stays dead, and keeps its history; when it is replayed, it is what it was changed to.
fn a_dead_job_gets_another_payload(mut rig: Rig) {
    rig.enqueue(&[job("a"), job("b")]);
    let claimed = rig.claim_one().unwrap();
    let entry = AttemptEntry::new(AttemptKind::Error, "broken".into());
    let reason = crate::job::outcome::DeadReason::Declared;
    let outcome = Outcome::Dead { reason, entry };
    assert!(rig.settle(&claimed.id, &claimed.receipt, outcome));
    for payload in [vec![7; 3_000], vec![8; 5]] {
        let seen = rig.record("a").0;
        assert_eq!(rig.rewrite("a", &seen, &payload, 3), Edited::Done);
        assert_eq!(rig.record("a").1.payload, payload);
        assert_eq!(rig.size("payloads"), usize::from(payload.len() > 2_048));
        let info = rig.info("a");
        assert_eq!((info.state, info.history.len()), (State::Dead, 1));
    }
    assert_eq!(rig.all_claimed(), ["b"]);
    let ids = &[JobId::stored("a")];
    let replay = crate::store::replay::Replay { ids };
    assert_eq!(rig.call(&replay).replayed, ["a"]);
    let claimed = rig.claim_one().unwrap();
    assert_eq!(claimed.id.as_str(), "a");
    let record = rig.record("a").1;
    assert_eq!((record.payload, record.attempts), (vec![8; 5], 3));
}

/// An idle worker hears of a job that is due now, or sooner than any other.
fn an_edit_wakes_a_worker(mut rig: Rig) {
    rig.enqueue(&[delayed("a", 60_000), delayed("b", 90_000)]);
    rig.subject.pop_token();
    rig.edit("b", None, Some(Due::After { ms: 30_000 }));
    assert_eq!(
        rig.subject.pop_token(),
        Some((rig.now_us / 1_000 + 30_000) as f64)
    );
    rig.edit("a", None, Some(Due::Now));
    assert_eq!(rig.subject.pop_token(), Some(0.0));
    rig.edit("b", None, Some(Due::After { ms: 50_000 }));
    assert_eq!(rig.all_claimed(), ["a"]);
    assert_eq!(
        rig.advance(&[], 1).next_at_ms,
        Some(rig.now_us / 1_000 + 50_000)
    );
}

on_both!(
    a_job_in_line_gets_another_priority_or_moment_and_keeps_the_rest,
    a_priority_stays_through_a_retry,
    a_payload_is_replaced_wherever_it_lies,
    what_runs_or_has_ended_is_left_as_it_is,
    a_dead_job_gets_another_payload,
    an_edit_wakes_a_worker,
);

/// An operator changes one job.
#[derive(Debug)]
struct EditOne {
    id: u8,
    priority: Option<u16>,
    due: Option<Due>,
    /// Bytes of a new payload.
    bytes: Option<usize>,
    /// Somebody else was faster.
    stale: bool,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    let priority = option::of(select(&[0, 7, 499, 500, 1_023][..]));
    let due = select(
        &[
            None,
            Some(Due::Now),
            Some(Due::After { ms: 50 }),
            Some(Due::After { ms: 30_000 }),
            Some(Due::At { ms: 5 }),
        ][..],
    );
    let bytes = option::of(select(&[1, 2, 3_000][..]));
    (0..IDS, priority, due, bytes, prop::bool::weighted(0.2)).prop_map(
        |(id, priority, due, bytes, stale)| {
            Op::Other(Arc::new(EditOne {
                id,
                priority,
                due,
                bytes,
                stale,
            }))
        },
    )
}

impl Operation for EditOne {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let id = &names(&[self.id])[0];
        let found = world.memory.call(&Get { id: id.as_str() });
        let seen = found.map(|found| found.record).unwrap_or_default();
        let payload = vec![1; self.bytes.unwrap_or(0)];
        let change = edited(&seen, Some(of_test(&payload)), None).ok();
        // A job of another type gets no payload of this one.
        let bytes = self.bytes.filter(|_| seen.is_empty() || change.is_some());
        let (rest, payload) = change.unwrap_or((Vec::new(), NewPayload::Unchanged));
        let seen = if self.stale { vec![2] } else { seen };
        let rewrite = bytes.map(|_| Rewrite {
            seen: &seen,
            rest: &rest,
            payload: &payload,
        });
        let verb = Edit {
            id,
            priority: self.priority,
            due: self.due,
            rewrite,
        };
        let before = world.redis.dump();
        let told = world.redis.call(&verb)?;
        same("edit", &told, &world.memory.call(&verb))?;
        let after = world.redis.dump();
        match told {
            Edited::Done => Ok(()),
            _ if before == after => Ok(()),
            told => Err(format!("{told:?}, and something was written")),
        }
    }
}
