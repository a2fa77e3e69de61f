use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn value<T>(condition: Condition<T>, readings: Readings) -> f64 {
    let value = condition.test.value(&readings, &mut Vec::new(), 0);
    value.expect("it can be told")
}

/// The values of one a minute, of totals that are told.
fn values<T>(condition: Condition<T>, totals: &[Readings]) -> Vec<Option<f64>> {
    let mut samples = Vec::new();
    let minutes = totals.iter().enumerate();
    let value = |(minute, readings): (usize, &Readings)| {
        condition
            .test
            .value(readings, &mut samples, minute as u64 * 60_000)
    };
    minutes.map(value).collect()
}

#[test]
fn each_condition_has_its_measure() {
    let readings = Readings {
        waiting: 7,
        dead: 3,
        oldest: MINUTE,
        late_schedule: 2 * MINUTE,
        ..Readings::default()
    };
    assert_eq!(value(Condition::waiting_above(1), readings), 7.0);
    assert_eq!(value(Condition::dead_letters_above(1), readings), 3.0);
    assert_eq!(
        value(Condition::oldest_waiting_above(MINUTE), readings),
        60.0
    );
    assert_eq!(value(Condition::schedule_late_by(MINUTE), readings), 120.0);
    assert_eq!(value(Condition::no_worker(), readings), 7.0);
    let served = Readings {
        has_worker: true,
        ..readings
    };
    assert_eq!(value(Condition::no_worker(), served), 0.0);
}

#[test]
fn what_happened_in_a_window_is_told_of_the_window_alone() {
    let died = |died| Readings {
        died,
        stalled: died,
        ..Readings::default()
    };
    let totals = [5, 9, 9, 9, 9].map(died);
    let window = 2 * MINUTE;
    let expected = [0.0, 4.0, 4.0, 0.0, 0.0].map(Some);
    assert_eq!(values(Condition::died_above(1, window), &totals), expected);
    assert_eq!(
        values(Condition::stalls_above(1, window), &totals),
        expected
    );
}

#[test]
fn a_failure_ratio_is_told_of_enough_attempts() {
    let ended = |(completed, failed)| Readings {
        completed,
        failed,
        ..Readings::default()
    };
    let totals = [(100, 0), (115, 4), (115, 5), (115, 25)].map(ended);
    let told = values(Condition::failure_ratio_above(0.5, 10 * MINUTE), &totals);
    assert_eq!(told[..3], [Some(0.0), Some(0.0), Some(0.25)]);
    assert_eq!(told[3], Some(25.0 / 40.0));
    let few = Condition::failure_ratio_above(0.5, 10 * MINUTE).of_at_least(19);
    assert_eq!(values(few, &totals)[1], Some(4.0 / 19.0));
}

#[test]
fn the_time_to_drain_follows_from_what_comes_and_goes() {
    let moved = |(waiting, arrived, departed)| Readings {
        waiting,
        arrived,
        departed,
        ..Readings::default()
    };
    let condition = Condition::time_to_drain_above(MINUTE);
    let told = values(
        condition,
        &[(60, 0, 0), (30, 60, 90), (0, 60, 120), (90, 180, 120)].map(moved),
    );
    let never = WAIT_MAX.as_secs_f64();
    assert_eq!(told, [None, Some(60.0), Some(0.0), Some(never)]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let of = |test: Test| test.check().map_err(|error| error.to_string());
    assert!(of(Condition::waiting_above(10).test).is_ok());
    assert!(of(Condition::waiting_above(10).clears_below(10).test).is_ok());
    for (test, says) in [
        (Condition::waiting_above(10).clears_below(11).test, "clears"),
        (Condition::waiting_above(10).clears_below(0).test, "clears"),
        (Condition::no_worker().clears_below(1).test, "clears"),
        (Condition::failure_ratio_above(1.0, MINUTE).test, "ratio"),
        (
            Condition::failure_ratio_above(f64::NAN, MINUTE).test,
            "threshold",
        ),
        (
            Condition::failure_ratio_above(-0.1, MINUTE).test,
            "threshold",
        ),
        (Condition::died_above(1, Duration::ZERO).test, "window"),
        (Condition::stalls_above(1, Duration::MAX).test, "window"),
        (
            Condition::oldest_waiting_above(Duration::MAX).test,
            "10 years",
        ),
    ] {
        let error = of(test).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn conditions_and_values_are_told_in_plain_words() {
    let window = Duration::from_secs(600);
    for (test, words) in [
        (Condition::waiting_above(10).test, "more than 10 jobs wait"),
        (
            Condition::oldest_waiting_above(Duration::from_secs(90)).test,
            "the oldest job waits for more than 1m 30s",
        ),
        (
            Condition::failure_ratio_above(0.2, window).test,
            "more than 20.0 % of the attempts failed in the last 10m",
        ),
        (
            Condition::stalls_above(1, window).test,
            "more than 1 stall in the last 10m",
        ),
    ] {
        assert_eq!(test.to_string(), words);
    }
    assert_eq!(AlertUnit::Seconds.shown(0.25), "250ms");
    assert_eq!(AlertUnit::Seconds.shown(61.7), "1m 1s");
}
