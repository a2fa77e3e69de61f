use super::*;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// Some full hour.
const NOON: u64 = 486_000 * HOUR;

fn every(ms: u64) -> Timing {
    Timing {
        rhythm: ParsedRhythm::Every { ms },
        starting_ms: None,
        ending_ms: None,
        offset_ms: 0,
    }
}

fn cron(expression: &str) -> Timing {
    Timing {
        rhythm: ParsedRhythm::Cron(Box::new(ParsedCron::parse(expression, "UTC").unwrap())),
        ..every(1)
    }
}

#[test]
fn intervals_are_counted_from_the_start_or_the_epoch_and_never_drift() {
    let plain = every(1_000);
    assert_eq!(plain.next_after(NOON), Some(NOON + 1_000));
    assert_eq!(plain.next_after(NOON + 999), Some(NOON + 1_000));
    let started = Timing {
        starting_ms: Some(NOON + 70),
        ..every(1_000)
    };
    assert_eq!(started.next_after(0), Some(NOON + 70), "the start is one");
    assert_eq!(started.next_after(NOON + 69), Some(NOON + 70));
    assert_eq!(started.next_after(NOON + 70), Some(NOON + 1_070));
    let shifted = Timing {
        offset_ms: 250,
        ..every(1_000)
    };
    assert_eq!(shifted.next_after(NOON), Some(NOON + 250));
    assert_eq!(shifted.next_after(NOON + 250), Some(NOON + 1_250));
    assert_eq!(shifted.next_after(0), Some(250));
}

#[test]
fn cron_keeps_to_start_end_and_offset() {
    let bounded = Timing {
        starting_ms: Some(NOON + 1),
        ending_ms: Some(NOON + 3 * HOUR),
        offset_ms: 5 * MINUTE,
        ..cron("@hourly")
    };
    let mut ticks = Vec::new();
    let mut at = 0;
    while let Some(next) = bounded.next_after(at) {
        ticks.push(next - NOON);
        at = next;
    }
    let expected = [0, 1, 2].map(|hour| hour * HOUR + 5 * MINUTE);
    assert_eq!(ticks, expected);
    let end_is_one = Timing {
        ending_ms: Some(NOON + HOUR),
        ..cron("@hourly")
    };
    assert_eq!(end_is_one.next_after(NOON), Some(NOON + HOUR));
    assert_eq!(end_is_one.next_after(NOON + HOUR), None);
}

#[test]
fn a_tick_is_not_fired_before_it_is_due() {
    for missed in [
        Missed::Skip,
        Missed::FireOnce,
        Missed::FireAll { at_most: 9 },
    ] {
        assert_eq!(every(1_000).plan(NOON, NOON - 1, missed, 99), None);
        let plan = every(1_000).plan(NOON, NOON, missed, 99).unwrap();
        assert_eq!(
            plan,
            Plan {
                fire: vec![NOON],
                missed: 0,
                last: NOON,
                next: Some(NOON + 1_000),
            }
        );
    }
}

#[test]
fn ticks_less_than_a_minute_late_are_all_fired_under_any_policy() {
    for timing in [every(1_000), cron("* * * * * *")] {
        for missed in [
            Missed::Skip,
            Missed::FireOnce,
            Missed::FireAll { at_most: 1 },
        ] {
            let plan = timing.plan(NOON, NOON + MINUTE, missed, 999).unwrap();
            assert_eq!((plan.fire.len(), plan.missed), (61, 0));
            assert_eq!(plan.next, Some(NOON + 61_000));
        }
    }
}

/// Ten hours after the tick of noon, hourly: eleven are due, the last of them now.
#[test]
fn missed_ticks_are_skipped_fired_once_or_fired_each() {
    for timing in [every(HOUR), cron("@hourly")] {
        let now = NOON + 10 * HOUR;
        let plan = |missed| timing.plan(NOON, now, missed, 99).unwrap();
        let hours = |plan: &Plan| -> Vec<u64> {
            plan.fire
                .iter()
                .map(|tick| (tick - NOON) / HOUR)
                .collect::<Vec<_>>()
        };
        let skip = plan(Missed::Skip);
        assert_eq!((hours(&skip), skip.missed), (vec![10], 10));
        let once = plan(Missed::FireOnce);
        assert_eq!((hours(&once), once.missed), (vec![9, 10], 9));
        let four = plan(Missed::FireAll { at_most: 4 });
        assert_eq!((hours(&four), four.missed), (vec![6, 7, 8, 9, 10], 6));
        let all = plan(Missed::FireAll { at_most: 256 });
        assert_eq!((hours(&all).len(), all.missed), (11, 0));
        for plan in [skip, once, four, all] {
            assert_eq!((plan.last, plan.next), (now, Some(now + HOUR)));
        }
        // Between two ticks there is nothing that is only late.
        let skip = timing.plan(NOON, now + HOUR / 2, Missed::Skip, 99).unwrap();
        assert_eq!((skip.fire.len(), skip.missed), (0, 11));
        assert_eq!((skip.last, skip.next), (now, Some(now + HOUR)));
    }
}

#[test]
fn what_does_not_fit_is_left_for_the_next_plan_and_nothing_changes_by_that() {
    for timing in [every(MINUTE / 2), cron("0,30 * * * * *")] {
        for missed in [
            Missed::Skip,
            Missed::FireOnce,
            Missed::FireAll { at_most: 17 },
        ] {
            let now = NOON + HOUR + 7;
            let at_once = timing.plan(NOON, now, missed, 999).unwrap();
            let (mut fired, mut gone, mut tick) = (Vec::new(), 0, NOON);
            while let Some(plan) = timing.plan(tick, now, missed, 2) {
                assert!(plan.fire.len() <= 2);
                gone += plan.missed;
                fired.extend(plan.fire);
                tick = plan.next.unwrap();
            }
            assert_eq!((&fired, gone), (&at_once.fire, at_once.missed));
            assert_eq!(Some(tick), at_once.next);
        }
    }
}

#[test]
fn the_end_ends_it_also_when_it_was_missed() {
    let timing = Timing {
        ending_ms: Some(NOON + 2 * HOUR),
        ..every(HOUR)
    };
    let plan = timing
        .plan(NOON, NOON + 9 * HOUR, Missed::FireOnce, 9)
        .unwrap();
    assert_eq!(plan.fire, [NOON + 2 * HOUR]);
    assert_eq!((plan.missed, plan.next), (2, None));
    let skipped = timing.plan(NOON, NOON + 9 * HOUR, Missed::Skip, 9).unwrap();
    assert_eq!((skipped.missed, skipped.next), (3, None));
    assert_eq!(skipped.last, NOON + 2 * HOUR);
}

#[test]
fn ten_years_of_missed_seconds_cost_little_and_keep_the_last() {
    let now = NOON + 10 * 365 * 24 * HOUR;
    for timing in [cron("* * * * * *"), every(1_000)] {
        let plan = timing
            .plan(NOON, now, Missed::FireAll { at_most: 256 }, 256)
            .unwrap();
        assert_eq!(plan.fire.len(), 256);
        assert_eq!(plan.fire[255], now - MINUTE - 1_000);
        assert_eq!(plan.fire[0], now - MINUTE - 256_000);
        assert_eq!(plan.next, Some(now - MINUTE));
        assert!(plan.missed > 10_000);
    }
    let counted = every(100).plan(NOON, now, Missed::Skip, 1).unwrap();
    assert_eq!(counted.missed, (now - MINUTE - NOON) / 100);
}

#[test]
fn nonsense_is_refused() {
    let refused = |timing: Timing| timing.check().unwrap_err().is_invalid();
    assert!(refused(every(0)));
    assert!(refused(every(99)));
    assert!(refused(every(u64::MAX)));
    assert!(refused(Timing {
        offset_ms: u64::MAX,
        ..every(100)
    }));
    assert!(refused(Timing {
        starting_ms: Some(2),
        ending_ms: Some(1),
        ..every(100)
    }));
    assert!(every(100).check().is_ok());
    for far in [LATEST_MS + 1, 1 << 53, u64::MAX] {
        let (starting_ms, ending_ms) = (Some(far), Some(far));
        assert!(refused(Timing {
            starting_ms,
            ..every(100)
        }));
        assert!(refused(Timing {
            ending_ms,
            ..every(100)
        }));
    }
    for at_most in [0, 257] {
        assert!(Missed::FireAll { at_most }.check().is_err());
    }
    // What is stored was checked, but by another version: it must not panic.
    let far = Timing {
        starting_ms: Some(u64::MAX),
        offset_ms: u64::MAX,
        ..every(100)
    };
    assert_eq!(far.next_after(0), None);
    assert_eq!(far.next_after(u64::MAX), None);
}

/// After a clock that went back by an hour an interval goes on at once, beside the ticks it had.
#[test]
fn s2_an_interval_goes_on_when_the_clock_goes_back_and_no_tick_comes_twice() {
    let plain = every(10_000);
    let mut last = NOON;
    let mut dealt_with = std::collections::BTreeSet::new();
    // The hour comes again three times.
    for _ in 0..4 {
        let mut now = NOON - HOUR;
        while now < NOON {
            let next = match last > now {
                true => plain.next_of(now, last).unwrap(),
                false => plain.through(last).next_after(last).unwrap(),
            };
            assert!(next > now && next <= now + 10_000, "{next} at {now}");
            assert!(dealt_with.insert(next), "{next} comes twice");
            (last, now) = (next, next);
        }
        last = last.max(NOON);
    }
    assert!(dealt_with.len() >= 4 * 360);
    // While the clock goes on, nothing moves.
    assert_eq!(plain.next_of(NOON + 5, NOON), Some(NOON + 10_000));
    assert_eq!(plain.through(NOON).offset_ms, plain.offset_ms);
    // A moment that an expression names stays where it is.
    let daily = cron("0 0 12 * * *");
    assert_eq!(daily.next_of(NOON - HOUR, NOON), daily.next_after(NOON));
}

#[test]
fn s2_a_tick_lies_no_further_ahead_than_it_can_have_been_set() {
    let far = NOON + 365 * 24 * HOUR;
    for (timing, next) in [
        (every(10_000), NOON + 10_000),
        (cron("@hourly"), NOON + HOUR),
    ] {
        assert!(timing.may_be_next(next, NOON, 0));
        assert!(timing.may_be_next(NOON - HOUR, NOON, 0), "it is late");
        assert!(!timing.may_be_next(far, NOON, 0));
        assert!(!timing.may_be_next(next + HOUR, NOON, NOON - HOUR));
    }
    // The clock went back.
    assert!(!every(10_000).may_be_next(NOON + HOUR, NOON, NOON + HOUR - 10_000));
    assert!(cron("@hourly").may_be_next(NOON + 2 * HOUR, NOON, NOON + HOUR));
    // It has not begun.
    let later = Timing {
        starting_ms: Some(far),
        ..every(10_000)
    };
    assert!(later.may_be_next(far, NOON, 0));
    assert!(!later.may_be_next(far + 10_000, NOON, 0));
    let over = Timing {
        ending_ms: Some(NOON),
        ..every(10_000)
    };
    assert!(!over.may_be_next(NOON + 10_000, NOON, 0));
}
