//! Alerts: what is promised of them, and the operation of the random sequences.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::dump::Dump;
use super::random::op::{Op, Operation};
use super::random::world::{World, Wrong, same};
use super::{Rig, on_both};
use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::job::record::EncodedRecord;
use crate::store::alert::{Alert, Change, Round, Stored};
use crate::store::alert_round::{AlertRound, Begun};
use crate::store::alerts::Alerts;

const EVERY_MS: u64 = 1_000;

/// A job that tells of an alert, in the order of its alert.
fn telling(id: &str, alert: &str) -> (JobId, EncodedRecord) {
    let options = JobOptions::new().ordered_by(alert);
    let record = EncodedRecord::new("test", vec![0xc0], &options, Vec::new());
    (JobId::new(id).unwrap(), record)
}

fn change(name: &str, seen: &str, stands: &str, job: Option<&str>) -> Change {
    Change {
        name: name.to_owned(),
        seen: seen.into(),
        stands: stands.into(),
        job: job.map(|id| telling(id, name)),
    }
}

/// One alert is new and told, and one is gone.
pub(super) fn changes() -> [Change; 2] {
    [
        change("deep mail", "", "fires", Some("told")),
        change("old mail", "well", "", None),
    ]
}

fn stored(stored: &[bool]) -> Stored {
    let stored = stored.to_vec();
    Stored::Done { stored }
}

impl Rig {
    fn begin_round(&mut self) -> Begun {
        self.call(&AlertRound { every_ms: EVERY_MS })
    }

    fn round(&mut self) -> u64 {
        match self.begin_round() {
            Begun::Yes { number, .. } => number,
            Begun::Later { ms } => panic!("only in {ms} ms"),
        }
    }

    fn change(&mut self, round: Option<u64>, changes: &[Change]) -> Stored {
        let every_ms = EVERY_MS;
        let round = round.map(|number| Round { number, every_ms });
        self.call(&Alert { round, changes })
    }

    fn alerts(&mut self) -> BTreeMap<String, String> {
        all_of(|verb| self.call(verb))
    }
}

/// All alerts, page by page.
fn all_of(
    mut call: impl FnMut(&Alerts<'_>) -> crate::store::alerts::Found,
) -> BTreeMap<String, String> {
    let (mut all, mut cursor) = (BTreeMap::new(), Alerts::ALL.to_owned());
    loop {
        let limit = 2;
        let cursor_before = cursor;
        let page = Alerts::page(&cursor_before, limit);
        let found = call(&page);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        all.extend(
            found
                .alerts
                .into_iter()
                .map(|(name, bytes)| (name, text(bytes))),
        );
        cursor = found.cursor;
        if cursor == Alerts::ALL {
            return all;
        }
    }
}

fn one_process_at_a_time_has_a_round(mut rig: Rig) {
    let now_ms = rig.now_us / 1_000;
    assert_eq!(rig.begin_round(), Begun::Yes { now_ms, number: 1 });
    assert_eq!(rig.begin_round(), Begun::Later { ms: EVERY_MS });
    rig.wait(Duration::from_millis(400));
    assert_eq!(rig.begin_round(), Begun::Later { ms: 600 });
    // It goes on for as long as something is stored.
    assert_eq!(rig.change(Some(1), &[]), stored(&[]));
    assert_eq!(rig.begin_round(), Begun::Later { ms: EVERY_MS });
    // Its process dies: it costs this round, and no other.
    rig.wait(Duration::from_millis(EVERY_MS));
    assert_eq!(rig.round(), 2);
    assert_eq!(rig.change(Some(1), &changes()), Stored::Over);
    assert_eq!((rig.size("waiting"), rig.alerts().len()), (0, 0));
    // Nobody waits for as long as the clock was set back.
    rig.now_us -= 3_600_000_000;
    rig.subject.set_clock(rig.now_us);
    assert_eq!(rig.round(), 3);
}

fn an_alert_and_the_job_that_tells_of_it_are_stored_in_one_step(mut rig: Rig) {
    let round = rig.round();
    let changes = changes();
    // The second is not there: it has changed since.
    assert_eq!(rig.change(Some(round), &changes), stored(&[true, false]));
    let there = BTreeMap::from([("deep mail".to_owned(), "fires".to_owned())]);
    assert_eq!((rig.alerts(), rig.size("waiting")), (there.clone(), 1));
    // The answer was lost, and the call is made again.
    assert_eq!(rig.change(Some(round), &changes), stored(&[false, false]));
    assert_eq!((rig.alerts(), rig.size("waiting")), (there, 1));
    // Somebody has acknowledged it while it was judged.
    let acknowledged = change("deep mail", "fires", "known", None);
    assert_eq!(rig.change(None, &[acknowledged]), stored(&[true]));
    let again = change("deep mail", "fires", "fires again", Some("again"));
    assert_eq!(rig.change(Some(round), &[again]), stored(&[false]));
    let resolved = change("deep mail", "known", "", Some("resolved"));
    assert_eq!(rig.change(Some(round), &[resolved]), stored(&[true]));
    // What tells of one alert is delivered in its order.
    assert_eq!((rig.alerts().len(), rig.size("waiting")), (0, 1));
    assert_eq!(rig.size("blocked"), 1);
}

fn one_alert_is_found_among_others(mut rig: Rig) {
    let round = rig.round();
    let changes = [
        change("deep mail", "", "fires", None),
        change("deep mail-2", "", "well", None),
    ];
    rig.change(Some(round), &changes);
    let one = |rig: &mut Rig, name: &str| rig.call(&Alerts::one(name));
    let found = one(&mut rig, "deep mail");
    let expected = [("deep mail".to_owned(), b"fires".to_vec())];
    assert_eq!(found.alerts, expected);
    assert_eq!(found.cursor, Alerts::ALL);
    assert_eq!(one(&mut rig, "deep").alerts, []);
}

fn a_call_changes_up_to_256_alerts(mut rig: Rig) {
    let name = |n: usize| format!("deep queue-{n:03}");
    let changes: Vec<_> = (0..256)
        .map(|n| change(&name(n), "", "fires", Some(&format!("job-{n}"))))
        .collect();
    let round = rig.round();
    assert_eq!(rig.change(Some(round), &changes), stored(&[true; 256]));
    assert_eq!((rig.alerts().len(), rig.size("waiting")), (256, 256));
}

/// A queue in which nothing is judged any more keeps nothing of it.
fn g8_what_is_stored_of_alerts_goes_a_day_after_the_last_round(mut rig: Rig) {
    rig.round();
    let day = 86_400_000 + EVERY_MS;
    let left = rig.subject.expires_ms("alerts");
    assert!(left.is_none() || left == Some(day.next_multiple_of(10_000)));
}

on_both!(
    one_process_at_a_time_has_a_round,
    an_alert_and_the_job_that_tells_of_it_are_stored_in_one_step,
    one_alert_is_found_among_others,
    a_call_changes_up_to_256_alerts,
    g8_what_is_stored_of_alerts_goes_a_day_after_the_last_round,
);

/// A process judges some alerts, or an operator changes one. Somebody looks at all of them.
#[derive(Debug)]
struct Judge {
    every_ms: u64,
    /// Begins a round; else it is that of the process before, which may be over.
    begins: bool,
    by_operator: bool,
    changes: Vec<One>,
}

#[derive(Debug, Clone)]
struct One {
    alert: u8,
    /// As it stood before.
    stale: bool,
    stands: Option<u8>,
    told: Option<u8>,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    let one = (
        0..4u8,
        prop::bool::weighted(0.2),
        option::weighted(0.8, 0..5u8),
        option::of(0..10u8),
    );
    let one = one.prop_map(|(alert, stale, stands, told)| One {
        alert,
        stale,
        stands,
        told,
    });
    let how = (
        select(&[50, EVERY_MS][..]),
        prop::bool::weighted(0.6),
        prop::bool::weighted(0.2),
        vec(one, 0..4),
    );
    how.prop_map(|(every_ms, begins, by_operator, mut changes)| {
        changes.sort_by_key(|change| change.alert);
        changes.dedup_by_key(|change| change.alert);
        Op::Other(Arc::new(Judge {
            every_ms,
            begins,
            by_operator,
            changes,
        }))
    })
}

impl Operation for Judge {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let every_ms = self.every_ms;
        let begun = match self.begins {
            true => Some(begin(world, &AlertRound { every_ms })?),
            false => None,
        };
        let there = world.redis.dump();
        let last = there.get("alerts", "round").and_then(|text| {
            let text = String::from_utf8_lossy(text).into_owned();
            text.split(' ').next()?.parse::<u64>().ok()
        });
        let number = match begun {
            Some(Begun::Yes { number, .. }) => number,
            // It takes itself for the process that has the round, or had the one before.
            _ => last.unwrap_or(0).saturating_sub(u64::from(!self.begins)),
        };
        let round = (!self.by_operator).then_some(Round { number, every_ms });
        let changes = self.changes.iter().map(|one| {
            let name = format!("rule-{} queue", one.alert);
            let seen = there.get("alerts", &name).cloned().unwrap_or_default();
            let seen = if one.stale { b"stale".to_vec() } else { seen };
            let stands = one.stands.map_or(Vec::new(), |byte| vec![b'a' + byte]);
            let job = one.told.map(|told| telling(&format!("job-{told}"), &name));
            Change {
                name,
                seen,
                stands,
                job,
            }
        });
        let changes: Vec<_> = changes.collect();
        let verb = Alert {
            round,
            changes: &changes,
        };
        let redis = world.redis.call(&verb)?;
        same("alert", &redis, &world.memory.call(&verb))?;
        told_as_stored(&there, &world.redis.dump(), &verb, &redis)?;
        let mut failed = None;
        let redis = all_of(|verb| or_note(world.redis.call(verb), &mut failed));
        failed.map_or(Ok(()), Err)?;
        same("alerts", &redis, &all_of(|verb| world.memory.call(verb)))?;
        for change in &changes {
            let one = Alerts::one(&change.name);
            let redis = world.redis.call(&one)?;
            same("one alert", &redis, &world.memory.call(&one))?;
        }
        Ok(())
    }
}

/// What must hold whatever the second implementation says: an alert and the job that tells of it change together, each only from what was seen.
fn told_as_stored(
    before: &Dump,
    after: &Dump,
    verb: &Alert<'_>,
    answer: &Stored,
) -> Result<(), Wrong> {
    let none = Vec::new();
    let is_stored = |at: usize| match answer {
        Stored::Done { stored } => stored[at],
        Stored::Over => false,
    };
    // Two changes may tell by a job of the same id: it is there if one of them is stored.
    let told = |id: &str| {
        let mut changes = verb.changes.iter().enumerate();
        changes.any(|(at, change)| {
            is_stored(at) && change.job.as_ref().is_some_and(|job| job.0.as_str() == id)
        })
    };
    for (at, change) in verb.changes.iter().enumerate() {
        let stood = before.get("alerts", &change.name).unwrap_or(&none);
        let stands = after.get("alerts", &change.name).unwrap_or(&none);
        let is_stored = is_stored(at);
        let expected = if is_stored { &change.stands } else { stood };
        let id = change.job.as_ref().map(|(id, _)| id.as_str());
        let was_there = id.is_some_and(|id| before.get("jobs", id).is_some());
        let is_there = id.is_some_and(|id| after.get("jobs", id).is_some());
        let is_told = id.is_none_or(|id| is_there == (told(id) || was_there));
        if stands != expected || is_stored && stood != &change.seen || !is_told {
            return Err(format!(
                "{change:?} is stored: {is_stored}, and stands {stands:?}"
            ));
        }
    }
    Ok(())
}

fn or_note(
    found: Result<<Alerts<'static> as crate::store::Verb>::Answer, Wrong>,
    failed: &mut Option<Wrong>,
) -> crate::store::alerts::Found {
    found.unwrap_or_else(|why| {
        *failed = Some(why);
        let (cursor, alerts) = (Alerts::ALL.to_owned(), Vec::new());
        crate::store::alerts::Found { cursor, alerts }
    })
}

fn begin(world: &mut World<'_>, verb: &AlertRound) -> Result<Begun, Wrong> {
    let redis = world.redis.call(verb)?;
    same("alert_round", &redis, &world.memory.call(verb))?;
    Ok(redis)
}
