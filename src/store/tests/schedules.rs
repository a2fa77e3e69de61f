//! What the scripts of schedules promise, one call at a time.

use std::collections::BTreeMap;

use super::{Rig, completed, on_both};
use crate::id::JobId;
use crate::job::record::EncodedRecord;
use crate::job::state::State;
use crate::store::fire::{Entry, Fire, Fired};
use crate::store::get::Get;
use crate::store::schedule::{Definition, NextTick, Schedule};
use crate::store::schedules::{Found, Schedules, StoredSchedule};
use crate::store::unschedule::Unschedule;

/// Long past: due.
pub(super) const T: u64 = 1_000_000;
pub(super) const FAR: u64 = 100_000_000_000_000;

fn record(bytes: usize) -> EncodedRecord {
    EncodedRecord::new("test", vec![7; bytes], &<_>::default(), Vec::new())
}

/// The state, as the script packs it.
pub(super) type Packed = (u64, u8, u64, u64, u64, u64, String, String);

impl Rig {
    pub(super) fn define(&mut self, name: &str, revision: u64, tick: NextTick) -> bool {
        self.define_job(name, revision, tick, &record(1))
    }

    fn define_job(
        &mut self,
        name: &str,
        revision: u64,
        tick: NextTick,
        job: &EncodedRecord,
    ) -> bool {
        let rule = b"rule";
        let change = Schedule {
            name,
            revision,
            paused: false,
            tick,
            seen: None,
            define: Some(Definition { rule, job }),
        };
        self.call(&change)
    }

    pub(super) fn stored(&mut self, name: &str) -> Option<StoredSchedule> {
        self.call(&Schedules::Named { name }).schedules.pop()
    }

    pub(super) fn state_of(&mut self, name: &str) -> Packed {
        let stored = self.stored(name).unwrap();
        rmp_serde::from_slice(&stored.state).unwrap()
    }

    fn fire_as(&mut self, worker: &str, entries: &[Entry]) -> Fired {
        let fire = Fire {
            worker,
            hold: true,
            entries,
            passed_ms: None,
        };
        self.call(&fire)
    }

    pub(super) fn fire(&mut self, entry: Entry) -> Option<u64> {
        self.fire_as("worker", &[entry]).verdicts[0]
    }

    pub(super) fn tick(&mut self) -> Option<String> {
        self.text_of("meta", "tick")
    }

    fn text_of(&mut self, part: &str, field: &str) -> Option<String> {
        let value = self.subject.dump().get(part, field).cloned()?;
        Some(String::from_utf8(value).unwrap())
    }
}

pub(super) fn entry(name: &str, revision: u64, tick_ms: u64) -> Entry {
    Entry {
        name: name.to_owned(),
        revision,
        tick_ms,
        ticks: vec![tick_ms],
        due_ms: vec![tick_ms],
        missed: 0,
        last_ms: tick_ms,
        next_ms: Some(tick_ms + 1_000),
        limit: None,
        no_overlap: false,
        priority: None,
        front: false,
    }
}

pub(super) fn at(ms: u64) -> NextTick {
    NextTick::At { ms }
}

fn s1_a_tick_is_fired_once_whoever_tries_and_however_often(mut rig: Rig) {
    // Nothing is kept of a job that is done: only the schedule itself can know.
    rig.keep_nothing();
    assert!(rig.define("s", 0, at(T)));
    assert_eq!(rig.fire(entry("s", 1, T)), Some(1));
    let claimed = rig.claim_one().unwrap();
    assert_eq!(claimed.id.as_str(), "s@1000000");
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    for _ in 0..2 {
        assert_eq!(rig.fire(entry("s", 1, T)), None);
    }
    assert_eq!(rig.size("waiting"), 0);
    let stored = rig.stored("s").unwrap();
    assert_eq!(stored.tick_ms, Some(T + 1_000));
    assert_eq!(rig.fire(entry("s", 1, T + 1_000)), Some(1));
    let (_, _, fired, ..) = rig.state_of("s");
    assert_eq!(fired, 2);
}

fn s1_a_tick_is_not_fired_before_its_time_by_the_servers_clock(mut rig: Rig) {
    rig.define("s", 0, at(FAR));
    assert_eq!(rig.fire(entry("s", 1, FAR)), None);
    assert_eq!(rig.size("jobs"), 0);
    assert_eq!(rig.stored("s").unwrap().tick_ms, Some(FAR));
}

fn s1_what_was_changed_removed_or_replaced_meanwhile_is_not_fired(mut rig: Rig) {
    rig.define("s", 0, at(T));
    let stale = || entry("s", 1, T);
    assert!(rig.define("s", 1, at(T)));
    assert_eq!(rig.fire(stale()), None);
    assert!(!rig.define("s", 1, at(T)), "seen too long ago");
    assert!(rig.call(&Unschedule { name: "s" }));
    assert!(!rig.call(&Unschedule { name: "s" }));
    assert_eq!(rig.fire(stale()), None);
    rig.define("s", 0, at(T));
    assert_eq!(rig.fire(stale()), None, "it is another one");
    assert_eq!(rig.size("jobs"), 0);
}

fn s2_no_overlap_skips_while_the_last_job_has_not_ended(mut rig: Rig) {
    rig.define("s", 0, at(T));
    let several = |tick_ms, ticks: &[u64]| Entry {
        ticks: ticks.to_vec(),
        due_ms: ticks.to_vec(),
        no_overlap: true,
        last_ms: *ticks.last().unwrap(),
        next_ms: Some(ticks.last().unwrap() + 1),
        ..entry("s", 1, tick_ms)
    };
    assert_eq!(rig.fire(several(T, &[T, T + 1, T + 2])), Some(1));
    let claimed = rig.claim_one().unwrap();
    assert_eq!(rig.fire(several(T + 3, &[T + 3])), Some(0));
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    assert_eq!(rig.fire(several(T + 4, &[T + 4])), Some(1));
    let state = rig.state_of("s");
    assert_eq!((state.2, state.4), (2, 3));
    assert_eq!((state.5, state.6.as_str()), (T + 4, "fired"));
    assert_eq!(state.7, format!("s@{}", T + 4));
}

fn s2_a_limit_is_kept_and_then_the_schedule_does_not_tick(mut rig: Rig) {
    rig.define("s", 0, at(T));
    let three = Entry {
        ticks: vec![T, T + 1, T + 2],
        due_ms: vec![T; 3],
        limit: Some(2),
        last_ms: T + 2,
        ..entry("s", 1, T)
    };
    assert_eq!(rig.fire(three), Some(2));
    assert_eq!(rig.size("waiting"), 2);
    assert_eq!(rig.stored("s").unwrap().tick_ms, None);
    assert_eq!(rig.tick(), None);
}

fn s2_what_is_given_up_is_counted_and_makes_no_job(mut rig: Rig) {
    rig.define("s", 0, at(T));
    let missed = Entry {
        ticks: vec![],
        due_ms: vec![],
        missed: 7,
        last_ms: T + 6,
        ..entry("s", 1, T)
    };
    assert_eq!(rig.fire(missed), Some(0));
    let state = rig.state_of("s");
    assert_eq!((state.3, state.5, state.6.as_str()), (7, T + 6, "missed"));
    assert_eq!(rig.size("jobs"), 0);
}

fn s3_the_jobs_are_ordinary_ones(mut rig: Rig) {
    let large = record(5_000);
    rig.define_job("big", 0, at(T), &large);
    let urgent = Entry {
        priority: Some(3),
        ..entry("big", 1, T)
    };
    assert_eq!(rig.fire(urgent), Some(1));
    rig.define("later", 0, at(T));
    let later = Entry {
        due_ms: vec![FAR],
        ..entry("later", 2, T)
    };
    assert_eq!(rig.fire(later), Some(1));

    let id = JobId::new("later@1000000").unwrap();
    assert_eq!(rig.state(&id), Some(State::Delayed));
    rig.check_whole(&id);
    let claimed = rig.claim_one().unwrap();
    assert_eq!(claimed.payload.as_deref(), Some(&[7; 5_000][..]));
    let found = rig.call(&Get { id: "big@1000000" }).unwrap();
    assert_eq!(found.state, "active");
    rig.check_whole(&claimed.id);
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    rig.check_whole(&claimed.id);
    assert_eq!(rig.total("added"), 2);
    let mut event = |position| rig.text_of("events", position).unwrap();
    assert_eq!(event("000000"), "added=big@1000000 ");
    let delayed = format!("added=later@1000000 delayed=later@1000000:{FAR} ");
    assert_eq!(event("000001"), delayed);
}

fn s3_an_id_that_is_there_already_is_left_alone(mut rig: Rig) {
    rig.define("s", 0, at(T));
    rig.enqueue(&[super::job("s@1000000")]);
    assert_eq!(rig.fire(entry("s", 1, T)), Some(1));
    assert_eq!(rig.size("waiting"), 1);
    let stored = rig.stored("s").unwrap();
    assert_eq!(stored.tick_ms, Some(T + 1_000));
}

fn s4_one_worker_sees_to_the_next_tick_until_it_is_late(mut rig: Rig) {
    rig.define("s", 0, at(FAR));
    assert_eq!(rig.tick(), Some(FAR.to_string()));
    let told = rig.subject.pop_token();
    assert_eq!(told, Some(FAR as f64), "an idle worker is told");
    // The first to look gets it, and keeps it.
    let first = rig.advance(&[], 1).tick_ms;
    assert_eq!(first, Some(FAR));
    assert_eq!(rig.advance(&[], 1).tick_ms, first);
    assert_eq!(rig.fire_as("other", &[]).tick_ms, None);

    // An earlier tick goes again to the worker that looks first.
    let now_ms = rig.advance(&[], 0).now_ms;
    rig.define("soon", 0, at(now_ms));
    assert_eq!(rig.fire_as("other", &[]).tick_ms, Some(now_ms));
    assert_eq!(rig.advance(&[], 1).tick_ms, None);
    rig.call(&Unschedule { name: "soon" });

    // A worker that is late has died.
    rig.define("late", 0, at(T));
    assert_eq!(rig.fire_as("other", &[]).tick_ms, Some(T));
    assert_eq!(rig.advance(&[], 1).tick_ms, Some(T));
    rig.call(&Unschedule { name: "late" });
    rig.call(&Unschedule { name: "s" });
    assert_eq!(rig.tick(), None);
    for part in ["schedules", "ticks"] {
        assert_eq!(rig.size(part), 0, "{part}");
    }
}

fn s4_a_worker_that_stops_hands_the_next_tick_on(mut rig: Rig) {
    rig.define("s", 0, at(FAR));
    assert_eq!(rig.advance(&[], 1).tick_ms, Some(FAR));
    rig.subject.pop_token();
    let stops = Fire {
        worker: "worker",
        hold: false,
        entries: &[],
        passed_ms: None,
    };
    assert_eq!(rig.call(&stops).tick_ms, None);
    assert_eq!(rig.tick(), Some(FAR.to_string()));
    assert_eq!(rig.size("wake"), 1);
}

fn s4_what_nobody_can_read_is_passed_over_for_a_while(mut rig: Rig) {
    rig.define("unreadable", 0, at(T));
    rig.define("later", 0, at(FAR));
    let now_ms = rig.advance(&[], 0).now_ms;
    let pass = |hold, passed_ms| Fire {
        worker: "worker",
        hold,
        entries: &[],
        passed_ms: Some(passed_ms),
    };
    // What comes next is another schedule, or a moment to look again. The tick itself stays due.
    let again = Some(now_ms + 20_000);
    assert_eq!(rig.call(&pass(true, now_ms)).tick_ms, again);
    assert_eq!(rig.advance(&[], 1).tick_ms, again);
    assert_eq!(rig.stored("unreadable").unwrap().tick_ms, Some(T));
    assert_eq!(rig.call(&pass(true, FAR - 1)).tick_ms, Some(FAR));
    // Handed on: an idle worker is told, and the worker that looks first takes it.
    rig.subject.pop_token();
    assert_eq!(rig.call(&pass(false, now_ms)).tick_ms, None);
    assert_eq!(rig.subject.pop_token(), again.map(|ms| ms as f64));
    assert_eq!(
        rig.fire_as("other", &[]).tick_ms,
        Some(T),
        "not passed over"
    );
}

fn s5_a_tick_that_is_not_there_any_more_cannot_be_kept(mut rig: Rig) {
    assert!(!rig.define("s", 0, NextTick::Keep));
    assert_eq!(rig.stored("s"), None);
    rig.define("s", 0, at(T));
    // Its last one was fired since the caller looked, which does not change the revision.
    rig.fire(Entry {
        limit: Some(1),
        ..entry("s", 1, T)
    });
    assert!(!rig.define("s", 1, NextTick::Keep));
    assert_eq!(rig.state_of("s").0, 1);
    assert!(rig.define("s", 1, at(T + 1_000)));
    assert_eq!(rig.stored("s").unwrap().tick_ms, Some(T + 1_000));
}

fn s1_a_tick_that_was_dealt_with_cannot_be_stored_again(mut rig: Rig) {
    rig.define("s", 0, at(T));
    rig.fire(entry("s", 1, T));
    // Another rhythm was worked out before that tick was fired, and has it as well.
    assert!(!rig.define("s", 1, at(T)));
    assert_eq!(rig.stored("s").unwrap().tick_ms, Some(T + 1_000));
    assert!(rig.define("s", 1, at(T + 1)));
}

fn s5_a_page_goes_on_by_name_whatever_is_removed_meanwhile(mut rig: Rig) {
    for n in 0..300_u64 {
        rig.define(&format!("s{n}"), 0, at(T + n));
    }
    let page = |cursor: &str, rig: &mut Rig| {
        let some = Schedules::Some { cursor, limit: 64 };
        rig.call(&some)
    };
    let mut found = page(Schedules::ALL, &mut rig);
    let names = |found: &Found| found.schedules.iter().map(|s| s.name.clone()).collect();
    let mut seen: Vec<String> = names(&found);
    for name in &seen {
        assert!(rig.call(&Unschedule { name }));
    }
    while found.cursor != Schedules::ALL {
        found = page(&found.cursor, &mut rig);
        let more: Vec<String> = names(&found);
        seen.extend(more);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 300);
}

fn s5_a_change_keeps_or_moves_the_tick_and_never_forgets_the_counts(mut rig: Rig) {
    rig.define("s", 0, at(T));
    rig.fire(entry("s", 1, T));
    assert!(rig.define("s", 1, NextTick::Keep));
    assert_eq!(rig.stored("s").unwrap().tick_ms, Some(T + 1_000));
    rig.define("s", 2, at(T + 9));
    assert_eq!(rig.stored("s").unwrap().tick_ms, Some(T + 9));
    let pause = Schedule {
        name: "s",
        revision: 3,
        paused: true,
        tick: NextTick::None,
        seen: None,
        define: None,
    };
    assert!(rig.call(&pause));
    let stored = rig.stored("s").unwrap();
    assert_eq!(
        (stored.tick_ms, stored.rule.as_slice()),
        (None, &b"rule"[..])
    );
    let state = rig.state_of("s");
    assert_eq!((state.0, state.1, state.2), (4, 1, 1));
}

fn s5_a_page_and_a_call_are_bounded_and_in_order(mut rig: Rig) {
    for n in 0..300_u64 {
        rig.define(&format!("s{n}"), 0, at(T + 300 - n));
    }
    let due = rig.call(&Schedules::due(0, 64));
    assert_eq!(due.schedules.len(), 64);
    assert_eq!(due.schedules[0].name, "s299");
    assert_eq!(rig.call(&Schedules::due(290, 64)).schedules.len(), 10);
    let mut seen = std::collections::BTreeSet::new();
    let mut cursor = Schedules::ALL.to_owned();
    loop {
        let some = Schedules::Some {
            cursor: &cursor,
            limit: 64,
        };
        let found = rig.call(&some);
        assert!(found.schedules.len() <= 128, "{}", found.schedules.len());
        seen.extend(found.schedules.into_iter().map(|stored| stored.name));
        cursor = found.cursor;
        if cursor == Schedules::ALL {
            break;
        }
    }
    assert_eq!(seen.len(), 300);
    let entries: Vec<Entry> = (0..256)
        .map(|n| entry(&format!("s{n}"), n + 1, T + 300 - n))
        .collect();
    let fired = rig.fire_as("worker", &entries);
    assert!(fired.verdicts.iter().all(|verdict| *verdict == Some(1)));
    assert_eq!(rig.size("waiting"), 256);
}

/// How often the server has carried out each command, those in scripts among them.
fn commands(rig: &mut Rig) -> BTreeMap<String, u64> {
    let stats = rig.subject.command_stats();
    let line = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let calls = rest.split(',').next()?.parse().ok()?;
        // Our own looking is not what is counted.
        (name != "info").then(|| (name.to_owned(), calls))
    };
    stats.lines().filter_map(line).collect()
}

#[test]
fn g7_a_job_is_read_only_where_a_tick_makes_one() {
    let mut rig = Rig::in_redis();
    rig.define_job("s", 0, at(T), &record(100_000));
    let given_up = |tick_ms| Entry {
        ticks: vec![],
        due_ms: vec![],
        missed: 1,
        ..entry("s", 1, tick_ms)
    };
    let none_left = |tick_ms| Entry {
        limit: Some(1),
        next_ms: None,
        ..entry("s", 1, tick_ms)
    };
    let mut reads = |entry: Entry| {
        let before = commands(&mut rig);
        assert!(rig.fire(entry).is_some());
        let after = commands(&mut rig);
        let of = |name: &str| after[name] - before.get(name).copied().unwrap_or(0);
        // Those of meta and of the states are always made.
        of("hmget") - 2
    };
    // Before a job is added, its id is looked up.
    assert_eq!(reads(entry("s", 1, T)), 2);
    assert_eq!(reads(given_up(T + 1_000)), 0);
    assert_eq!(reads(none_left(T + 2_000)), 0);
}

#[test]
fn s6_schedules_cost_a_call_nothing_whether_there_are_some_or_none() {
    let mut rig = Rig::in_redis();
    let mut counted = Vec::new();
    for round in 0..3 {
        if round == 2 {
            rig.define("s", 0, at(FAR));
        }
        // The first call of each kind may load a script, take the timer, or find nothing yet.
        rig.advance(&[], 1);
        let before = commands(&mut rig);
        rig.enqueue(&[super::job(&format!("a{round}"))]);
        let claimed = rig.claim_one().unwrap();
        assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
        rig.advance(&[], 1);
        let mut after = commands(&mut rig);
        after.retain(|name, calls| {
            *calls -= before.get(name).copied().unwrap_or(0);
            *calls > 0
        });
        counted.push(after);
    }
    assert_eq!(counted[1], counted[2]);
    for command in ["zmscore", "zscan", "hstrlen", "zrangebyscore"] {
        assert_eq!(counted[1].get(command), None, "{command}");
    }
}

on_both!(
    s1_a_tick_is_fired_once_whoever_tries_and_however_often,
    s1_a_tick_is_not_fired_before_its_time_by_the_servers_clock,
    s1_what_was_changed_removed_or_replaced_meanwhile_is_not_fired,
    s2_no_overlap_skips_while_the_last_job_has_not_ended,
    s2_a_limit_is_kept_and_then_the_schedule_does_not_tick,
    s2_what_is_given_up_is_counted_and_makes_no_job,
    s3_the_jobs_are_ordinary_ones,
    s3_an_id_that_is_there_already_is_left_alone,
    s4_one_worker_sees_to_the_next_tick_until_it_is_late,
    s4_a_worker_that_stops_hands_the_next_tick_on,
    s4_what_nobody_can_read_is_passed_over_for_a_while,
    s5_a_tick_that_is_not_there_any_more_cannot_be_kept,
    s1_a_tick_that_was_dealt_with_cannot_be_stored_again,
    s5_a_page_goes_on_by_name_whatever_is_removed_meanwhile,
    s5_a_change_keeps_or_moves_the_tick_and_never_forgets_the_counts,
    s5_a_page_and_a_call_are_bounded_and_in_order,
);
