//! Importing dead jobs: what is promised of it, and the operation of the random sequences.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{IDS, Op, Operation};
use super::random::world::{World, Wrong, names};
use super::subject::START_US;
use super::{Rig, job, on_both};
use crate::codec;
use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::job::outcome::{DeadReason, Ending};
use crate::job::record::EncodedRecord;
use crate::job::state::State;
use crate::queue::info::{Ended, JobInfo};
use crate::store::get::Get;
use crate::store::import::{Import, ImportJob};
use crate::store::replay::Replay;

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

on_both!(what_is_imported_is_dead_as_it_was);

/// An operator imports some of these.
#[derive(Debug)]
struct ImportSome {
    ids: Vec<u8>,
    priority: u16,
    bytes: usize,
    ago_ms: u64,
    stalls: u32,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    let priority = select(&[0, 500, 1_023][..]);
    let bytes = select(&[1, 3_000][..]);
    (vec(0..IDS, 1..4), priority, bytes, 0..3u64, 0..2u32).prop_map(
        |(ids, priority, bytes, ago_ms, stalls)| {
            Op::Other(Arc::new(ImportSome {
                ids,
                priority,
                bytes,
                ago_ms,
                stalls,
            }))
        },
    )
}

impl Operation for ImportSome {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let options = JobOptions::new().priority(self.priority);
        let died_ms = START_US / 1_000 + self.ago_ms * 7_000;
        let jobs: Vec<ImportJob> = names(&self.ids)
            .iter()
            .map(|id| ImportJob {
                stalls: self.stalls,
                ..exported(id, died_ms, &options, self.bytes)
            })
            .collect();
        world.both(&Import { jobs: &jobs })
    }
}
