//! What the calls of the register are made of.

use std::fmt::Debug;
use std::time::Duration;

use super::Tried;
use crate::id::{JobId, Receipt};
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::Outcome;
use crate::job::record::EncodedRecord;
use crate::policy::breaker::{BreakerSettings, Rules};
use crate::policy::unique::{OnDuplicate, Unique};
use crate::store::Verb;
use crate::store::breaker::{Breaker, Force};
use crate::store::call_ended::{CallEnded, End};
use crate::store::enqueue::{Due, Enqueue, NewJob, Novelty};
use crate::store::fire::Entry;
use crate::store::list::{Direction, List, Wanted};
use crate::store::orphans::{How, Orphans};
use crate::store::permit::Permit;
use crate::store::receive::Receive;
use crate::store::recover::{Doubt, Recover};
use crate::store::report::Report;
use crate::store::schedule::{Definition, NextTick, Schedule};
use crate::store::tests::bad_input::{NOW, PAST, advance};
use crate::store::tests::outbox::numbered;
use crate::store::tests::subject::InRedis;
use crate::store::tests::{job, settlement};

/// When all leases have run out, and all that is delayed is due.
pub(super) const LATER: u64 = NOW + 7_200_000;

pub(super) fn tried<V: Verb<Answer: Debug>>(redis: &mut InRedis, verb: &V) -> Tried {
    redis.call(verb).map(|answer| format!("{answer:?}"))
}

pub(super) fn held() -> JobId {
    JobId::stored("held")
}

pub(super) fn all() -> [JobId; 5] {
    ["held", "waiting", "completed", "dead", "delayed"].map(JobId::stored)
}

/// A job with a unique key, which replaces another one that has it.
pub(in crate::store::tests) fn keyed(id: &str) -> NewJob {
    let unique = Unique::by("k").on_duplicate(OnDuplicate::Replace);
    let options = JobOptions::new().unique(unique);
    let record = EncodedRecord::new("test", vec![0xc0], &options, Vec::new());
    NewJob { record, ..job(id) }
}

pub(super) fn entry() -> AttemptEntry {
    AttemptEntry::new(AttemptKind::Error, "broken".into())
}

pub(super) fn bounced(name: Option<String>) -> Outcome {
    let (after, entry) = (Duration::from_secs(1), entry());
    Outcome::Bounced { after, entry, name }
}

pub(super) fn end(redis: &mut InRedis, receipt: &Receipt, outcome: Outcome) -> Tried {
    let ended = [settlement(&held(), receipt, outcome)];
    tried(redis, &advance("worker", 9, &ended, 5))
}

pub(super) fn enqueue(redis: &mut InRedis) -> Tried {
    let (new, mut later) = (job("new"), job("later"));
    later.due = Due::After { ms: 5 };
    later.priority = Some(3);
    let (lane, call, novelty) = ("producer", 9, Novelty::Unsure);
    let enqueue = Enqueue {
        lane,
        call,
        jobs: &[&new, &later],
        novelty,
    };
    tried(redis, &enqueue)
}

pub(super) fn schedule(redis: &mut InRedis) -> Tried {
    let job = &EncodedRecord::new("test", vec![0xc0], &JobOptions::new(), Vec::new());
    let schedule = Schedule {
        name: "nightly",
        revision: 1,
        paused: false,
        tick: NextTick::At { ms: PAST + 5 },
        seen: None,
        define: Some(Definition { rule: b"rule", job }),
    };
    tried(redis, &schedule)
}

/// Takes back what was held two hours ago.
pub(super) fn recover(redis: &mut InRedis) -> Tried {
    redis.set_clock(LATER * 1_000);
    let recover = Recover {
        expected_ms: LATER,
        tolerance_ms: 1,
        limit: 5,
        lease_ms: 60_000,
        gap_ms: 0,
        quiet_ms: 0,
        doubt: Doubt::None,
    };
    tried(redis, &recover)
}

pub(super) fn listed(redis: &mut InRedis, direction: Direction, only: Option<&Wanted>) -> Tried {
    tried(
        redis,
        &List {
            state: "waiting",
            direction,
            limit: 9,
            look_at: 9,
            only,
            bytes: 99,
            after: None,
        },
    )
}

pub(in crate::store::tests) fn report(stops: bool) -> Report<'static> {
    Report {
        worker: "w",
        age_ms: 5,
        stops,
        ttl_ms: 60_000,
        most: 5,
        about: b"about",
        number: 7,
        lines: "1 2 3 4 5:6 - mail",
    }
}

pub(super) fn receive(redis: &mut InRedis, messages: Vec<Vec<u8>>) -> Tried {
    let messages = numbered(7, messages);
    let (source, messages) = ("other", &messages[..]);
    tried(redis, &Receive { source, messages })
}

pub(super) fn orphans(redis: &mut InRedis, how: How) -> Tried {
    let (cursor, limit, lease_ms) = (Orphans::FIRST, 64, 5);
    tried(
        redis,
        &Orphans {
            cursor,
            limit,
            how,
            lease_ms,
        },
    )
}

/// A tick of the schedule that is there.
pub(super) fn tick() -> Entry {
    Entry {
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
    }
}

/// Jobs that hold one another back.
pub(super) fn held_back() -> [NewJob; 4] {
    let ordered = JobOptions::new().ordered_by("key");
    let grouped = JobOptions::new().group("group");
    [
        ("a", &ordered),
        ("b", &ordered),
        ("c", &grouped),
        ("d", &grouped),
    ]
    .map(|(id, options)| {
        let record = EncodedRecord::new("test", vec![0xc0], options, Vec::new());
        NewJob { record, ..job(id) }
    })
}

fn breaker_rules() -> Rules {
    let rules = BreakerSettings::new().rules();
    rules.expect("the defaults are allowed")
}

pub(super) fn look_at_breaker(redis: &mut InRedis, force: Force) -> Tried {
    let (rules, why) = (breaker_rules(), "ada");
    tried(redis, &Breaker { rules, force, why })
}

pub(super) fn permit(redis: &mut InRedis) -> Tried {
    let (rules, succeeded, probe) = (breaker_rules(), 2, 7);
    let permit = Permit {
        rules,
        succeeded,
        probe,
    };
    tried(redis, &permit)
}

pub(super) fn call_ended(redis: &mut InRedis, ended: End, probe: u64) -> Tried {
    let (rules, succeeded, why) = (breaker_rules(), 3, "down");
    let ended = CallEnded {
        rules,
        succeeded,
        ended,
        probe,
        why,
    };
    tried(redis, &ended)
}
