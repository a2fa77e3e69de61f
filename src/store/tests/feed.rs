//! Queues that are fed from a log: what is promised of that, and the operation of the random sequences.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{IDS, Op, Operation};
use super::random::world::{World, Wrong, names};
use super::{Rig, completed, job, on_both, with};
use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::job::record::EncodedRecord;
use crate::policy::unique::Unique;
use crate::store::enqueue::NewJob;
use crate::store::feed::{Fed, Feed};

const SOURCES: usize = 3;

impl Rig {
    pub(super) fn feed(&mut self, source: &str, token: &str, entries: &[(u64, &str)]) -> Fed {
        let jobs: Vec<NewJob> = entries.iter().map(|(_, id)| job(id)).collect();
        self.feed_jobs(
            source,
            token,
            &entries.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
            &jobs,
        )
    }

    fn feed_after(&mut self, after: u64, token: &str, entries: &[(u64, &str)]) -> Fed {
        let jobs: Vec<NewJob> = entries.iter().map(|(_, id)| job(id)).collect();
        self.call(&Feed {
            source: "log",
            positions: &entries.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
            after: Some(after),
            upto: None,
            token,
            most: SOURCES,
            jobs: &jobs.iter().collect::<Vec<_>>(),
        })
    }

    fn feed_jobs(&mut self, source: &str, token: &str, positions: &[u64], jobs: &[NewJob]) -> Fed {
        self.call(&Feed {
            source,
            positions,
            after: None,
            upto: None,
            token,
            most: SOURCES,
            jobs: &jobs.iter().collect::<Vec<_>>(),
        })
    }

    fn waiting_ids(&mut self) -> Vec<String> {
        let names = self.subject.dump().names("waiting");
        names.into_iter().collect()
    }
}

fn done(before: Option<u64>, now: Option<u64>) -> Fed {
    let is_first = false;
    Fed::Done {
        before,
        now,
        is_first,
    }
}

fn g3_an_entry_makes_one_job(mut rig: Rig) {
    rig.keep_nothing();
    assert_eq!(rig.feed("log", "t0", &[]), done(None, None));
    let first = Fed::Done {
        before: None,
        now: Some(5),
        is_first: true,
    };
    assert_eq!(rig.feed("log", "t1", &[(0, "a"), (5, "b")]), first);
    // The answer was lost.
    assert_eq!(
        rig.feed("log", "t1", &[(0, "a"), (5, "b")]),
        done(None, Some(5))
    );
    let claimed = rig.advance(&[], 5).claimed;
    assert_eq!(claimed.len(), 2);
    for job in &claimed {
        assert!(rig.settle(&job.id, &job.receipt, completed()));
    }
    assert_eq!(rig.size("jobs"), 0);
    let before = rig.subject.dump();
    // Another process feeds the same entries, and is told how far the queue is.
    assert_eq!(
        rig.feed("log", "t2", &[(0, "a"), (5, "b")]),
        done(Some(5), Some(5))
    );
    assert_eq!(rig.subject.dump(), before);
    assert_eq!(
        rig.feed("log", "t3", &[(5, "b"), (6, "c"), (9, "d")]),
        done(Some(5), Some(9))
    );
    assert_eq!(rig.waiting_ids(), ["c", "d"]);
    // It was moved since: what is repeated adds nothing.
    assert_eq!(
        rig.feed("log", "t1", &[(0, "a"), (5, "b")]),
        done(Some(9), Some(9))
    );
    assert_eq!(rig.feed("other", "t4", &[(3, "e")]), done(None, Some(3)));
    assert_eq!(rig.feed("log", "t5", &[]), done(Some(9), Some(9)));
}

/// What a job brings goes with it, also if some before it are left out.
fn jobs_are_added_as_they_are(mut rig: Rig) {
    rig.traits = true;
    rig.feed("log", "t1", &[(2, "old")]);
    let large = |id: &str, byte| {
        let mut job = job(id);
        job.record.external_payload = Some(vec![byte; 5_000]);
        job.await_ms = Some(60_000);
        job
    };
    let by = JobOptions::new().unique(Unique::by("k"));
    let jobs = [
        large("old", 1),
        job("x"),
        large("large", 2),
        with("keyed", &by),
    ];
    let fed = rig.feed_jobs("log", "t2", &[2, 3, 4, 5], &jobs);
    assert_eq!(fed, done(Some(2), Some(5)));
    let claimed = rig.advance(&[], 9).claimed;
    let payload = |id: &str| {
        let claimed = claimed.iter().find(|claimed| claimed.id.as_str() == id);
        claimed.unwrap().payload.clone()
    };
    assert_eq!(claimed.len(), 4);
    assert_eq!((payload("old"), payload("x")), (None, None));
    assert_eq!(payload("large"), Some(vec![2; 5_000]));
    assert_eq!(rig.size("unique"), 1);
    // The position moves also if the job is there, or its key is taken.
    let jobs = [with("other", &by), job("large")];
    assert_eq!(
        rig.feed_jobs("log", "t3", &[6, 7], &jobs),
        done(Some(5), Some(7))
    );
    assert_eq!(rig.state(&JobId::stored("other")), None);
}

/// A queue that has lost what it took is not fed with what follows, as if nothing were missing.
fn g3_a_feed_hides_no_loss(mut rig: Rig) {
    assert_eq!(rig.feed_after(4, "t0", &[(5, "a")]), Fed::Behind);
    rig.feed("log", "t1", &[(4, "a")]);
    assert_eq!(rig.feed_after(4, "t2", &[(5, "b")]), done(Some(4), Some(5)));
    let before = rig.subject.dump();
    assert_eq!(rig.feed_after(6, "t3", &[(7, "c")]), Fed::Behind);
    assert_eq!(rig.subject.dump(), before);
    // The answer was lost; and a relay that is late.
    let repeated = rig.feed_after(4, "t2", &[(5, "b")]);
    assert_eq!(repeated, done(Some(4), Some(5)));
    let late = rig.feed_after(3, "t4", &[(4, "a"), (6, "c")]);
    assert_eq!(late, done(Some(5), Some(6)));
    assert_eq!(rig.waiting_ids(), ["a", "b", "c"]);
}

fn sources_are_so_many_at_most(mut rig: Rig) {
    for source in ["a", "b", "c"] {
        assert_ne!(rig.feed(source, "t", &[(1, source)]), Fed::Full);
    }
    let before = rig.subject.dump();
    assert_eq!(rig.feed("d", "t", &[(1, "d")]), Fed::Full);
    assert_eq!(rig.subject.dump(), before);
    assert_eq!(rig.feed("c", "u", &[(2, "e")]), done(Some(1), Some(2)));
}

on_both!(
    g3_an_entry_makes_one_job,
    g3_a_feed_hides_no_loss,
    jobs_are_added_as_they_are,
    sources_are_so_many_at_most,
);

/// Some entries of a log.
#[derive(Debug)]
struct FeedSome {
    source: &'static str,
    ids: Vec<u8>,
    from: u64,
    step: u64,
    after: Option<u64>,
    upto: Option<u64>,
    token: u8,
    bytes: usize,
    key: Option<&'static str>,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    let what = (
        select(&["a", "b"][..]),
        vec(0..IDS, 0..5),
        0..12u64,
        1..3u64,
        option::weighted(0.3, 0..20u64),
        option::weighted(0.2, 20..40u64),
    );
    let key = option::weighted(0.2, select(&["x", "y"][..]));
    let how = (0..6u8, select(&[1, 3_000][..]), key);
    (what, how).prop_map(
        |((source, ids, from, step, after, upto), (token, bytes, key))| {
            Op::Other(Arc::new(FeedSome {
                source,
                ids,
                from,
                step,
                after,
                upto,
                token,
                bytes,
                key,
            }))
        },
    )
}

impl Operation for FeedSome {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let options = self.key.map_or_else(JobOptions::new, |key| {
            JobOptions::new().unique(Unique::by(key))
        });
        let new = |(at, id): (usize, JobId)| {
            // Each second one is large.
            let payload = vec![0xc0; if at % 2 == 0 { self.bytes } else { 1 }];
            let record = EncodedRecord::new("test", payload, &options, Vec::new());
            NewJob {
                record,
                ..job(id.as_str())
            }
        };
        let jobs: Vec<NewJob> = names(&self.ids).into_iter().enumerate().map(new).collect();
        let positions = (0..jobs.len() as u64).map(|at| self.from + at * self.step);
        world.both(&Feed {
            source: self.source,
            positions: &positions.collect::<Vec<_>>(),
            after: self.after,
            upto: self.upto,
            token: &format!("t{}", self.token),
            most: SOURCES,
            jobs: &jobs.iter().collect::<Vec<_>>(),
        })
    }
}
