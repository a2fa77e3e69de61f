//! Another program has put another type under a key that only jobs with traits use: a verb that moves such jobs says so before it
//! writes anything.

use std::collections::BTreeMap;

use redis::{Value, cmd};

use super::garbage::{content, raw};
use super::*;
use crate::job::traits::EndTraits;
use crate::store::cancel::Cancel;
use crate::store::orphans::{How, Orphans};
use crate::store::pause_name::PauseName;
use crate::store::tests::register::Tried;
use crate::store::tests::subject::START_US;

const OF_TRAITS: [&str; 8] = [
    "gates",
    "unique",
    "blocked",
    "blocked_by",
    "running",
    "expires",
    "remembered",
    "attempts",
];
const HOUR: Duration = Duration::from_secs(3_600);

fn with_traits(id: &str) -> NewJob {
    let options = JobOptions::new()
        .group("g")
        .unique(id)
        .expires_in(100 * HOUR);
    let record = EncodedRecord::new("test", vec![0xc0], &options, Vec::new());
    NewJob { record, ..job(id) }
}

/// Jobs with traits: one runs, one waits, one is dead, one is delayed.
fn queue_of_them() -> InRedis {
    let mut redis = InRedis::start(None);
    redis.set_clock(START_US);
    let add = |redis: &mut InRedis, call, new: NewJob| {
        let (lane, novelty) = ("producer", Novelty::Unsure);
        let jobs = &[&new];
        redis
            .call(&Enqueue {
                lane,
                call,
                jobs,
                novelty,
            })
            .unwrap();
    };
    let turn = |redis: &mut InRedis, call, settle: &[Settlement], claim| {
        let verb = Advance {
            traits: true,
            ..advance("worker", call, settle, claim)
        };
        match redis.call(&verb).unwrap() {
            Answer::Advanced(advanced) => advanced.claimed,
            other => panic!("{other:?}"),
        }
    };
    add(&mut redis, 1, with_traits("dead"));
    let dies = turn(&mut redis, 1, &[], 1).remove(0);
    let entry = AttemptEntry::new(AttemptKind::Error, "broken".into());
    let reason = DeadReason::Declared;
    let mut ended = settlement(&dies.id, &dies.receipt, Outcome::Dead { reason, entry });
    ended.traits = EndTraits::of(&dies.record);
    turn(&mut redis, 2, &[ended], 0);
    add(&mut redis, 2, with_traits("held"));
    assert_eq!(turn(&mut redis, 3, &[], 1).len(), 1);
    let mut delayed = with_traits("delayed");
    delayed.due = Due::After { ms: 60_000 };
    add(&mut redis, 3, delayed);
    add(&mut redis, 4, with_traits("waiting"));
    redis.set_clock(START_US + 7_200_000_000);
    redis
}

type Call = (&'static str, fn(&mut InRedis) -> Tried);

fn calls() -> Vec<Call> {
    fn tried<T: Debug>(answer: Result<T, String>) -> Tried {
        answer.map(|answer| format!("{answer:?}"))
    }
    fn orphans(redis: &mut InRedis, how: How) -> Tried {
        tried(redis.call(&Orphans {
            cursor: Orphans::FIRST,
            limit: 64,
            how,
            lease_ms: 5,
        }))
    }
    vec![
        ("recover", |redis| {
            tried(redis.call(&Recover {
                expected_ms: START_US / 1_000 + 7_200_000,
                tolerance_ms: 1,
                limit: 5,
                lease_ms: 60_000,
                gap_ms: WHOLE_MAX,
                quiet_ms: 0,
                doubt: Doubt::None,
            }))
        }),
        ("remove", |redis| {
            tried(redis.call(&Remove::of(&["waiting", "dead"].map(JobId::stored))))
        }),
        ("cancel", |redis| {
            tried(redis.call(&Cancel {
                ids: &["waiting", "held"].map(JobId::stored),
                reason: "moot",
            }))
        }),
        ("replay", |redis| {
            let ids = &[JobId::stored("dead")];
            tried(redis.call(&Replay { ids }))
        }),
        ("promote", |redis| {
            tried(redis.call(&Promote {
                limit: 5,
                worker: "w",
                hold: true,
            }))
        }),
        ("trim", |redis| {
            tried(redis.call(&Trim {
                limit: 5,
                lane_ttl_ms: 1,
                lanes_cursor: "0",
            }))
        }),
        ("put orphans back", |redis| orphans(redis, How::PutBack)),
        ("remove orphans", |redis| orphans(redis, How::Remove)),
    ]
}

#[test]
fn g9_a_key_of_another_type_is_told_before_anything_is_written() {
    let mut redis = queue_of_them();
    let keys = raw(&mut redis);
    for (verb, call) in calls() {
        for part in OF_TRAITS {
            is_told_before_it_writes(&mut redis, &keys, part, verb, call);
        }
        put_back(&mut redis, &keys);
        assert!(call(&mut redis).is_ok(), "{verb}");
    }
}

fn put_back(redis: &mut InRedis, keys: &BTreeMap<String, Vec<u8>>) {
    redis.clear();
    redis.set_clock(START_US + 7_200_000_000);
    for (name, bytes) in keys {
        let _: String = redis.ask(cmd("RESTORE").arg(name).arg(0).arg(&bytes[..]));
    }
}

fn is_told_before_it_writes(
    redis: &mut InRedis,
    keys: &BTreeMap<String, Vec<u8>>,
    part: &str,
    verb: &str,
    call: impl Fn(&mut InRedis) -> Tried,
) {
    put_back(redis, keys);
    let key = redis.key(part);
    let _: Value = redis.ask(cmd("SET").arg(key).arg("garbage"));
    let before = content(redis);
    let told = call(redis).expect_err(&format!("{verb}, {part}"));
    assert!(told.contains("WRONGTYPE"), "{verb}, {part}: {told}");
    assert!(content(redis) == before, "{verb}, {part}: half done");
}

/// A claim that meets jobs of a paused name moves them to further keys.
#[test]
fn g9_a_claim_that_sets_jobs_aside_tells_of_another_type_before_it_writes() {
    let mut redis = queue_of_them();
    let plain = EncodedRecord::new("mail", vec![0xc0], &JobOptions::new(), Vec::new());
    let plain = NewJob {
        record: plain,
        ..job("mail")
    };
    let enqueue = Enqueue {
        lane: "producer",
        call: 5,
        jobs: &[&plain],
        novelty: Novelty::Unsure,
    };
    redis.call(&enqueue).unwrap();
    let (name, pause, most) = ("mail", true, 1);
    redis.call(&PauseName { name, pause, most }).unwrap();
    let claim = |redis: &mut InRedis| {
        let verb = Advance {
            traits: true,
            ..advance("worker", 4, &[], 5)
        };
        redis.call(&verb).map(|answer| format!("{answer:?}"))
    };
    let keys = raw(&mut redis);
    for part in OF_TRAITS.iter().chain(&["paced", "unhandled", "names"]) {
        is_told_before_it_writes(&mut redis, &keys, part, "advance", claim);
    }
}

/// What a parent knows of its children lies beside what is recorded of jobs that failed.
#[test]
fn g9_a_flow_tells_of_another_type_before_it_writes() {
    use crate::store::tests::flows;

    let mut redis = queue_of_them();
    let enqueue = |redis: &mut InRedis| {
        let flow = flows::flow();
        let answer = redis.call(&flows::call(&flow.each_ref()));
        answer.map(|answer| format!("{answer:?}"))
    };
    let keys = raw(&mut redis);
    for part in &OF_TRAITS {
        is_told_before_it_writes(&mut redis, &keys, part, "enqueue", enqueue);
    }
}
