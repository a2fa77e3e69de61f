//! Taking jobs in that waited in another queue: what is promised of it, and the operation of the random sequences.

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::import::exported;
use super::random::op::{IDS, Op, Operation};
use super::random::world::{World, Wrong, names};
use super::subject::START_US;
use super::{Rig, job, on_both, with};
use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::job::record::EncodedRecord;
use crate::job::state::State;
use crate::policy::order::Order;
use crate::policy::unique::{OnDuplicate, Unique};
use crate::queue::info::JobInfo;
use crate::store::adopt::{Adopt, AdoptJob};
use crate::store::get::Get;

const START_MS: u64 = START_US / 1_000;

pub(super) fn waiting(id: &JobId, options: &JobOptions, bytes: usize) -> AdoptJob {
    let dead = exported(id, 0, options, bytes);
    AdoptJob {
        id: id.clone(),
        record: dead.record,
        priority: dead.priority,
        enqueued_ms: START_MS - 5_000,
        at_ms: None,
        counters: dead.counters,
        recorded: dead.recorded,
        history: dead.history,
    }
}

/// Nothing went wrong with it so far.
fn fresh(id: &str, options: &JobOptions) -> AdoptJob {
    AdoptJob {
        counters: None,
        recorded: 0,
        history: Vec::new(),
        ..waiting(&JobId::stored(id), options, 1)
    }
}

impl Rig {
    fn adopt(&mut self, jobs: &[AdoptJob]) -> [Vec<String>; 3] {
        let answer = self.call(&Adopt { jobs });
        [answer.adopted, answer.there, answer.duplicates]
    }

    fn known(&mut self, id: &str) -> JobInfo {
        let found = self.call(&Get { id }).unwrap();
        JobInfo::decode(&JobId::stored(id), found).unwrap()
    }

    fn claimed_ids(&mut self) -> Vec<String> {
        let claimed = self.advance(&[], 10).claimed.into_iter();
        claimed.map(|job| job.id.to_string()).collect()
    }
}

fn a_job_is_taken_in_as_it_was(mut rig: Rig) {
    rig.traits = true;
    rig.enqueue(&[job("there")]);
    let options = JobOptions::new().priority(7).attempts(9).group("g");
    let large = waiting(&JobId::stored("large"), &options, 3_000);
    let mut late = waiting(&JobId::stored("late"), &JobOptions::new(), 1);
    late.at_ms = Some(START_MS + 60_000);
    let plain = fresh("plain", &JobOptions::new());
    let there = fresh("there", &JobOptions::new());
    let jobs = [large, late, there, plain.clone(), plain];
    let told = rig.adopt(&jobs);
    assert_eq!(told[0], ["large", "late", "plain"]);
    assert_eq!(told[1], ["there", "plain"]);
    assert_eq!(rig.total("added"), 4);
    let large = rig.known("large");
    assert_eq!((large.state, large.priority), (State::Waiting, 7));
    assert_eq!((large.attempts, large.failed), (9, 4));
    assert_eq!(
        (large.history.len(), large.group.as_deref()),
        (2, Some("g"))
    );
    assert_eq!(large.enqueued_at.as_millis(), START_MS - 5_000);
    let late = rig.known("late");
    assert_eq!((late.state, late.failed), (State::Delayed, 4));
    assert_eq!(late.due_at.unwrap().as_millis(), START_MS + 60_000);
    let before = rig.subject.dump();
    assert!(rig.adopt(&jobs)[0].is_empty(), "again");
    assert_eq!(rig.subject.dump(), before);
    assert_eq!(rig.claimed_ids(), ["large", "there", "plain"]);
    rig.wait(Duration::from_secs(61));
    assert_eq!(rig.claimed_ids(), ["late"]);
    for id in ["large", "late", "there", "plain"] {
        rig.check_whole(&JobId::stored(id));
    }
}

/// Whatever it would do if it were enqueued.
fn a_job_whose_key_is_taken_is_not_taken_in(mut rig: Rig) {
    rig.traits = true;
    let by = |key: &str| JobOptions::new().unique(Unique::by(key));
    rig.enqueue(&[with("has", &by("k"))]);
    let replaces = Unique::by("k").on_duplicate(OnDuplicate::Replace);
    let jobs = [
        fresh("a", &by("k")),
        fresh("b", &JobOptions::new().unique(replaces)),
        fresh("c", &by("free")),
        fresh("d", &by("free")),
    ];
    let before = rig.known("has").enqueued_at;
    let told = rig.adopt(&jobs);
    assert_eq!(told, [vec!["c"], vec![], vec!["a", "b", "d"]]);
    assert_eq!(rig.known("has").enqueued_at, before);
    assert_eq!(rig.enqueue(&[with("e", &by("free"))]), [0]);
}

fn jobs_of_one_order_are_taken_in_in_their_order(mut rig: Rig) {
    rig.traits = true;
    let ordered = JobOptions::new().ordered_by(Order::by("k"));
    let mut first = fresh("a", &ordered);
    first.at_ms = Some(START_MS + 1_000);
    rig.adopt(&[first, fresh("b", &ordered)]);
    assert_eq!(rig.state(&JobId::stored("b")), Some(State::Blocked));
    assert!(rig.claimed_ids().is_empty());
    rig.wait(Duration::from_secs(2));
    assert_eq!(rig.claimed_ids(), ["a"]);
}

/// From the moment at which it was enqueued, which was elsewhere; and not if it has begun.
fn a_job_expires_when_it_would_have(mut rig: Rig) {
    rig.traits = true;
    let expiring = JobOptions::new().expires_in(Duration::from_secs(8));
    let begun = waiting(&JobId::stored("begun"), &expiring, 1);
    rig.adopt(&[fresh("a", &expiring), begun]);
    assert_eq!(rig.size("expires"), 1);
    rig.wait(Duration::from_secs(4));
    assert_eq!(rig.claimed_ids(), ["begun"]);
    assert_eq!(rig.state(&JobId::stored("a")), Some(State::Cancelled));
}

on_both!(
    a_job_is_taken_in_as_it_was,
    a_job_whose_key_is_taken_is_not_taken_in,
    jobs_of_one_order_are_taken_in_in_their_order,
    a_job_expires_when_it_would_have,
);

/// Some of these come from another queue.
#[derive(Debug)]
struct AdoptSome {
    ids: Vec<u8>,
    options: JobOptions,
    bytes: usize,
    at_ms: Option<u64>,
    has_failed: bool,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    let key = option::weighted(0.4, select(&["x", "y"][..]));
    let options = (select(&[0, 500, 1_023][..]), key, 0..5u8).prop_map(|(priority, key, what)| {
        let mut options = JobOptions::new().priority(priority);
        if let Some(key) = key {
            options = options.unique(Unique::by(key));
        }
        match what {
            0 => options.group("a"),
            1 => options.ordered_by(Order::by("a")),
            2 => options.expires_in(Duration::from_secs(30)),
            _ => options,
        }
    });
    let at_ms = option::weighted(0.4, select(&[1, 900, 61_000][..]));
    let what = (select(&[1, 3_000][..]), at_ms, any::<bool>());
    (vec(0..IDS, 1..4), options, what).prop_map(|(ids, options, (bytes, at_ms, has_failed))| {
        Op::Other(Arc::new(AdoptSome {
            ids,
            options,
            bytes,
            at_ms,
            has_failed,
        }))
    })
}

impl Operation for AdoptSome {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let job = |id: &JobId| {
            let mut job = waiting(id, &self.options, self.bytes);
            job.at_ms = self.at_ms.map(|ms| START_MS + ms);
            if !self.has_failed {
                (job.counters, job.recorded, job.history) = (None, 0, Vec::new());
            }
            job
        };
        let jobs: Vec<AdoptJob> = names(&self.ids).iter().map(job).collect();
        world.both(&Adopt { jobs: &jobs })
    }
}

/// What is sent of a job says all that a record says.
#[test]
fn a_record_that_was_kept_is_sent_as_it_is() {
    let options = JobOptions::new().priority(3).group("g");
    let record = EncodedRecord::new("test", vec![1], &options, Vec::new());
    let kept = EncodedRecord::kept(record.record.clone(), None);
    assert_eq!(kept, record);
}
