//! Another program wrote to our keys. Only Redis can hold such things, so only Redis is tested here: a verb is
//! carried out or says what is wrong, and what says so has written nothing; but for a key of another
//! type, which may be met half way.

use std::collections::BTreeMap;

use redis::{Value, cmd};

use super::*;
use crate::redis::keys::PARTS;
use crate::store::tests::register::{CALLS, Tried, keyed, not_called};

/// A queue as it was, to be put back.
struct Kept {
    redis: InRedis,
    keys: BTreeMap<String, Vec<u8>>,
    receipt: Receipt,
}

impl Kept {
    fn new() -> Self {
        let mut both = Both::start();
        assert_eq!(both.enqueue("producer", 2, &[keyed("keyed")]), Some(vec![]));
        let Both {
            mut redis, receipt, ..
        } = both;
        Self {
            keys: raw(&mut redis),
            redis,
            receipt,
        }
    }

    fn put_back(&mut self) {
        self.redis.clear();
        for (name, bytes) in &self.keys {
            let _: String = self
                .redis
                .ask(cmd("RESTORE").arg(name).arg(0).arg(&bytes[..]));
        }
    }
}

/// The call that finds a job which has stalled too often.
const BURY: &str = "bury";

/// What scripts read to compute with.
const FIELDS: [(&str, &str); 41] = [
    ("meta", "sequence"),
    ("meta", "settings"),
    ("meta", "declared"),
    ("meta", "fence"),
    ("meta", "event_size"),
    ("attempts", "held"),
    ("attempts", "held#cancel"),
    ("attempts", "dead"),
    ("places", "held"),
    ("meta", "due"),
    ("meta", "expiring"),
    ("meta", "front"),
    ("meta", "timer"),
    ("meta", "tick"),
    ("meta", "paused"),
    ("meta", "paused_names"),
    ("meta", "added"),
    ("meta", "completed"),
    ("meta", "refused"),
    ("meta", "cancelled"),
    ("meta", "retried"),
    ("meta", "stalled"),
    ("meta", "dead"),
    ("meta", "replayed"),
    ("meta", "removed"),
    ("meta", "revision"),
    ("jobs", "held"),
    ("jobs", "waiting"),
    ("jobs", "dead"),
    ("jobs", "keyed"),
    ("unique", "test:k"),
    ("payloads", "held"),
    ("claims", "held"),
    ("stalls", "held"),
    ("results", "completed"),
    ("places", "dead"),
    ("calls", "worker"),
    ("calls", "producer"),
    ("schedules", "nightly"),
    ("schedules", "nightly#state"),
    ("schedules", "nightly#job"),
];
const VALUES: [&str; 5] = ["", "garbage in here", "-1", "\u{c1}", "1e999"];

impl Kept {
    /// Every verb with that in one of the keys.
    fn try_every_verb(
        &mut self,
        what: &str,
        disturb: &redis::Cmd,
        check: impl Fn(&str, &Tried, bool),
    ) {
        for &(verb, call) in CALLS {
            self.put_back();
            if verb == BURY {
                let stalls = self.redis.key("stalls");
                let _: Value = self.redis.ask(cmd("HSET").arg(stalls).arg("held").arg("9"));
            }
            let _: Value = self.redis.ask(disturb);
            let before = content(&mut self.redis);
            let answer = call(&mut self.redis, &self.receipt);
            let same = content(&mut self.redis) == before;
            check(&format!("{verb} with {what}"), &answer, same);
        }
    }
}

/// All keys of the queue, to the byte.
pub(super) fn raw(redis: &mut InRedis) -> BTreeMap<String, Vec<u8>> {
    let names: Vec<String> = redis.ask(cmd("KEYS").arg("test:*"));
    let dump = |name: String| {
        let bytes = redis.ask(cmd("DUMP").arg(&name));
        (name, bytes)
    };
    names.into_iter().map(dump).collect()
}

/// What the keys of the queue hold. The bytes of a hash that grows change with each look at it.
pub(super) fn content(redis: &mut InRedis) -> BTreeMap<String, Vec<u8>> {
    let mut content = raw(redis);
    for (name, bytes) in &mut content {
        let kind: String = redis.ask(cmd("TYPE").arg(name));
        if kind == "hash" {
            let fields: BTreeMap<Vec<u8>, Vec<u8>> = redis.ask(cmd("HGETALL").arg(name));
            *bytes = format!("{fields:?}").into_bytes();
        }
    }
    content
}

fn done_or_untouched(case: &str, answer: &Tried, same: bool) {
    assert!(answer.is_ok() || same, "{case}: half done, {answer:?}");
}

#[test]
fn g9_a_field_that_is_garbage_leaves_no_call_half_done() {
    let mut kept = Kept::new();
    for (part, field) in FIELDS {
        let key = kept.redis.key(part);
        for value in VALUES {
            let what = format!("{value:?} in {part} {field}");
            let disturb = cmd("HSET").arg(&key).arg(field).arg(value).clone();
            kept.try_every_verb(&what, &disturb, done_or_untouched);
        }
    }
    assert!(
        not_called(kept.redis.called()).is_empty(),
        "{:?}",
        not_called(kept.redis.called())
    );
}

/// What is in a collection without being a job is passed over, or dropped.
#[test]
fn g9_a_member_that_is_no_job_stops_no_verb() {
    let mut kept = Kept::new();
    for part in [
        "waiting",
        "suspects",
        "delayed",
        "active",
        "completed",
        "kept",
        "dead",
        "ticks",
        "awaited",
        "expires",
    ] {
        let key = kept.redis.key(part);
        for score in ["-inf", "-9e15", "1.5", "17"] {
            let what = format!("a ghost in {part} at {score}");
            let disturb = cmd("ZADD").arg(&key).arg(score).arg("ghost").clone();
            kept.try_every_verb(&what, &disturb, |case, answer, _| {
                assert!(answer.is_ok(), "{case}: {answer:?}");
            });
        }
    }
}

/// A worker that claims, whatever `meta` and `expires` say of jobs that expire, and the queue says so no more.
#[test]
fn a_moment_at_which_nothing_expires_stops_no_queue() {
    let mut kept = Kept::new();
    let [meta, expires] = ["meta", "expires"].map(|part| kept.redis.key(part));
    let told = |value: &str| cmd("HSET").arg(&meta).arg("expiring").arg(value).clone();
    let ghost = |score: &str| cmd("ZADD").arg(&expires).arg(score).arg("ghost").clone();
    let past = PAST.to_string();
    let cases: Vec<Vec<redis::Cmd>> = vec![
        vec![told(&past)],
        vec![told(&past), ghost("+inf")],
        vec![told(&past), ghost("9007199254740992")],
        vec![told("garbage"), ghost("-inf")],
        vec![told("-1"), ghost("1.5")],
    ];
    for case in VALUES
        .map(|value| vec![told(value)])
        .into_iter()
        .chain(cases)
    {
        kept.put_back();
        for disturb in &case {
            let _: Value = kept.redis.ask(disturb);
        }
        let call = Advance {
            traits: true,
            ..advance("worker", 9, &[], 1)
        };
        let Answer::Advanced(advanced) = kept.redis.call(&call).unwrap() else {
            panic!("{case:?}");
        };
        assert_eq!(advanced.claimed.len(), 1, "{case:?}");
        assert_eq!(kept.redis.dump().get("meta", "expiring"), None, "{case:?}");
    }
}

#[test]
fn a_job_whose_record_is_garbage_has_no_key() {
    let mut kept = Kept::new();
    let jobs = kept.redis.key("jobs");
    for value in VALUES {
        kept.put_back();
        let _: Value = kept
            .redis
            .ask(cmd("HSET").arg(&jobs).arg("keyed").arg(value));
        let call = Enqueue {
            lane: "producer",
            call: 9,
            jobs: &[&keyed("other")],
            novelty: Novelty::Unsure,
        };
        let added = kept.redis.call(&call).map(there);
        assert_eq!(added, Ok(Some(vec![])), "{value:?}");
    }
}

/// Scripts do not ask for the types of twenty keys before they begin; but a lane is looked up
/// first of all, then, for jobs with traits, what belongs to their gates; and the decoders of every answer are met here.
#[test]
fn g9_a_key_of_another_type_is_told() {
    let mut kept = Kept::new();
    for part in PARTS {
        let disturb = cmd("SET").arg(kept.redis.key(part)).arg("garbage").clone();
        let check = |case: &str, answer: &Tried, same: bool| {
            if let Err(why) = answer {
                assert!(why.contains("WRONGTYPE"), "{case}: {why}");
                let first_of_all = ["calls", "meta"].contains(part) && !case.starts_with("trim");
                let of_gates = ["gates", "blocked", "blocked_by", "running"].contains(part);
                let first_of_all = first_of_all || (of_gates && case.contains("with traits"));
                assert!(same || !first_of_all, "{case}: half done, {why}");
            }
        };
        kept.try_every_verb(&format!("{part} of another type"), &disturb, check);
    }
}

/// `trim` works with the moment of the last event.
#[test]
fn events_of_an_idle_queue_stay_for_a_day_though_the_last_is_of_the_far_future() {
    let mut redis = InRedis::start(None);
    redis.set_clock(NOW * 1_000);
    let events = redis.key("events");
    let _: String = redis.ask(
        cmd("XADD")
            .arg(&events)
            .arg("18446744073709551615-1")
            .arg(&["a", "b"]),
    );
    let trim = Trim {
        limit: 5,
        lane_ttl_ms: 3_600_000,
        lanes_cursor: "0",
    };
    redis.call(&trim).unwrap();
    let left: i64 = redis.ask(cmd("PTTL").arg(&events));
    assert!((1..=86_400_000).contains(&left), "{left}");
}
