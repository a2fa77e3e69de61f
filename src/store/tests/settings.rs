//! What is set for a queue: stored, changed, declared, and obeyed.

use std::time::Duration;

use super::*;
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::outcome::DeadReason;
use crate::policy::order::{OnFailure, Order};
use crate::policy::retention::Retention;
use crate::policy::settings::SettingsInForce;
use crate::store::list::{Direction, List};
use crate::store::recover::{Doubt, Recover, Recovered};
use crate::store::remove::Remove;
use crate::store::settings::{Found, Settings};
use crate::store::trim::{Trim, Trimmed};

const HOUR: Retention = Retention::For(Duration::from_secs(3_600));

fn said() -> QueueSettings {
    QueueSettings::new()
}

impl Rig {
    pub(super) fn configure(&mut self, by: By, settings: QueueSettings) -> SettingsInForce {
        let said = &settings.values();
        match self.call(&Configure { by, said }) {
            Configured::Done {
                after, declared, ..
            } => SettingsInForce::read(&after, &declared).unwrap(),
            Configured::Unreadable => panic!("it is unreadable"),
        }
    }

    fn settings(&mut self) -> SettingsInForce {
        let Found { settings, declared } = self.call(&Settings);
        SettingsInForce::read(&settings, &declared).unwrap()
    }

    pub(super) fn trim(&mut self) -> Trimmed {
        self.call(&Trim {
            limit: 100,
            lane_ttl_ms: 60_000,
            lanes_cursor: "0",
        })
    }

    /// Enqueues jobs and completes them, each with what it says of its retention.
    fn complete(&mut self, ids: &[&str], keep: Option<Retention>) {
        let jobs: Vec<_> = ids.iter().map(|id| job(id)).collect();
        self.enqueue(&jobs);
        let claimed = self.advance(&[], ids.len()).claimed;
        assert_eq!(claimed.len(), ids.len());
        let ended: Vec<_> = claimed
            .iter()
            .map(|claimed| Settlement {
                keep,
                ..settlement(&claimed.id, &claimed.receipt, completed())
            })
            .collect();
        assert!(self.advance(&ended, 0).refused.is_empty());
    }

    fn completed(&mut self) -> Vec<String> {
        let page = self.call(&List {
            state: State::Completed.as_str(),
            direction: Direction::Forward,
            limit: 100,
            look_at: 100,
            only: None,
            bytes: BATCH_BYTES,
            after: None,
        });
        page.jobs.into_iter().map(|(id, _)| id).collect()
    }

    /// Another program writes the stored text.
    fn write(&mut self, settings: &str) {
        match &mut self.subject {
            Subject::Redis(redis) => {
                let key = redis.key("meta");
                let _: u64 = redis.ask(redis::cmd("HSET").arg(key).arg("settings").arg(settings));
            }
            Subject::Memory(memory) => memory.set_settings(settings),
        }
    }
}

fn only_what_is_said_is_changed_and_each_change_has_a_revision(mut rig: Rig) {
    let never = rig.settings();
    assert_eq!((never.revision, never.set), (0, said()));
    let first = rig.configure(By::Operator, said().keep_at_most(5));
    assert_eq!((first.revision, first.keep_at_most), (1, 5));
    assert_eq!(first.keep_completed, Retention::DEFAULT);
    // The same again changes nothing.
    assert_eq!(rig.configure(By::Operator, said().keep_at_most(5)), first);
    assert_eq!(rig.configure(By::Operator, said()), first);
    let second = said().max_stalls(2).keep_completed(HOUR);
    let second = rig.configure(By::Operator, second);
    assert_eq!(
        second.set,
        said().keep_at_most(5).max_stalls(2).keep_completed(HOUR)
    );
    assert_eq!((second.revision, second.keep_at_most), (2, 5));
    assert_eq!((second.max_stalls, second.keep_completed), (2, HOUR));
    assert_eq!(rig.settings(), second);
    let all = said().keep_at_most(u64::MAX).keep_events(u64::MAX);
    let all = rig.configure(By::Operator, all);
    assert_eq!((all.keep_at_most, all.keep_events), (u64::MAX, u64::MAX));
}

fn what_an_operator_changes_stays_until_the_code_says_something_else(mut rig: Rig) {
    let code = said().keep_at_most(5).max_stalls(2);
    let found = rig.configure(By::Code, code);
    assert_eq!((found.set, found.declared, found.revision), (code, code, 1));
    let found = rig.configure(By::Operator, said().keep_at_most(9));
    assert_eq!((found.keep_at_most, found.declared), (9, code));

    // The worker is restarted, or looks whether all is still there.
    assert_eq!(rig.configure(By::Code, code), found);
    assert_eq!(rig.configure(By::Again, code), found);
    // The code changes: only what it says otherwise.
    let other = said().keep_at_most(5).max_stalls(3);
    let found = rig.configure(By::Code, other);
    assert_eq!((found.keep_at_most, found.max_stalls), (9, 3));
    let other = said().keep_at_most(6).max_stalls(3);
    let found = rig.configure(By::Code, other);
    assert_eq!((found.keep_at_most, found.declared), (6, other));
    // A worker of before looks whether all is still there.
    assert_eq!(rig.configure(By::Again, code), found);

    // What it does not say any more stays: another worker may say it.
    let found = rig.configure(By::Code, said().keep_events(9));
    assert_eq!(
        (found.set, found.declared),
        (other.keep_events(9), other.keep_events(9))
    );
    assert_eq!(rig.configure(By::Code, other), found);
}

fn what_was_declared_and_is_lost_is_stored_again(mut rig: Rig) {
    let code = said().keep_at_most(5);
    rig.configure(By::Code, code);
    rig.clear();
    assert_eq!(rig.settings().keep_at_most, 1_000);
    assert_eq!(rig.configure(By::Again, code).keep_at_most, 5);
    // Of two workers that declare different settings each stores its own.
    let both = rig.configure(By::Again, said().max_stalls(2));
    assert_eq!((both.keep_at_most, both.max_stalls), (5, 2));
    assert_eq!(rig.configure(By::Again, code.max_stalls(9)), both);
}

fn what_a_newer_version_wrote_is_left_alone_and_the_defaults_hold(mut rig: Rig) {
    let newer = "2 17 keep_completed_ms=0 max_stalls=none";
    rig.write(newer);
    let by = By::Operator;
    let said = &said().keep_at_most(1).values();
    for by in [by, By::Code, By::Again] {
        let refused = rig.call(&Configure { by, said });
        assert_eq!(refused, Configured::Unreadable);
    }
    assert_eq!(rig.call(&Settings).settings, newer);
    rig.complete(&["a", "b"], None);
    let trimmed = rig.trim();
    assert!(trimmed.unreadable);
    assert_eq!(rig.completed().len(), 2, "one day, and 1,000");

    // What is no format is overwritten.
    rig.write("garbage max_stalls=0");
    assert!(!rig.trim().unreadable);
    let stored = rig.call(&Configure { by, said });
    assert!(matches!(stored, Configured::Done { after, .. } if after == "1 1 keep_at_most=1"));
    assert_eq!(rig.trim().dropped, 1);
    // What the same format holds beside is kept, and passed over.
    rig.write("1 3 keep_at_most=1 zoom=7");
    let by = By::Operator;
    let said = &QueueSettings::new().keep_at_most(3).values();
    let stored = rig.call(&Configure { by, said });
    assert!(
        matches!(stored, Configured::Done { after, .. } if after == "1 4 keep_at_most=3 zoom=7")
    );
}

fn what_asks_for_a_retention_of_its_own_is_not_counted_and_not_dropped(mut rig: Rig) {
    rig.configure(By::Operator, said().keep_at_most(3));
    rig.complete(&["long-1", "long-2", "long-3", "long-4"], Some(HOUR));
    for id in ["a", "b", "c", "d", "e"] {
        rig.wait(Duration::from_secs(1));
        rig.complete(&[id], None);
    }
    let kept = ["c", "d", "e", "long-1", "long-2", "long-3", "long-4"];
    assert_eq!(rig.completed(), kept);
    assert_eq!(rig.trim().dropped, 0);
    rig.wait(Duration::from_secs(3_600));
    // Each goes when it has to: of the others one day is not over.
    assert_eq!(rig.trim().dropped, 4);
    assert_eq!(rig.completed(), ["c", "d", "e"]);
    rig.check_whole(&JobId::new("long-1").unwrap());

    // Those that ended first go first, even if they were to be kept for longer.
    rig.configure(By::Operator, said().keep_completed(HOUR));
    rig.complete(&["f"], None);
    assert_eq!(rig.completed(), ["d", "e", "f"]);
    rig.configure(By::Operator, said().keep_at_most(1));
    assert_eq!(rig.trim().dropped, 2);
    assert_eq!(rig.completed(), ["f"]);
}

fn a_change_of_the_retention_holds_for_what_is_kept_already(mut rig: Rig) {
    rig.complete(&["a"], None);
    rig.wait(Duration::from_secs(60));
    rig.complete(&["b"], None);
    rig.complete(&["own"], Some(HOUR));
    let minute = Retention::For(Duration::from_secs(60));
    rig.configure(By::Operator, said().keep_completed(minute));
    assert_eq!(rig.trim().dropped, 1);
    assert_eq!(rig.completed(), ["b", "own"]);
    rig.configure(By::Operator, said().keep_completed(Retention::Nothing));
    assert_eq!(rig.trim().dropped, 1);
    assert_eq!(rig.completed(), ["own"]);
}

fn what_somebody_waits_for_moves_to_the_others_by_when_it_ended(mut rig: Rig) {
    let mut waits = job("waits");
    waits.await_ms = Some(60_000);
    rig.enqueue(&[waits]);
    let claimed = rig.claim_one().unwrap();
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    rig.wait(Duration::from_secs(30));
    rig.complete(&["later"], None);
    assert_eq!(rig.completed(), ["later", "waits"]);
    rig.wait(Duration::from_secs(31));
    rig.trim();
    assert_eq!(rig.completed(), ["waits", "later"]);
    rig.configure(By::Operator, said().keep_at_most(1));
    rig.trim();
    assert_eq!(rig.completed(), ["later"]);
}

fn g6_whoever_looks_a_job_is_dead_after_as_many_stalls_as_are_set(mut rig: Rig) {
    let look = |rig: &mut Rig| {
        let verb = Recover {
            expected_ms: rig.now_us / 1_000,
            tolerance_ms: 0,
            limit: 10,
            lease_ms: 1_000,
            gap_ms: u64::MAX >> 12,
            quiet_ms: 0,
            doubt: Doubt::None,
        };
        match rig.call(&verb) {
            Recovered::Done { stalled, dead, .. } => (stalled.len(), dead.len()),
            Recovered::Unsure { .. } => (0, 0),
        }
    };
    rig.lease_ms = 1_000;
    for (set, survives) in [(None, 4), (Some(1), 1), (Some(0), 0)] {
        if let Some(stalls) = set {
            rig.configure(By::Operator, said().max_stalls(stalls));
        }
        rig.enqueue(&[job("a")]);
        for stalls in 0..=survives {
            let claimed = rig.claim_one().unwrap();
            assert_eq!(claimed.stalls, stalls);
            let set = set.unwrap_or(4);
            assert_eq!(
                claimed.alone,
                stalls > 0 && stalls + 3 > set,
                "{stalls} of {set}"
            );
            rig.wait(Duration::from_secs(2));
            let found = if stalls < survives { (1, 0) } else { (0, 1) };
            assert_eq!(look(&mut rig), found, "{stalls} of {set}");
        }
        let ids = &[JobId::new("a").unwrap()];
        assert_eq!(
            rig.call(&crate::store::remove::Remove::of(ids))
                .removed
                .len(),
            1
        );
    }
}

fn events_are_not_kept_and_their_numbers_run_on(mut rig: Rig) {
    rig.complete(&["a"], None);
    let before = rig.size("events");
    assert!(before > 0);
    let number = |rig: &mut Rig| -> u64 {
        let dump = rig.subject.dump();
        let number = dump.get("meta", "event").unwrap().clone();
        String::from_utf8(number).unwrap().parse().unwrap()
    };
    let first = number(&mut rig);
    rig.configure(By::Operator, said().keep_events(0));
    assert_eq!(rig.size("events"), 0, "what was there is gone");
    rig.complete(&["b"], None);
    assert_eq!(rig.size("events"), 0);
    assert_eq!(number(&mut rig), first + 3);
    rig.configure(By::Operator, said().keep_events(10));
    rig.complete(&["c"], None);
    assert!(rig.size("events") > 0);
    assert_eq!(number(&mut rig), first + 6);
}

#[test]
fn the_defaults_are_the_same_in_the_scripts() {
    let lua = include_str!("../../../lua/lib/settings.lua");
    let defaults = SettingsInForce::read("", "").unwrap();
    let keep_completed_ms = defaults.keep_completed.as_millis();
    for (name, number) in [
        ("keep_completed_ms", keep_completed_ms),
        ("keep_at_most", defaults.keep_at_most),
        ("max_stalls", u64::from(defaults.max_stalls)),
        ("keep_events", defaults.keep_events),
    ] {
        assert!(lua.contains(&format!(" {name} = {number},")), "{name}");
    }
}

impl Rig {
    /// Jobs die one after the other, a minute apart.
    fn bury(&mut self, ids: &[&str], options: &JobOptions) {
        for id in ids {
            self.wait(Duration::from_secs(60));
            self.enqueue(&[with(id, options)]);
            let claimed = self.claim_one().unwrap();
            let entry = AttemptEntry::new(AttemptKind::Error, "broken".into());
            let reason = DeadReason::Declared;
            let outcome = Outcome::Dead { reason, entry };
            let settlement = Settlement {
                traits: EndTraits::of(&claimed.record),
                ..settlement(&claimed.id, &claimed.receipt, outcome)
            };
            assert!(self.advance(&[settlement], 0).refused.is_empty());
        }
    }

    fn dead(&mut self) -> Vec<String> {
        self.subject.dump().names("dead").into_iter().collect()
    }
}

fn dead_letters_are_dropped_only_if_that_is_set(mut rig: Rig) {
    rig.bury(&["a", "b", "c", "d", "e"], &JobOptions::new());
    rig.wait(Duration::from_secs(3_600 * 24 * 365));
    assert_eq!(rig.trim().dead_dropped, 0);
    rig.configure(By::Operator, said().keep_dead_at_most(3));
    let trimmed = rig.trim();
    assert_eq!((trimmed.dead_dropped, trimmed.dead), (2, 3));
    assert_eq!(rig.dead(), ["c", "d", "e"]);
    assert_eq!((rig.total("dead_dropped"), rig.total("removed")), (2, 0));
    for id in ["a", "b", "c"] {
        rig.check_whole(&JobId::stored(id));
    }
    rig.configure(By::Operator, said().keep_dead_at_most(u64::MAX));
    rig.bury(&["f", "g"], &JobOptions::new());
    rig.configure(By::Operator, said().keep_dead(Duration::from_secs(60)));
    assert_eq!(rig.trim().dead_dropped, 4);
    assert_eq!(rig.dead(), ["g"]);
    rig.configure(By::Operator, said().keep_dead(None));
    rig.wait(Duration::from_secs(3_600));
    assert_eq!((rig.trim().dead_dropped, rig.dead().len()), (0, 1));
}

/// However many stay that died before it.
fn a_dead_letter_behind_those_that_stay_is_dropped(mut rig: Rig) {
    rig.traits = true;
    let halting = |n: usize| {
        JobOptions::new().ordered_by(Order::by(format!("k {n}")).on_failure(OnFailure::Halt))
    };
    for n in 0..5 {
        rig.bury(&[&format!("halts-{n}")], &halting(n));
    }
    rig.bury(&["a", "b", "c"], &JobOptions::new());
    rig.configure(By::Operator, said().keep_dead_at_most(6));
    let trim = |rig: &mut Rig| {
        let verb = Trim {
            limit: 3,
            lane_ttl_ms: 60_000,
            lanes_cursor: "0",
        };
        rig.call(&verb).dead_dropped
    };
    let dropped: Vec<u64> = (0..4).map(|_| trim(&mut rig)).collect();
    assert_eq!(dropped, [0, 1, 1, 0]);
    assert_eq!(rig.dead()[0], "c", "`a` and `b` are gone");
    // It begins again with the first: one of these has nothing to hold back any more.
    rig.call(&Remove::of(&[JobId::stored("halts-4")]));
    rig.bury(&["d", "e"], &JobOptions::new());
    let dropped: u64 = (0..4).map(|_| trim(&mut rig)).sum();
    assert_eq!(dropped, 1);
}

/// The jobs behind it would go on as if it had been done.
fn a_dead_job_that_halts_its_order_is_not_dropped(mut rig: Rig) {
    rig.traits = true;
    let halting = JobOptions::new().ordered_by(Order::by("k").on_failure(OnFailure::Halt));
    rig.bury(&["halts"], &halting);
    rig.bury(&["a", "b"], &JobOptions::new());
    rig.configure(By::Operator, said().keep_dead_at_most(1));
    assert_eq!(
        (rig.trim().dead_dropped, rig.dead()),
        (2, vec!["halts".into()])
    );
    rig.configure(By::Operator, said().keep_dead(Duration::ZERO));
    assert_eq!((rig.trim().dead_dropped, rig.dead().len()), (0, 1));
    rig.enqueue(&[with("behind", &halting)]);
    assert!(rig.claim_one().is_none());
}

on_both!(
    dead_letters_are_dropped_only_if_that_is_set,
    a_dead_letter_behind_those_that_stay_is_dropped,
    a_dead_job_that_halts_its_order_is_not_dropped,
    only_what_is_said_is_changed_and_each_change_has_a_revision,
    what_an_operator_changes_stays_until_the_code_says_something_else,
    what_was_declared_and_is_lost_is_stored_again,
    what_a_newer_version_wrote_is_left_alone_and_the_defaults_hold,
    what_asks_for_a_retention_of_its_own_is_not_counted_and_not_dropped,
    a_change_of_the_retention_holds_for_what_is_kept_already,
    what_somebody_waits_for_moves_to_the_others_by_when_it_ended,
    g6_whoever_looks_a_job_is_dead_after_as_many_stalls_as_are_set,
    events_are_not_kept_and_their_numbers_run_on,
);
