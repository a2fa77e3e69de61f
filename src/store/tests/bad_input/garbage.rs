//! Somebody else wrote to our keys. Only Redis can hold such things, so it is alone here: a verb is
//! carried out or says what is wrong, and what says so has written nothing; but for a key of another
//! type, which may be met half way.

use std::collections::BTreeMap;

use redis::{Value, cmd};

use super::*;
use crate::policy::settings::QueueSettings;
use crate::redis::keys::PARTS;
use crate::store::configure::{By, Configure};
use crate::store::counts::Counts;
use crate::store::settings::Settings;

/// A queue as it was, to be put back.
struct Kept {
    redis: InRedis,
    keys: BTreeMap<String, Vec<u8>>,
    receipt: Receipt,
}

impl Kept {
    fn new() -> Self {
        let Both {
            mut redis, receipt, ..
        } = Both::start();
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

type Tried = Result<String, String>;
type Call = Box<dyn Fn(&mut InRedis) -> Tried>;

fn tried<V: crate::store::Verb<Answer: Debug>>(redis: &mut InRedis, verb: &V) -> Tried {
    redis.call(verb).map(|answer| format!("{answer:?}"))
}

/// A recovery that finds a job which has stalled too often.
const BURY: &str = "bury";

/// Takes back what was held two hours ago.
fn recover() -> Call {
    Box::new(|redis| {
        let expected_ms = NOW + 7_200_000;
        redis.set_clock(expected_ms * 1_000);
        let recover = Recover {
            expected_ms,
            tolerance_ms: 1,
            limit: 5,
            lease_ms: 60_000,
            gap_ms: 0,
            quiet_ms: 0,
            doubt: Doubt::None,
        };
        tried(redis, &recover)
    })
}

fn orphans(how: How) -> Call {
    Box::new(move |redis| {
        let verb = Orphans {
            cursor: Orphans::FIRST,
            limit: 64,
            how,
            lease_ms: 5,
        };
        tried(redis, &verb)
    })
}

fn delete(all: bool) -> Call {
    Box::new(move |redis| {
        tried(
            redis,
            &Delete {
                all,
                lanes_ms: 5_000,
            },
        )
    })
}

/// Every verb, as it would be called where nothing is wrong.
fn every_verb(receipt: &Receipt) -> Vec<(&'static str, Call)> {
    let held = JobId::stored("held");
    let ids = ["held", "waiting", "completed", "dead", "delayed"].map(JobId::stored);
    let all = ids.clone();
    let (lease_id, lease_receipt) = (held.clone(), receipt.clone());
    let (progress_id, progress_receipt) = (held.clone(), receipt.clone());
    let ended = |outcome: Outcome| {
        let ended = vec![settlement(&held, receipt, outcome)];
        move |redis: &mut InRedis| tried(redis, &advance("worker", 9, &ended, 5))
    };
    let mut outcomes = every_outcome().into_iter();
    let mut next = || Box::new(ended(outcomes.next().unwrap())) as Call;
    vec![
        ("complete", next()),
        ("cancel", next()),
        ("retry", next()),
        ("bounce", next()),
        ("release", next()),
        ("die", next()),
        (
            "claim",
            Box::new(|redis| tried(redis, &advance("worker", 9, &[], 5))),
        ),
        (
            "repeat",
            Box::new(|redis| tried(redis, &advance("worker", 1, &[], 5))),
        ),
        (
            "enqueue",
            Box::new(|redis| {
                let (new, mut later) = (job("new"), job("later"));
                later.due = Due::After { ms: 5 };
                later.priority = Some(3);
                let (lane, call, jobs) = ("producer", 9, &[&new, &later][..]);
                tried(
                    redis,
                    &Enqueue {
                        lane,
                        call,
                        jobs,
                        novelty: Novelty::Unsure,
                    },
                )
            }),
        ),
        (
            "extend",
            Box::new(move |redis| {
                let leases = &[(lease_id.clone(), lease_receipt.clone())];
                tried(
                    redis,
                    &Extend {
                        leases,
                        lease_ms: 5,
                    },
                )
            }),
        ),
        (
            "progress",
            Box::new(move |redis| {
                let (id, receipt, value) = (&progress_id, &progress_receipt, &b"x"[..]);
                tried(redis, &Progress { id, receipt, value })
            }),
        ),
        (
            "promote",
            Box::new(|redis| {
                redis.set_clock((NOW + 7_200_000) * 1_000);
                tried(
                    redis,
                    &Promote {
                        limit: 5,
                        worker: "w",
                        hold: true,
                    },
                )
            }),
        ),
        ("recover", recover()),
        (BURY, recover()),
        ("settings", Box::new(|redis| tried(redis, &Settings))),
        (
            "configure",
            Box::new(|redis| {
                let said = &QueueSettings::new().keep_events(0).values();
                let by = By::Code;
                tried(redis, &Configure { by, said })
            }),
        ),
        (
            "trim",
            Box::new(|redis| {
                redis.set_clock((NOW + 7_200_000) * 1_000);
                tried(
                    redis,
                    &Trim {
                        limit: 5,
                        lane_ttl_ms: 1,
                        lanes_cursor: "0",
                    },
                )
            }),
        ),
        (
            "replay",
            Box::new({
                let ids = ids.clone();
                move |redis| tried(redis, &Replay { ids: &ids })
            }),
        ),
        (
            "remove",
            Box::new(move |redis| tried(redis, &Remove { ids: &ids })),
        ),
        ("put back", orphans(How::PutBack)),
        ("remove orphans", orphans(How::Remove)),
        ("delete", delete(false)),
        ("delete all", delete(true)),
        (
            "watch",
            Box::new({
                let all = all.clone();
                move |redis| {
                    all.iter()
                        .map(|id| {
                            tried(
                                redis,
                                &Watch {
                                    id: id.as_str(),
                                    await_ms: 5,
                                },
                            )
                        })
                        .collect()
                }
            }),
        ),
        (
            "get",
            Box::new(move |redis| {
                all.iter()
                    .map(|id| tried(redis, &Get { id: id.as_str() }))
                    .collect()
            }),
        ),
        (
            "list",
            Box::new(|redis| {
                tried(
                    redis,
                    &List {
                        state: "waiting",
                        limit: 9,
                        bytes: 99,
                        after: None,
                    },
                )
            }),
        ),
        (
            "counts",
            Box::new(|redis| redis.call(&Counts).map(|_| String::new())),
        ),
        ("pause", Box::new(|redis| tried(redis, &Pause))),
        ("resume", Box::new(|redis| tried(redis, &Resume))),
        (
            "schedule",
            Box::new(|redis| {
                let job = EncodedRecord::new("test", vec![0xc0], &JobOptions::new(), Vec::new());
                let define = Some(Definition {
                    rule: b"rule",
                    job: &job,
                });
                let tick = NextTick::At { ms: PAST + 5 };
                tried(
                    redis,
                    &Schedule {
                        name: "nightly",
                        revision: 1,
                        paused: false,
                        tick,
                        seen: None,
                        define,
                    },
                )
            }),
        ),
        (
            "unschedule",
            Box::new(|redis| tried(redis, &Unschedule { name: "nightly" })),
        ),
        (
            "schedules",
            Box::new(|redis| tried(redis, &Schedules::due(0, 5))),
        ),
        (
            "fire",
            Box::new(|redis| {
                let entries = &[Entry {
                    name: "nightly".to_owned(),
                    revision: 1,
                    tick_ms: PAST,
                    ticks: vec![PAST],
                    due_ms: vec![PAST],
                    missed: 0,
                    last_ms: PAST,
                    next_ms: Some(NOW + 5),
                    limit: None,
                    no_overlap: true,
                    priority: None,
                    front: false,
                }];
                tried(
                    redis,
                    &Fire {
                        passed_ms: None,
                        worker: "w",
                        hold: true,
                        entries,
                    },
                )
            }),
        ),
    ]
}

/// What scripts read to compute with.
const FIELDS: [(&str, &str); 36] = [
    ("meta", "sequence"),
    ("meta", "settings"),
    ("meta", "declared"),
    ("meta", "fence"),
    ("meta", "event_size"),
    ("attempts", "held"),
    ("attempts", "dead"),
    ("places", "held"),
    ("meta", "due"),
    ("meta", "front"),
    ("meta", "timer"),
    ("meta", "tick"),
    ("meta", "paused"),
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
        for (verb, call) in every_verb(&self.receipt) {
            self.put_back();
            if verb == BURY {
                let stalls = self.redis.key("stalls");
                let _: Value = self.redis.ask(cmd("HSET").arg(stalls).arg("held").arg("9"));
            }
            let _: Value = self.redis.ask(disturb);
            let before = raw(&mut self.redis);
            let answer = call(&mut self.redis);
            let same = raw(&mut self.redis) == before;
            check(&format!("{verb} with {what}"), &answer, same);
        }
    }
}

/// All keys of the queue, to the byte.
fn raw(redis: &mut InRedis) -> BTreeMap<String, Vec<u8>> {
    let names: Vec<String> = redis.ask(cmd("KEYS").arg("test:*"));
    let dump = |name: String| {
        let bytes = redis.ask(cmd("DUMP").arg(&name));
        (name, bytes)
    };
    names.into_iter().map(dump).collect()
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

/// Scripts do not ask for the types of twenty keys before they begin; but a lane is looked up
/// first of all, and the decoders of every answer are met here.
#[test]
fn g9_a_key_of_another_type_is_told() {
    let mut kept = Kept::new();
    for part in PARTS {
        let disturb = cmd("SET").arg(kept.redis.key(part)).arg("garbage").clone();
        let check = |case: &str, answer: &Tried, same: bool| {
            if let Err(why) = answer {
                assert!(why.contains("WRONGTYPE"), "{case}: {why}");
                let first_of_all = ["calls", "meta"].contains(part) && !case.starts_with("trim");
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
    tried(&mut redis, &trim).unwrap();
    let left: i64 = redis.ask(cmd("PTTL").arg(&events));
    assert!((1..=86_400_000).contains(&left), "{left}");
}
