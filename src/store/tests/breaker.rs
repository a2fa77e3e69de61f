//! Breakers: what is promised.

pub(super) mod operations;

use std::time::Duration;

use super::{Rig, on_both};
use crate::policy::breaker::{BreakerState, Rules};
use crate::store::breaker::{Breaker, Force, Found};
use crate::store::call_ended::{CallEnded, Counted, End};
use crate::store::permit::{May, Permit, Permitted};

const RULES: Rules = Rules {
    failures: 3,
    window_ms: 10_000,
    permille: 0,
    calls: 0,
    open_ms: 5_000,
    probes: 2,
    probe_ms: 20_000,
    rate: 10,
    rise_ms: 4_000,
};

impl Rig {
    fn permit_by(&mut self, rules: Rules, probe: u64) -> Permitted {
        let succeeded = 0;
        self.call(&Permit {
            rules,
            succeeded,
            probe,
        })
    }

    fn permit(&mut self) -> Permitted {
        self.permit_by(RULES, 99)
    }

    /// A call that goes as a probe; its number.
    fn probe(&mut self, number: u64) -> u64 {
        let may = self.permit_by(RULES, number).may;
        assert_eq!(may, May::Probe);
        number
    }

    fn wait_of(&mut self) -> u64 {
        match self.permit().may {
            May::Wait(ms) => ms,
            other => panic!("{other:?}"),
        }
    }

    fn ended_with(&mut self, rules: Rules, ended: End, probe: u64) -> Counted {
        self.call(&CallEnded {
            rules,
            succeeded: 0,
            ended,
            probe,
            why: "it is down",
        })
    }

    fn ended(&mut self, ended: End, probe: u64) -> Counted {
        self.ended_with(RULES, ended, probe)
    }

    fn fails(&mut self) -> Counted {
        self.ended(End::Failed, 0)
    }

    fn trip(&mut self) {
        let changes = [None, None, Some(BreakerState::Open)];
        for changed in changes {
            let counted = self.fails();
            assert_eq!((counted.wait_ms, counted.changed), (None, changed));
        }
    }

    fn force(&mut self, force: Force) -> Found {
        let (rules, why) = (RULES, "forced by ada");
        self.call(&Breaker { rules, force, why })
    }

    fn stands(&mut self) -> Found {
        self.force(Force::Nothing)
    }

    fn pass(&mut self, ms: u64) {
        self.wait(Duration::from_millis(ms));
    }

    /// One that is half-open, with a probe under way.
    pub(super) fn break_and_probe(&mut self) {
        self.trip();
        self.pass(5_000);
        self.probe(1);
    }
}

fn failures_open_it_for_a_while(mut rig: Rig) {
    let first = rig.permit();
    assert_eq!((first.may, first.is_first), (May::Closed, true));
    rig.trip();
    let found = rig.stands();
    assert_eq!((found.state, found.opened), (BreakerState::Open, 1));
    assert_eq!(
        (found.until_ms - found.since_ms, found.failures),
        (5_000, 0)
    );
    assert_eq!(found.why, "it is down");
    // What fails from now on is not counted: such calls were under way.
    let late = rig.fails();
    assert!(late.wait_ms.is_some_and(|ms| ms > 5_000));
    let refused = rig.permit();
    assert_eq!(refused.why, "it is down");
    assert!(!refused.is_first);
    assert_eq!(rig.stands().opened, 1);
    rig.pass(4_999);
    rig.wait_of();
    rig.pass(1);
    rig.probe(2);
    assert_eq!(rig.stands().state, BreakerState::HalfOpen);
}

/// Jobs come back one after the other, in the order in which they were refused, more and more of them in each second.
fn turns_are_given_in_order_at_a_rising_rate(mut rig: Rig) {
    rig.trip();
    let waits: Vec<u64> = (0..1_000).map(|_| rig.wait_of()).collect();
    assert!(waits.is_sorted());
    let within = |from: u64, to: u64| waits.iter().filter(|ms| (from..to).contains(*ms)).count();
    assert_eq!(within(0, 5_000), 0);
    for (second, calls) in [(5, 15), (6, 25), (7, 35)] {
        let turns = within(second * 1_000, (second + 1) * 1_000);
        assert!(turns.abs_diff(calls) <= 1, "{second}: {turns}");
    }
    assert!(waits[999] < 25_000, "{}", waits[999]);
}

/// The longer it takes, the less often each job asks; and never less often than once in a few minutes.
fn turns_go_on_while_probes_fail(mut rig: Rig) {
    rig.trip();
    let mut waits = Vec::new();
    for _ in 0..3 {
        for _ in 0..100 {
            rig.wait_of();
        }
        waits.push(rig.wait_of());
        rig.pass(5_000);
        let probe = rig.probe(3);
        rig.ended(End::Failed, probe);
    }
    // As many turns behind one another as there are: sqrt(1 + 2 * n / 10) - 1 seconds.
    for (wait, turns) in waits.iter().zip([101.0, 203.0, 305.0]) {
        let expected = 5_000.0 + 1_000.0 * (f64::sqrt(1.0 + turns / 5.0) - 1.0);
        assert!((*wait as f64 - expected).abs() < 2.0, "{wait} {expected}");
    }
    let rules = Rules { rate: 1, ..RULES };
    rig.pass(5_000);
    rig.probe(4);
    rig.pass(400_000);
    let probe = rig.probe(5);
    rig.probe(6);
    rig.permit_by(rules, 99);
    rig.ended(End::Failed, probe);
    let may = rig.permit_by(rules, 99).may;
    assert_eq!(may, May::Wait(305_000));
    // When calls flow, turns begin again.
    rig.force(Force::Closed);
    rig.force(Force::Automatic);
    rig.trip();
    assert!(rig.wait_of() < 5_200);
}

fn a_few_probes_decide(mut rig: Rig) {
    rig.trip();
    rig.pass(5_000);
    let probes = [rig.probe(7), rig.probe(8)];
    rig.wait_of();
    // One goes well; the other one has still to tell, and no third one goes.
    assert_eq!(rig.ended(End::Well, probes[0]).changed, None);
    rig.wait_of();
    let ended = rig.ended(End::Well, probes[1]);
    assert_eq!(ended.changed, Some(BreakerState::Rising));
    // A probe that tells it again, or late, says nothing.
    assert_eq!(rig.ended(End::Well, probes[1]).changed, None);
    assert_eq!(rig.stands().state, BreakerState::Rising);

    rig.pass(4_000);
    assert_eq!(rig.permit().changed, Some(BreakerState::Closed));
    rig.trip();
    rig.pass(5_000);
    let (first, second) = (rig.probe(9), rig.probe(10));
    let ended = rig.ended(End::Failed, first);
    assert_eq!(ended.changed, Some(BreakerState::Open));
    assert!(ended.wait_ms.is_some());
    assert_eq!(rig.ended(End::Well, second).changed, None);
    let found = rig.stands();
    assert_eq!((found.state, found.opened), (BreakerState::Open, 2));
    assert_eq!(found.until_ms - found.since_ms, 5_000);
}

fn a_probe_that_does_not_tell_is_forgotten(mut rig: Rig) {
    rig.trip();
    rig.pass(5_000);
    let (first, second) = (rig.probe(11), rig.probe(12));
    // Dropped with its handler: another one goes in its place, when as much time has passed as before the first one.
    rig.ended(End::Dropped, first);
    assert_eq!(rig.stands().probes, 1);
    rig.pass(4_999);
    rig.wait_of();
    rig.pass(1);
    // It does not tell anything more.
    assert_eq!(rig.ended(End::Failed, first).changed, None);
    rig.probe(13);
    rig.pass(14_999);
    rig.wait_of();
    // The second has not told for 20 s.
    rig.pass(1);
    let third = rig.probe(14);
    rig.wait_of();
    rig.pass(5_000);
    let fourth = rig.probe(15);
    // It tells after all.
    assert_eq!(rig.ended(End::Failed, second).changed, None);
    assert_eq!(rig.stands().state, BreakerState::HalfOpen);
    rig.ended(End::Well, third);
    rig.ended(End::Well, fourth);
    assert_eq!(rig.stands().state, BreakerState::Rising);
}

fn calls_flow_at_a_rising_rate_when_it_closes(mut rig: Rig) {
    rig.break_and_probe();
    rig.ended(End::Well, 1);
    let second = rig.probe(16);
    rig.ended(End::Well, second);
    let mut passed = Vec::new();
    for _ in 0..3 {
        rig.pass(1_000);
        let goes = |rig: &mut Rig| rig.permit().may == May::Pass;
        passed.push((0..100).filter(|_| goes(&mut rig)).count());
    }
    assert_eq!(passed, [15, 25, 35]);
    // Behind all that were refused meanwhile.
    assert!(rig.wait_of() > 1_000);
    rig.pass(1_000);
    let permitted = rig.permit();
    assert_eq!(permitted.may, May::Closed);
    assert_eq!(permitted.changed, Some(BreakerState::Closed));
}

fn failures_count_while_it_rises(mut rig: Rig) {
    rig.break_and_probe();
    rig.ended(End::Well, 1);
    let second = rig.probe(17);
    rig.ended(End::Well, second);
    rig.fails();
    rig.pass(4_000);
    assert_eq!(rig.permit().changed, Some(BreakerState::Closed));
    assert_eq!(rig.stands().failures, 1);
    rig.fails();
    assert_eq!(rig.fails().changed, Some(BreakerState::Open));
    // And without time to rise it is closed at once.
    rig.pass(5_000);
    let rules = Rules {
        rise_ms: 0,
        probes: 1,
        ..RULES
    };
    let probe = rig.probe(18);
    let ended = rig.ended_with(rules, End::Well, probe);
    assert_eq!(ended.changed, Some(BreakerState::Closed));
}

fn old_failures_do_not_count(mut rig: Rig) {
    rig.fails();
    rig.fails();
    rig.pass(11_000);
    assert_eq!(rig.fails().changed, None);
    assert_eq!(rig.stands().failures, 1);
    rig.pass(9_999);
    rig.fails();
    assert_eq!(rig.fails().changed, Some(BreakerState::Open));
}

/// While a release with another window is rolled out, failures are counted by both.
fn processes_may_have_different_windows(mut rig: Rig) {
    let long = Rules {
        window_ms: 3_600_000,
        ..RULES
    };
    rig.ended_with(long, End::Failed, 0);
    rig.pass(100_000);
    assert_eq!(rig.fails().changed, None);
    assert_eq!(rig.stands().failures, 1);
    let opened = rig.ended_with(long, End::Failed, 0).changed;
    assert_eq!(opened, Some(BreakerState::Open));
    // What is kept has a bound.
    rig.force(Force::Closed);
    for _ in 0..100 {
        rig.pass(1_000);
        rig.fails();
        rig.permit_by(long, 99);
    }
    assert_eq!(rig.stands().failures, 100);
    let window = rig.subject.dump().get("breaker", "window").cloned();
    let window = String::from_utf8(window.unwrap()).unwrap();
    assert_eq!(window.split(' ').count(), 24);
}

/// Operators do not know the settings of the application.
fn those_who_look_need_no_settings(mut rig: Rig) {
    let long = Rules {
        window_ms: 60_000,
        open_ms: 90_000,
        probe_ms: 900_000,
        ..RULES
    };
    for _ in 0..2 {
        rig.ended_with(long, End::Failed, 0);
        rig.pass(12_000);
    }
    assert_eq!(rig.stands().failures, 2);
    rig.force(Force::Closed);
    rig.force(Force::Automatic);
    assert_eq!(rig.stands().failures, 2);
    let opened = rig.ended_with(long, End::Failed, 0).changed;
    assert_eq!(opened, Some(BreakerState::Open));
    let found = rig.stands();
    assert_eq!(found.until_ms - found.since_ms, 90_000);
    rig.pass(90_000);
    assert_eq!(rig.permit_by(long, 1).may, May::Probe);
    rig.pass(30_000);
    assert_eq!(rig.stands().probes, 1);
}

fn a_ratio_of_enough_calls_is_asked_for(mut rig: Rig) {
    let rules = Rules {
        permille: 500,
        calls: 10,
        ..RULES
    };
    for _ in 0..6 {
        assert_eq!(rig.ended_with(rules, End::Failed, 0).changed, None);
    }
    let (succeeded, probe) = (8, 99);
    rig.call(&Permit {
        rules,
        succeeded,
        probe,
    });
    let found = rig.stands();
    assert_eq!((found.calls, found.failures), (14, 6));
    assert_eq!(rig.ended_with(rules, End::Failed, 0).changed, None);
    assert_eq!(
        rig.ended_with(rules, End::Failed, 0).changed,
        Some(BreakerState::Open)
    );
}

fn operators_force_it(mut rig: Rig) {
    let found = rig.force(Force::Open);
    assert_eq!((found.state, found.is_forced), (BreakerState::Open, true));
    assert_eq!((&found.why[..], found.opened), ("forced by ada", 0));
    // It stays open, and its turns go on.
    let first = rig.wait_of();
    for _ in 0..50 {
        rig.wait_of();
    }
    rig.pass(5_000);
    assert!(rig.wait_of() > first + 2_000);
    assert!(rig.fails().wait_ms.is_some());
    let found = rig.force(Force::Automatic);
    assert_eq!((found.state, found.is_forced), (BreakerState::Open, false));
    let probe = rig.probe(19);
    rig.force(Force::Closed);
    assert_eq!(rig.ended(End::Failed, probe).wait_ms, None);
    for _ in 0..9 {
        assert_eq!(rig.fails().changed, None);
    }
    assert_eq!(rig.permit().may, May::Closed);
    assert_eq!(rig.stands().failures, 10);
    rig.force(Force::Automatic);
    assert_eq!(rig.fails().changed, Some(BreakerState::Open));
    // To look changes nothing.
    let before = rig.subject.dump();
    rig.stands();
    assert_eq!(rig.subject.dump(), before);
}

fn a_clock_that_is_set_back_does_not_keep_it_open(mut rig: Rig) {
    rig.break_and_probe();
    rig.now_us -= 86_400_000_000;
    rig.subject.set_clock(rig.now_us);
    rig.probe(20);
    rig.ended(End::Failed, 20);
    rig.now_us -= 86_400_000_000;
    rig.subject.set_clock(rig.now_us);
    assert!(rig.wait_of() < 6_000);
    rig.pass(5_000);
    rig.probe(21);
}

on_both!(
    a_clock_that_is_set_back_does_not_keep_it_open,
    a_few_probes_decide,
    a_probe_that_does_not_tell_is_forgotten,
    a_ratio_of_enough_calls_is_asked_for,
    calls_flow_at_a_rising_rate_when_it_closes,
    failures_count_while_it_rises,
    failures_open_it_for_a_while,
    old_failures_do_not_count,
    operators_force_it,
    processes_may_have_different_windows,
    those_who_look_need_no_settings,
    turns_are_given_in_order_at_a_rising_rate,
    turns_go_on_while_probes_fail,
);
