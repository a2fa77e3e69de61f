//! The clock is turned; nothing sleeps. Expectations are local times with their offset to UTC.

use super::*;

mod expressions;

fn ms(time: &str) -> u64 {
    let parsed = DateTime::parse_from_rfc3339(time).unwrap_or_else(|e| panic!("{time}: {e}"));
    parsed.timestamp_millis() as u64
}

fn local(ms: u64, zone: &str) -> String {
    let utc = DateTime::from_timestamp_millis(ms as i64).unwrap();
    let local = utc.with_timezone(&parse_zone(zone).unwrap());
    local.format("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

#[track_caller]
fn assert_matches(expression: &str, zone: &str, after: &str, expected: &[&str]) {
    let cron = ParsedCron::parse(expression, zone).unwrap();
    let mut at = ms(after);
    let found: Vec<_> = expected
        .iter()
        .map(|_| {
            at = cron.next_after(at).unwrap();
            local(at, zone)
        })
        .collect();
    assert_eq!(found, expected, "{expression} in {zone}");
}

#[test]
fn a_time_that_a_day_does_not_have_is_made_up_for_when_the_gap_ends() {
    for (zone, expression, after, expected) in [
        (
            "Europe/Berlin",
            "0 30 2 * * *",
            "2025-03-29T12:00:00Z",
            ["2025-03-30T03:00:00+02:00", "2025-03-31T02:30:00+02:00"],
        ),
        (
            "America/New_York",
            "0 30 2 * * *",
            "2025-03-08T18:00:00Z",
            ["2025-03-09T03:00:00-04:00", "2025-03-10T02:30:00-04:00"],
        ),
        // In the south it is autumn where it is spring in the north.
        (
            "America/Santiago",
            "0 30 0 * * *",
            "2025-09-06T12:00:00Z",
            ["2025-09-07T01:00:00-03:00", "2025-09-08T00:30:00-03:00"],
        ),
        // The clock goes by half an hour: 02:00 to 02:30.
        (
            "Australia/Lord_Howe",
            "0 15 2 * * *",
            "2025-10-04T12:00:00Z",
            ["2025-10-05T02:30:00+11:00", "2025-10-06T02:15:00+11:00"],
        ),
        (
            "Australia/Lord_Howe",
            "0 30 2 * * *",
            "2025-10-04T12:00:00Z",
            ["2025-10-05T02:30:00+11:00", "2025-10-06T02:30:00+11:00"],
        ),
        // The gap is at midnight: the day begins at 01:00.
        (
            "Asia/Beirut",
            "@daily",
            "2025-03-29T12:00:00Z",
            ["2025-03-30T01:00:00+03:00", "2025-03-31T00:00:00+03:00"],
        ),
    ] {
        assert_matches(expression, zone, after, &expected);
    }
}

#[test]
fn two_times_in_the_same_gap_are_one() {
    assert_matches(
        "0 15,45 2 * * *",
        "Europe/Berlin",
        "2025-03-29T12:00:00Z",
        &["2025-03-30T03:00:00+02:00", "2025-03-31T02:15:00+02:00"],
    );
    // Nor are they two with one that is there when the gap ends.
    assert_matches(
        "0 */30 2-3 * * *",
        "Europe/Berlin",
        "2025-03-30T00:00:00Z",
        &[
            "2025-03-30T03:00:00+02:00",
            "2025-03-30T03:30:00+02:00",
            "2025-03-31T02:00:00+02:00",
        ],
    );
}

#[test]
fn a_day_that_a_country_skipped_is_made_up_for_at_its_end() {
    // Samoa went from the 29th of December 2011 to the 31st.
    assert_matches(
        "0 30 12 * * *",
        "Pacific/Apia",
        "2011-12-29T12:00:00Z",
        &[
            "2011-12-29T12:30:00-10:00",
            "2011-12-31T00:00:00+14:00",
            "2011-12-31T12:30:00+14:00",
        ],
    );
}

#[test]
fn lists_ranges_and_steps_of_hours_are_not_doubled_either() {
    for expression in ["0 30 2,14 * * *", "0 30 2-14/12 * * *"] {
        assert_matches(
            expression,
            "Europe/Berlin",
            "2025-10-25T13:00:00Z",
            &[
                "2025-10-26T02:30:00+02:00",
                "2025-10-26T14:30:00+01:00",
                "2025-10-27T02:30:00+01:00",
            ],
        );
    }
    assert_matches(
        "0 */30 1-3 * * *",
        "America/New_York",
        "2025-11-02T04:00:00Z",
        &[
            "2025-11-02T01:00:00-04:00",
            "2025-11-02T01:30:00-04:00",
            "2025-11-02T02:00:00-05:00",
            "2025-11-02T02:30:00-05:00",
            "2025-11-02T03:00:00-05:00",
        ],
    );
}

#[test]
fn a_time_that_a_day_has_twice_is_matched_the_first_time() {
    for (zone, expression, after, expected) in [
        (
            "Europe/Berlin",
            "0 30 2 * * *",
            "2025-10-25T12:00:00Z",
            ["2025-10-26T02:30:00+02:00", "2025-10-27T02:30:00+01:00"],
        ),
        (
            "America/New_York",
            "0 30 1 * * *",
            "2025-11-01T18:00:00Z",
            ["2025-11-02T01:30:00-04:00", "2025-11-03T01:30:00-05:00"],
        ),
        (
            "America/Santiago",
            "0 30 23 * * *",
            "2025-04-05T12:00:00Z",
            ["2025-04-05T23:30:00-03:00", "2025-04-06T23:30:00-04:00"],
        ),
        (
            "Australia/Lord_Howe",
            "0 45 1 * * *",
            "2025-04-05T12:00:00Z",
            ["2025-04-06T01:45:00+11:00", "2025-04-07T01:45:00+10:30"],
        ),
    ] {
        assert_matches(expression, zone, after, &expected);
        // Also when one looks between the two.
        let between = ms(expected[0]) + 20 * 60 * 1000;
        let cron = ParsedCron::parse(expression, zone).unwrap();
        assert_eq!(cron.next_after(between), Some(ms(expected[1])), "{zone}");
    }
}

#[test]
fn what_matches_every_hour_or_minute_follows_real_time_through_both_changes() {
    for (zone, expression, step) in [
        ("Europe/Berlin", "0 0 * * * *", 3600),
        ("America/Santiago", "0 30 */1 * * *", 3600),
        ("Asia/Beirut", "0 0 0-23 * * *", 3600),
        ("America/New_York", "0 */20 * * * *", 1200),
    ] {
        let cron = ParsedCron::parse(expression, zone).unwrap();
        let mut at = cron.next_after(ms("2025-01-01T00:00:00Z")).unwrap();
        while at < ms("2026-01-01T00:00:00Z") {
            let next = cron.next_after(at).unwrap();
            assert_eq!(next - at, step * 1000, "{} in {zone}", local(at, zone));
            at = next;
        }
    }
    // Where the clock goes by half an hour, full hours move against real time.
    assert_matches(
        "0 0 * * * *",
        "Australia/Lord_Howe",
        "2025-10-04T14:00:00Z",
        &[
            "2025-10-05T01:00:00+10:30",
            "2025-10-05T03:00:00+11:00",
            "2025-10-05T04:00:00+11:00",
        ],
    );
}

#[test]
fn a_day_never_has_two_or_none_in_any_zone_and_year() {
    // Three times that are in some zone's gap.
    let zones = TZ_VARIANTS
        .iter()
        .step_by(TZ_VARIANTS.len() / 9)
        .map(|zone| zone.name());
    for zone in zones.chain(["Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca"]) {
        for expression in ["0 30 0 * * *", "0 30 1 * * *", "0 30 2 * * *"] {
            let cron = ParsedCron::parse(expression, zone).unwrap();
            let mut at = ms("2022-12-31T12:00:00Z");
            let mut last = String::new();
            while at < ms("2026-01-01T12:00:00Z") {
                let next = cron.next_after(at).unwrap();
                let day = local(next, zone)[..10].to_owned();
                assert!(next > at && day > last, "{expression} in {zone}: {day}");
                let hours = (next - at) as f64 / 3_600_000.0;
                assert!(
                    last.is_empty() || hours < 26.1,
                    "{expression} in {zone}: {hours} h before {day}"
                );
                (at, last) = (next, day);
            }
        }
    }
}

#[test]
fn month_ends_leap_days_and_the_turn_of_the_year() {
    let start = "2025-12-30T12:00:00Z";
    for (expression, expected) in [
        (
            "0 0 3 L * *",
            [
                "2025-12-31T03:00:00+00:00",
                "2026-01-31T03:00:00+00:00",
                "2026-02-28T03:00:00+00:00",
            ],
        ),
        (
            "0 0 3 31 * *",
            [
                "2025-12-31T03:00:00+00:00",
                "2026-01-31T03:00:00+00:00",
                "2026-03-31T03:00:00+00:00",
            ],
        ),
        (
            "0 0 0 29 2 *",
            [
                "2028-02-29T00:00:00+00:00",
                "2032-02-29T00:00:00+00:00",
                "2036-02-29T00:00:00+00:00",
            ],
        ),
        (
            "59 59 23 31 12 *",
            [
                "2025-12-31T23:59:59+00:00",
                "2026-12-31T23:59:59+00:00",
                "2027-12-31T23:59:59+00:00",
            ],
        ),
        (
            "0 0 3 15W * *",
            [
                "2026-01-15T03:00:00+00:00",
                "2026-02-16T03:00:00+00:00",
                "2026-03-16T03:00:00+00:00",
            ],
        ),
        (
            "0 0 3 LW * *",
            [
                "2025-12-31T03:00:00+00:00",
                "2026-01-30T03:00:00+00:00",
                "2026-02-27T03:00:00+00:00",
            ],
        ),
        (
            "0 0 3 * * MON#2",
            [
                "2026-01-12T03:00:00+00:00",
                "2026-02-09T03:00:00+00:00",
                "2026-03-09T03:00:00+00:00",
            ],
        ),
        (
            "0 0 3 * * FRIL",
            [
                "2026-01-30T03:00:00+00:00",
                "2026-02-27T03:00:00+00:00",
                "2026-03-27T03:00:00+00:00",
            ],
        ),
    ] {
        assert_matches(expression, "UTC", start, &expected);
    }
    // No leap year is 2100.
    let leap = ParsedCron::parse("0 0 0 29 2 *", "UTC").unwrap();
    let next = leap.next_after(ms("2096-03-01T00:00:00Z"));
    assert_eq!(next, Some(ms("2104-02-29T00:00:00Z")));
}

#[test]
fn seconds_may_be_left_out_and_nicknames_are_known() {
    let after = ms("2025-06-01T12:34:56Z");
    for (short, long) in [
        ("*/5 * * * *", "0 */5 * * * *"),
        ("@hourly", "0 0 * * * *"),
        ("@daily", "0 0 0 * * *"),
        ("@midnight", "0 0 0 * * *"),
        ("@Weekly", "0 0 0 * * 0"),
        ("@monthly", "0 0 0 1 * *"),
        ("@yearly", "0 0 0 1 1 *"),
        ("@annually", "0 0 0 1 1 *"),
    ] {
        let next = |text| ParsedCron::parse(text, "UTC").unwrap().next_after(after);
        assert_eq!(next(short), next(long), "{short}");
    }
}

#[test]
fn an_unknown_time_zone_is_refused_and_the_nearest_are_named() {
    for (wrong, right) in [
        ("Europe/Berln", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("new york", "America/New_York"),
        ("America/NewYork", "America/New_York"),
        ("Asia/Kalkuta", "Asia/Kolkata"),
    ] {
        let error = ParsedCron::parse("@daily", wrong).unwrap_err();
        assert!(error.is_invalid());
        assert!(error.to_string().contains(right), "{error}");
    }
    // What is like none of them is answered with none of them.
    for (wrong, names) in [("+01:00", 0), ("CET-1", 1), ("", 0), ("Middle Earth", 0)] {
        let text = ParsedCron::parse("@daily", wrong).unwrap_err().to_string();
        let offered = text.split_once("did you mean ");
        let offered = offered.map_or(0, |(_, names)| names.split(", ").count());
        assert_eq!(offered, names, "{text}");
        assert!(
            names > 0 || text.contains("such as Europe/Berlin"),
            "{text}"
        );
    }
}

#[test]
fn a_time_zone_may_be_written_in_any_case_and_has_one_name() {
    for name in ["Europe/Berlin", "europe/berlin", "EUROPE/BERLIN"] {
        assert_eq!(zone_name(name.to_owned()), "Europe/Berlin");
        assert!(ParsedCron::parse("@daily", name).is_ok());
    }
    assert_eq!(zone_name("Europe/Berln".to_owned()), "Europe/Berln");
}
