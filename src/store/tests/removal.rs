//! What goes away: removed jobs, what an attempt said, and whole queues.

use std::collections::BTreeMap;
use std::time::Duration;

use super::register::report;
use super::subject::Subject;
use super::{Rig, completed, job, on_both, settlement, with};
use crate::id::JobId;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::{DeadReason, Outcome};
use crate::job::record::EncodedRecord;
use crate::policy::settings::QueueSettings;
use crate::policy::unique::Unique;
use crate::redis::keys::PARTS;
use crate::store::advance::{self, Advance, Suspects};
use crate::store::alert_round::AlertRound;
use crate::store::configure::By;
use crate::store::delete::{Answer, Delete, Holdings};
use crate::store::enqueue::{Due, Enqueue, Enqueued, Novelty};
use crate::store::extend::Extend;
use crate::store::get::Get;
use crate::store::group::{self, Group};
use crate::store::progress::{Progress, Stored};
use crate::store::promote::Promote;
use crate::store::recover::{Doubt, Recover, Recovered};
use crate::store::remove::Remove;
use crate::store::schedule::{Definition, NextTick, Schedule};
use crate::store::trim::Trim;
use crate::store::unschedule::Unschedule;
use crate::store::watch::{Watch, Watched};

const LANES_MS: u64 = 3_600_000;
const TOLERANCE_MS: u64 = 1_000;

fn entry() -> AttemptEntry {
    AttemptEntry::new(AttemptKind::Error, "broken".into())
}

fn dead() -> Outcome {
    Outcome::Dead {
        reason: DeadReason::Declared,
        entry: entry(),
    }
}

impl Rig {
    /// The last entry of the events: its kinds and ids.
    fn last_event(&mut self) -> String {
        let dump = self.subject.dump();
        let last = dump.part("events").last();
        last.map_or(String::new(), |(_, text)| {
            String::from_utf8_lossy(text).trim_end().to_owned()
        })
    }

    fn remove(&mut self, ids: &[&str]) -> Vec<String> {
        let ids: Vec<JobId> = ids.iter().map(|id| JobId::new(id).unwrap()).collect();
        self.call(&Remove::of(&ids)).removed
    }

    fn says(&mut self, claimed: &super::Claimed) {
        let (id, receipt) = (&claimed.id, &claimed.receipt);
        let value = b"\x32";
        assert_eq!(self.call(&Progress { id, receipt, value }), Stored::Yes);
    }

    /// Takes back what is over; the jobs that go on, and those that are dead.
    pub(super) fn take_back(&mut self, max_stalls: u32) -> (Vec<String>, Vec<String>) {
        let settings = QueueSettings::new().max_stalls(max_stalls);
        self.configure(By::Operator, settings);
        self.wait(Duration::from_millis(self.lease_ms + TOLERANCE_MS + 1));
        let recovered = self.call(&Recover {
            expected_ms: self.now_us / 1_000,
            tolerance_ms: TOLERANCE_MS,
            limit: 10,
            lease_ms: self.lease_ms,
            gap_ms: u64::MAX / 1_000,
            quiet_ms: 0,
            doubt: Doubt::None,
        });
        match recovered {
            Recovered::Done { stalled, dead, .. } => (stalled, dead),
            unsure => panic!("{unsure:?}"),
        }
    }

    /// Claims what there is of that name.
    pub(super) fn ask_for(&mut self, name: &'static str) {
        self.call += 1;
        let answer = self.call(&Advance {
            lane: self.lane,
            call: self.call,
            worker: "worker",
            settle: &[],
            claim: 1,
            claim_bytes: 1_000,
            suspects: Suspects::default(),
            lease_ms: self.lease_ms,
            hold: true,
            handlers: Some(&[name]),
            heard: 0,
            again: false,
            traits: false,
            ask: false,
        });
        let advance::Answer::Advanced(advanced) = answer else {
            panic!("{answer:?}");
        };
        assert!(advanced.claimed.is_empty());
    }

    fn define_schedule(&mut self) {
        let job = EncodedRecord::new("test", vec![0xc0], &JobOptions::new(), Vec::new());
        let ms = self.now_us / 1_000 + 600_000;
        assert!(self.call(&Schedule {
            name: "nightly",
            revision: 0,
            paused: false,
            tick: NextTick::At { ms },
            seen: None,
            define: Some(Definition {
                rule: b"rule",
                job: &job,
            }),
        }));
    }

    fn delete(&mut self, all: bool) -> Answer {
        let lanes_ms = LANES_MS;
        self.call(&Delete { all, lanes_ms })
    }

    /// The parts that hold anything.
    fn parts(&mut self) -> Vec<&'static str> {
        let dump = self.subject.dump();
        PARTS
            .iter()
            .copied()
            .filter(|part| dump.len(part) > 0)
            .collect()
    }
}

fn removed_jobs_are_told_and_the_last_open_one_makes_the_queue_drained(mut rig: Rig) {
    let mut later = job("later");
    later.due = Due::After { ms: 60_000 };
    rig.enqueue(&[job("a"), job("b"), job("c"), later]);
    let held = rig.claim_one().unwrap();
    assert_eq!(rig.remove(&["b", "nobody", "a"]), ["b"]);
    assert_eq!(rig.last_event(), "removed=b");
    assert_eq!(rig.remove(&["c"]), ["c"]);
    assert_eq!(rig.last_event(), "removed=c", "one is delayed, one runs");
    assert!(rig.settle(&held.id, &held.receipt, dead()));
    assert_eq!(rig.remove(&["later"]), ["later"]);
    assert_eq!(rig.last_event(), "removed=later drained=");
    // What has ended is no open job.
    assert_eq!(rig.remove(&["a"]), ["a"]);
    assert_eq!(rig.last_event(), "removed=a");
    assert!(rig.remove(&["a"]).is_empty());
    assert_eq!(rig.last_event(), "removed=a");

    // Among the suspects, and by its name.
    rig.lease_ms = 1_000;
    rig.enqueue(&["suspect", "theirs"].map(job));
    let suspect = rig.claim_one().unwrap();
    assert_eq!(rig.take_back(3).0, [suspect.id.as_str()]);
    let theirs = rig
        .advance_as(rig.call + 1, &[], 1, false)
        .claimed
        .remove(0);
    rig.call += 1;
    let handed_back = Outcome::Bounced {
        after: Duration::from_secs(60),
        entry: entry(),
        name: Some("other".to_owned()),
    };
    assert!(rig.settle(&theirs.id, &theirs.receipt, handed_back));
    assert_eq!(rig.remove(&["theirs"]), ["theirs"]);
    assert_eq!(rig.last_event(), "removed=theirs");
    assert_eq!(rig.remove(&["suspect"]), ["suspect"]);
    assert_eq!(rig.last_event(), "removed=suspect drained=");
}

fn a_queue_whose_last_job_dies_with_its_worker_is_drained(mut rig: Rig) {
    rig.lease_ms = 1_000;
    rig.enqueue(&["a", "b"].map(job));
    let claimed = rig.claim_one().unwrap();
    assert_eq!(rig.take_back(0).1, [claimed.id.as_str()]);
    assert_eq!(rig.last_event(), "dead=a:poisoned");
    rig.claim_one().unwrap();
    rig.take_back(0);
    assert_eq!(rig.last_event(), "dead=b:poisoned drained=");
}

/// It is that of an attempt. It stays only if the job ends with the attempt.
fn progress_goes_with_its_attempt(mut rig: Rig) {
    let after = Duration::from_secs(5);
    let bounced = |name: Option<&str>| Outcome::Bounced {
        after,
        entry: entry(),
        name: name.map(str::to_owned),
    };
    let retry = |after| Outcome::Retry {
        after,
        entry: entry(),
    };
    let cases = [
        ("released", Outcome::Released, false),
        ("retried", retry(after), false),
        ("at-once", retry(Duration::ZERO), false),
        ("snoozed", Outcome::Snoozed { after }, false),
        ("bounced", bounced(None), false),
        ("handed-back", bounced(Some("other")), false),
        ("completed", completed(), true),
        ("cancelled", Outcome::Cancelled("moot".into()), true),
        ("dead", dead(), true),
    ];
    for (name, outcome, stays) in cases {
        rig.clear();
        rig.enqueue(&[job(name)]);
        let claimed = rig.claim_one().unwrap();
        rig.says(&claimed);
        assert!(rig.settle(&claimed.id, &claimed.receipt, outcome));
        let found = rig.call(&Get { id: name }).unwrap();
        assert_eq!(found.progress.is_some(), stays, "{name}");
    }
    // Its worker died: with a stall to spare, and at the end of them.
    for (max_stalls, stays) in [(1, false), (0, true)] {
        rig.clear();
        rig.lease_ms = 1_000;
        rig.enqueue(&[job("a")]);
        let claimed = rig.claim_one().unwrap();
        rig.says(&claimed);
        rig.take_back(max_stalls);
        let found = rig.call(&Get { id: "a" }).unwrap();
        assert_eq!(found.progress.is_some(), stays, "{max_stalls} stalls");
    }
}

/// A job in every state, and a key of every kind.
pub(super) fn everything(rig: &mut Rig) {
    rig.lease_ms = 1_000;
    let awaited = |id: &str| {
        let mut job = job(id);
        job.await_ms = Some(600_000);
        job
    };
    let mut large = job("large");
    large.record.external_payload = Some(vec![7; 5_000]);
    let mut later = job("later");
    later.due = Due::After { ms: 600_000 };
    let mut soon = job("soon");
    soon.due = Due::After { ms: 1 };
    rig.enqueue(&[soon, job("stalls")]);
    let stalls = rig.claim_one().unwrap();
    assert_eq!(rig.take_back(3).0, [stalls.id.as_str()]);
    let moved = rig.call(&Promote {
        limit: 10,
        worker: "worker",
        hold: true,
    });
    assert_eq!(moved.moved, 1);
    rig.enqueue(&[job("done"), awaited("answer"), job("dies"), job("theirs")]);
    for outcome in [completed(), completed(), completed(), dead()] {
        let call = rig.call + 1;
        let claimed = rig.advance_as(call, &[], 1, false).claimed.remove(0);
        rig.call = call;
        assert!(rig.settle(&claimed.id, &claimed.receipt, outcome));
    }
    let call = rig.call + 1;
    let theirs = rig.advance_as(call, &[], 1, false).claimed.remove(0);
    rig.call = call;
    let handed_back = Outcome::Bounced {
        after: Duration::from_secs(60),
        entry: entry(),
        name: Some("other".to_owned()),
    };
    assert!(rig.settle(&theirs.id, &theirs.receipt, handed_back));
    rig.ask_for("other-name");
    let rate = BTreeMap::from([(group::RATE, "5/600000/burst".to_owned())]);
    rig.call(&Group {
        group: "group",
        change: rate,
        resume: false,
    });
    let held = with("held", &JobOptions::new().group("group"));
    rig.enqueue(&[held, large, later, awaited("awaited")]);
    let call = rig.call + 1;
    rig.traits = true;
    let held = rig.advance_as(call, &[], 1, false).claimed.remove(0);
    rig.traits = false;
    rig.call = call;
    assert_eq!(held.id.as_str(), "held");
    rig.says(&held);
    rig.cancel(&["held"]);
    rig.define_schedule();
    let ordered = JobOptions::new().ordered_by("key");
    let hour = Duration::from_secs(3_600);
    let once = Unique::by("key").for_time(hour);
    let second = ordered.clone().unique(once).expires_in(hour);
    rig.enqueue(&[with("first", &ordered), with("second", &second)]);
    rig.call(&report(false));
    rig.call(&AlertRound { every_ms: 1_000 });
    rig.note("entry");
    rig.send_stage_and_feed("later");
    rig.publish_and_subscribe();
    rig.break_and_probe();
}

fn a_queue_is_deleted_whole_and_only_when_that_is_wanted(mut rig: Rig) {
    everything(&mut rig);
    let there = rig.parts();
    assert_eq!(there.len(), PARTS.len(), "only {there:?} are there");
    let held = Holdings {
        waiting: 5,
        blocked: 1,
        delayed: 1,
        active: 1,
        completed: 3,
        dead: 1,
        schedules: 1,
        lost: 0,
        unsent: 1,
    };
    let before = rig.subject.dump();
    assert_eq!(rig.delete(false), Answer::NotEmpty(held));
    assert_eq!(rig.subject.dump(), before);
    assert_eq!(rig.delete(true), Answer::Deleted(held));
    assert_eq!(rig.parts(), ["calls", "sources"]);
    assert_eq!(rig.delete(false), Answer::Deleted(Holdings::default()));

    // Completed jobs do not keep a queue from being deleted.
    rig.enqueue(&[job("a")]);
    let claimed = rig.claim_one().unwrap();
    assert!(matches!(rig.delete(false), Answer::NotEmpty(held) if held.active == 1));
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    assert!(matches!(rig.delete(false), Answer::Deleted(held) if held.completed == 1));
}

fn g2_nothing_of_a_deleted_queue_comes_back_by_a_late_worker(mut rig: Rig) {
    rig.enqueue(&["a", "b"].map(job));
    let claimed = rig.advance(&[], 2).claimed;
    let (call, a, b) = (rig.call, &claimed[0], &claimed[1]);
    assert_eq!(
        rig.call(&Watch {
            id: "a",
            await_ms: 60_000
        }),
        Watched::Pending
    );
    rig.delete(true);
    let leases = [a, b].map(|held| (held.id.clone(), held.receipt.clone()));
    let leases = &leases[..];
    let extend = Extend {
        leases,
        lease_ms: 60_000,
    };
    let check = |rig: &mut Rig| {
        assert_eq!(rig.call(&extend).lost, [0, 1]);
        let (id, receipt, value) = (&a.id, &a.receipt, &b"\x01"[..]);
        assert_ne!(rig.call(&Progress { id, receipt, value }), Stored::Yes);
        // The call that claimed them is repeated, because its answer was lost.
        assert!(rig.advance_as(call, &[], 2, true).claimed.is_empty());
        let late = [
            settlement(&a.id, &a.receipt, completed()),
            settlement(&b.id, &b.receipt, dead()),
        ];
        assert_eq!(rig.advance(&late, 0).refused, [0, 1]);
    };
    check(&mut rig);
    assert_eq!(
        rig.parts(),
        ["meta", "calls"],
        "what was refused is counted"
    );
    assert_eq!(
        rig.call(&Watch {
            id: "a",
            await_ms: 60_000
        }),
        Watched::Missing
    );

    // The same ids in the new queue are other jobs, under larger fences.
    rig.wait(Duration::from_millis(1));
    rig.enqueue(&["a", "b"].map(job));
    let (lane, other) = (rig.lane, "another");
    rig.lane = other;
    let anew = rig.advance(&[], 2).claimed;
    assert!(anew[0].fence > b.fence);
    rig.lane = lane;
    assert_eq!(rig.call(&extend).lost, [0, 1]);
    assert!(!rig.settle(&a.id, &a.receipt, completed()));
    rig.lane = other;
    assert!(rig.settle(&anew[0].id, &anew[0].receipt, completed()));
}

/// The answer was lost, and the queue was deleted before the producer has repeated the call.
fn g3_an_enqueue_that_is_repeated_after_the_deletion_adds_nothing(mut rig: Rig) {
    let enqueue = |rig: &mut Rig, call: u64, id: &str| {
        let (jobs, lane) = ([&job(id)], rig.lane);
        rig.call(&Enqueue {
            lane,
            call,
            jobs: &jobs,
            novelty: Novelty::Unsure,
        })
    };
    let added = |is_first| Enqueued::Added {
        there: vec![],
        replaced: 0,
        is_first,
    };
    assert_eq!(enqueue(&mut rig, 1, "a"), added(true));
    assert_eq!(enqueue(&mut rig, 2, "b"), added(false));
    rig.delete(true);
    assert_eq!(enqueue(&mut rig, 2, "b"), added(false));
    assert_eq!(enqueue(&mut rig, 1, "a"), Enqueued::Superseded);
    assert_eq!(rig.parts(), ["calls"]);
    // What comes next is in the new queue, which is said to be new.
    assert_eq!(enqueue(&mut rig, 3, "c"), added(true));
    assert_eq!(enqueue(&mut rig, 4, "d"), added(false));
    assert_eq!(rig.size("waiting"), 2);
}

/// Used once: enqueued, run, awaited, and removed. What is left of that goes by and by.
fn g8_what_serves_nothing_in_an_idle_queue_goes(mut rig: Rig) {
    let hour = Duration::from_secs(3_600);
    let trim = |rig: &mut Rig| {
        let mut cursor = "0".to_owned();
        loop {
            let trimmed = rig.call(&Trim {
                limit: 256,
                lane_ttl_ms: hour.as_millis() as u64,
                lanes_cursor: &cursor,
            });
            cursor = trimmed.lanes_cursor;
            if cursor == "0" {
                return;
            }
        }
    };
    let in_redis = rig.subject.keys() == 0 && matches!(rig.subject, Subject::Redis(_));
    let mut once = job("once");
    once.await_ms = Some(60_000);
    rig.enqueue(&[once]);
    let claimed = rig.claim_one().unwrap();
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    assert_eq!(rig.remove(&["once"]), ["once"]);
    trim(&mut rig);
    let used = ["meta", "calls", "events", "wake", "finished"];
    assert_eq!(rig.parts(), used);
    // And the sentinels of `active` and `claims`.
    assert!(!in_redis || rig.subject.keys() == 7);
    rig.wait(Duration::from_secs(59));
    trim(&mut rig);
    assert_eq!(rig.parts(), used);
    rig.wait(Duration::from_secs(1));
    trim(&mut rig);
    assert_eq!(rig.parts(), ["meta", "calls", "events", "finished"]);
    assert!(!in_redis || rig.subject.keys() == 4);
    // If no worker is there by then, Redis does the rest.
    assert!(!in_redis || rig.subject.expires_ms("finished") == Some(3_540_000));
    assert!(!in_redis || rig.subject.expires_ms("events") == Some(86_340_000));
    rig.wait(hour);
    trim(&mut rig);
    assert_eq!(rig.parts(), ["meta", "events"]);

    // A job or a schedule keeps all that is there.
    rig.enqueue(&[job("dies")]);
    let claimed = rig.claim_one().unwrap();
    assert!(rig.settle(&claimed.id, &claimed.receipt, dead()));
    rig.wait(25 * hour);
    trim(&mut rig);
    assert!(rig.size("events") > 0 && rig.size("wake") > 0);
    assert!(!in_redis || rig.subject.expires_ms("events").is_none());
    assert_eq!(rig.remove(&["dies"]), ["dies"]);
    rig.define_schedule();
    rig.wait(25 * hour);
    trim(&mut rig);
    assert!(rig.size("events") > 0);
    assert!(rig.call(&Unschedule { name: "nightly" }));

    trim(&mut rig);
    assert_eq!(rig.parts(), ["meta"]);
    assert!(!in_redis || rig.subject.keys() == 1);
}

on_both!(
    g8_what_serves_nothing_in_an_idle_queue_goes,
    removed_jobs_are_told_and_the_last_open_one_makes_the_queue_drained,
    a_queue_whose_last_job_dies_with_its_worker_is_drained,
    progress_goes_with_its_attempt,
    a_queue_is_deleted_whole_and_only_when_that_is_wanted,
    g2_nothing_of_a_deleted_queue_comes_back_by_a_late_worker,
    g3_an_enqueue_that_is_repeated_after_the_deletion_adds_nothing,
);
