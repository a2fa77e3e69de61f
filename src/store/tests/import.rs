//! Importing dead jobs: what is promised of it, and the operation of the random sequences.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{IDS, Op, Operation};
use super::random::world::{World, Wrong, names};
use super::subject::START_US;
use super::{Rig, completed, job, on_both};
use crate::codec;
use crate::id::JobId;
use crate::job::history::Counters;
use crate::job::options::JobOptions;
use crate::job::outcome::{DeadReason, Ending};
use crate::job::record::EncodedRecord;
use crate::job::state::State;
use crate::policy::flow::{ChildOf, OnDeath, StepChildren};
use crate::policy::steps::StoredStep;
use crate::queue::info::{Ended, JobInfo};
use crate::store::children::Children;
use crate::store::get::Get;
use crate::store::import::{Beside, Import, ImportJob};
use crate::store::remove::Remove;
use crate::store::replay::Replay;
use crate::store::signal::{Signal, Signalled};
use crate::store::steps::Steps;

const ATTEMPT: &[u8] = b"\xcf\0\0\0\0\0\0\0\x05\xcf\0\0\0\0\0\0\0\x09\x81\xa4kind\xa7stalled";

pub(super) fn exported(id: &JobId, died_ms: u64, options: &JobOptions, bytes: usize) -> ImportJob {
    let reason = DeadReason::Declared;
    ImportJob {
        id: id.clone(),
        record: EncodedRecord::new("test", vec![0xc0; bytes], options, Vec::new()),
        priority: options.priority.unwrap_or(500),
        enqueued_ms: 77,
        died_ms,
        reason: reason.to_string(),
        ending: codec::encode_plain(&Ending::Dead(reason)),
        stalls: 0,
        // Four failed, and two of these are kept.
        counters: Some(b"\x94\x04\x00\x00\x04".to_vec()),
        recorded: 4,
        history: vec![ATTEMPT.to_vec(), ATTEMPT.to_vec()],
        beside: Beside::default(),
    }
}

fn what_is_imported_is_dead_as_it_was(mut rig: Rig) {
    rig.enqueue(&[job("there")]);
    let now_ms = rig.now_us / 1_000;
    let options = JobOptions::new().priority(7).attempts(3).group("g");
    let large = exported(&JobId::stored("large"), now_ms - 5, &options, 3_000);
    let plain = ImportJob {
        counters: None,
        recorded: 0,
        history: Vec::new(),
        stalls: 2,
        ..exported(
            &JobId::stored("plain"),
            now_ms + 60_000,
            &JobOptions::new(),
            1,
        )
    };
    let there = exported(&JobId::stored("there"), now_ms, &options, 1);
    let jobs = &[large.clone(), there, plain.clone(), plain];
    let answer = rig.call(&Import { jobs });
    assert_eq!(answer.imported, ["large", "plain"]);
    assert_eq!(answer.there, ["there", "plain"]);
    assert_eq!((rig.total("added"), rig.total("dead")), (3, 2));
    let mut info = |id: &str| {
        let found = rig.call(&Get { id }).unwrap();
        JobInfo::decode(&JobId::stored(id), found).unwrap()
    };
    let found = info("large");
    assert_eq!((found.state, found.priority), (State::Dead, 7));
    assert_eq!((found.attempts, found.failed), (3, 4));
    assert_eq!(
        (found.history.len(), found.group.as_deref()),
        (2, Some("g"))
    );
    assert_eq!(found.enqueued_at.as_millis(), 77);
    assert_eq!(found.ended_at.unwrap().as_millis(), now_ms - 5);
    assert_eq!(found.ended, Some(Ended::Dead(DeadReason::Declared)));
    let plain = info("plain");
    assert_eq!((plain.stalls, plain.history.len()), (2, 0));
    assert_eq!(plain.ended_at.unwrap().as_millis(), now_ms, "not later");
    assert_eq!(info("there").state, State::Waiting);

    let before = rig.subject.dump();
    assert!(rig.call(&Import { jobs }).imported.is_empty(), "again");
    assert_eq!(rig.subject.dump(), before);
    let ids = &["large", "plain"].map(JobId::stored);
    assert_eq!(rig.call(&Replay { ids }).replayed, ["large", "plain"]);
    rig.traits = true;
    let claimed = rig.advance(&[], 10).claimed;
    let claimed: Vec<&str> = claimed.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(claimed, ["large", "there", "plain"]);
    for id in ["large", "there", "plain"] {
        rig.check_whole(&JobId::stored(id));
    }
}

/// For so many children the job waits before it first runs.
const OWN: u32 = 3;

/// Three steps, a checkpoint, a saga, and children: one that completed, one that is open, one in another queue, and one for which a step
/// waits.
fn beside(open: &str) -> Beside {
    let fields = [
        ("child0", "ended ~ gone child 7 x".to_owned()),
        ("child1", format!("open ~ {open} child 0 ")),
        ("child2", "open elsewhere there child 0 ".to_owned()),
        ("child3", format!("dead ~ {open} child 6 ")),
        ("children", "4 2".to_owned()),
        ("cursor", "far".to_owned()),
        ("step1", "done 5 0 charge x".to_owned()),
        ("step2", "children 5 0 parts 3 1 1 3".to_owned()),
        ("step3", "wait 5 0 answer ".to_owned()),
        ("undo", "owed".to_owned()),
        ("waits", "- 3:answer".to_owned()),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.into_bytes()));
    Beside {
        fields: fields.to_vec(),
        last: Some(3),
        children: 4,
    }
}

fn with_beside(id: &str, died_ms: u64, beside: Beside) -> ImportJob {
    let options = JobOptions {
        children: OWN,
        ..JobOptions::new()
    };
    let job = exported(&JobId::stored(id), died_ms, &options, 1);
    let counters = Counters::with_beside(job.counters.clone(), beside.last, beside.children);
    ImportJob {
        counters: Some(counters),
        beside,
        ..job
    }
}

fn steps_and_children_come_with_their_job(mut rig: Rig) {
    let now_ms = rig.now_us / 1_000;
    let jobs = &[with_beside("p", now_ms, beside("missing"))];
    assert_eq!(rig.call(&Import { jobs }).imported, ["p"]);
    let (id, bytes) = ("p", 1 << 20);
    let page = rig.call(&Steps {
        id,
        from: 1,
        bytes,
        cut: None,
    });
    let numbers: Vec<u32> = page.steps.iter().map(|(number, ..)| *number).collect();
    assert_eq!((page.last, numbers), (3, vec![1, 2, 3]));
    let waited = StoredStep::decode(&page.steps[1].1).unwrap().value;
    let waited = StepChildren::decode(&waited).unwrap();
    assert_eq!((waited.open, waited.failed), (0, vec![]));
    assert_eq!(page.cursor.as_deref(), Some(&b"far"[..]));
    assert_eq!(page.undo.as_deref(), Some(&b"owed"[..]));
    let max_bytes = bytes;
    let known = rig.call(&Children {
        id,
        from: 0,
        max_bytes,
    });
    // Of those that are not here nobody will hear.
    assert_eq!((known.total, known.open), (4, 0));
    for (number, who) in [(1, "~ missing"), (2, "elsewhere there"), (3, "~ missing")] {
        let removed = format!("removed {who} child {now_ms} ");
        let known = &known.children[number];
        assert_eq!(*known, (number as u64, removed.into_bytes()));
    }
    let p = &JobId::stored("p");
    rig.call(&Replay {
        ids: std::slice::from_ref(p),
    });
    rig.traits = true;
    assert_eq!(rig.job_state("p"), Some(State::Waiting));
    let signal = Signal {
        id: p,
        name: "answer",
        value: b"yes",
    };
    assert_eq!(rig.call(&signal), Signalled::Yes);
    rig.call(&Remove::of(std::slice::from_ref(p)));
    assert_eq!(rig.size("attempts"), 0);
    rig.check_whole(p);
}

/// A child that comes with its parent, or is there, is waited for.
fn a_parent_waits_for_the_children_that_are_there(mut rig: Rig) {
    let now_ms = rig.now_us / 1_000;
    let child_of = ChildOf {
        route: None,
        queue: None,
        parent: JobId::stored("p"),
        number: 1,
        on_death: OnDeath::Hold,
        of_step: None,
    };
    let options = JobOptions {
        child_of: Some(child_of),
        ..JobOptions::new()
    };
    let child = exported(&JobId::stored("c"), now_ms, &options, 1);
    let jobs = &[with_beside("p", now_ms, beside("c")), child];
    rig.call(&Import { jobs });
    let (p, c) = (JobId::stored("p"), JobId::stored("c"));
    rig.call(&Replay {
        ids: std::slice::from_ref(&p),
    });
    assert_eq!(rig.job_state("p"), Some(State::Blocked));
    rig.call(&Replay { ids: &[c] });
    rig.traits = true;
    let child = rig.claim_one().unwrap();
    assert_eq!(child.id.as_str(), "c");
    rig.ends(&child, completed());
    assert_eq!(rig.claim_one().unwrap().id, p);
}

on_both!(
    what_is_imported_is_dead_as_it_was,
    steps_and_children_come_with_their_job,
    a_parent_waits_for_the_children_that_are_there,
);

/// An operator imports some of these.
#[derive(Debug)]
struct ImportSome {
    ids: Vec<u8>,
    priority: u16,
    bytes: usize,
    ago_ms: u64,
    stalls: u32,
    /// With steps and children, of which this one is open.
    open: Option<u8>,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    let priority = select(&[0, 500, 1_023][..]);
    let bytes = select(&[1, 3_000][..]);
    let open = option::weighted(0.3, 0..IDS);
    (vec(0..IDS, 1..4), priority, bytes, 0..3u64, 0..2u32, open).prop_map(
        |(ids, priority, bytes, ago_ms, stalls, open)| {
            Op::Other(Arc::new(ImportSome {
                ids,
                priority,
                bytes,
                ago_ms,
                stalls,
                open,
            }))
        },
    )
}

impl Operation for ImportSome {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let options = JobOptions {
            children: self.open.map_or(0, |_| OWN),
            ..JobOptions::new().priority(self.priority)
        };
        let died_ms = START_US / 1_000 + self.ago_ms * 7_000;
        let jobs: Vec<ImportJob> = names(&self.ids)
            .iter()
            .map(|id| {
                let job = ImportJob {
                    stalls: self.stalls,
                    ..exported(id, died_ms, &options, self.bytes)
                };
                let Some(open) = self.open else {
                    return job;
                };
                let with = with_beside(id.as_str(), died_ms, beside(names(&[open])[0].as_str()));
                ImportJob {
                    counters: with.counters,
                    beside: with.beside,
                    ..job
                }
            })
            .collect();
        world.both(&Import { jobs: &jobs })
    }
}
