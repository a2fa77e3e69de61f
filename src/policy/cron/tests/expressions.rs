//! What can be written, what it means, and what is said of everything else.

use super::*;

#[test]
fn days_of_the_week_are_those_of_crontab() {
    let start = "2025-06-01T12:00:00Z"; // a Sunday
    for (expression, expected) in [
        (
            "0 3 * * 1",
            ["2025-06-02T03:00:00+00:00", "2025-06-09T03:00:00+00:00"],
        ),
        (
            "0 3 * * 0",
            ["2025-06-08T03:00:00+00:00", "2025-06-15T03:00:00+00:00"],
        ),
        (
            "0 3 * * 7",
            ["2025-06-08T03:00:00+00:00", "2025-06-15T03:00:00+00:00"],
        ),
        (
            "0 3 * * mon-FRI",
            ["2025-06-02T03:00:00+00:00", "2025-06-03T03:00:00+00:00"],
        ),
        (
            "0 3 * JUL,aug Sat,SUN",
            ["2025-07-05T03:00:00+00:00", "2025-07-06T03:00:00+00:00"],
        ),
        // Both restricted: either will do, or it must be both.
        (
            "0 3 4 * FRI",
            ["2025-06-04T03:00:00+00:00", "2025-06-06T03:00:00+00:00"],
        ),
        (
            "0 3 13 * +FRI",
            ["2025-06-13T03:00:00+00:00", "2026-02-13T03:00:00+00:00"],
        ),
        (
            "0 3 ? * MON",
            ["2025-06-02T03:00:00+00:00", "2025-06-09T03:00:00+00:00"],
        ),
        (
            "0 3 4 * ?",
            ["2025-06-04T03:00:00+00:00", "2025-07-04T03:00:00+00:00"],
        ),
        (
            "0 8-18/5 * * *",
            ["2025-06-01T13:00:00+00:00", "2025-06-01T18:00:00+00:00"],
        ),
    ] {
        assert_matches(expression, "UTC", start, &expected);
    }
}

/// The days of June 2025 that are matched.
fn days_of_june(of_the_month: &str, of_the_week: &str) -> Vec<u32> {
    let expression = format!("0 3 {of_the_month} 6 {of_the_week}");
    let cron = ParsedCron::parse(&expression, "UTC").unwrap();
    let mut at = ms("2025-06-01T00:00:00Z");
    let mut days = Vec::new();
    while let Some(next) = cron.next_after(at) {
        let day = DateTime::from_timestamp_millis(next as i64).unwrap();
        if day.year() > 2025 {
            break;
        }
        days.push(day.day());
        at = next;
    }
    days
}

#[test]
fn days_are_joined_by_and_where_a_field_begins_with_a_star_and_by_or_elsewhere() {
    // The Mondays of June 2025 are the 2nd, 9th, 16th, 23rd and 30th, its Sundays the 1st, 8th, ...
    for (of_the_month, of_the_week, expected) in [
        // Neither begins with `*`: either will do.
        ("1,9", "MON", &[1, 2, 9, 16, 23, 30][..]),
        ("1-3", "1", &[1, 2, 3, 9, 16, 23, 30]),
        ("1-31/10", "MON", &[1, 2, 9, 11, 16, 21, 23, 30]),
        ("L", "SUN#1", &[1, 30]),
        // One of them does: both must match.
        ("*", "MON", &[2, 9, 16, 23, 30]),
        ("?", "MON", &[2, 9, 16, 23, 30]),
        ("*/1", "MON", &[2, 9, 16, 23, 30]),
        ("*/2", "MON", &[9, 23]),
        ("?/2", "MON", &[9, 23]),
        ("*/2,2", "MON", &[2, 9, 23]),
        ("1-7", "*/7", &[1]),
        ("15,16", "*/2", &[15]),
        ("*/10", "*/2", &[1, 21]),
        ("*/10", "*", &[1, 11, 21]),
        ("L", "*", &[30]),
        ("*/2", "MON#2", &[9]),
        ("*/2", "SUNL", &[29]),
        // A `*` within the field is none at its beginning.
        ("2,15W", "*/3", &[]),
        ("16W", "*/1", &[16]),
        // A `+` says so of any two fields.
        ("1,9", "+MON", &[9]),
        ("*/2", "+MON", &[9, 23]),
    ] {
        let days = days_of_june(of_the_month, of_the_week);
        assert_eq!(days, expected, "{of_the_month} and {of_the_week}");
    }
    // With a second, and in a zone, it is the same.
    assert_matches(
        "30 0 12 */2 * MON",
        "Europe/Berlin",
        "2025-06-01T12:00:00Z",
        &["2025-06-09T12:00:30+02:00", "2025-06-23T12:00:30+02:00"],
    );
}

#[test]
fn a_bad_expression_is_refused_and_the_field_is_shown() {
    for (expression, names, pointer) in [
        (
            "0 61 3 * * *",
            "in the minute, `61`",
            "0 61 3 * * *\n      ^^",
        ),
        ("61 3 * * *", "in the minute, `61`", "\n    ^^"),
        ("0 0 25 * * *", "in the hour, `25`", "^^"),
        ("0 0 3 * FOO *", "in the month, `FOO`", "^^^"),
        ("0 0 3 1 2-1 *", "in the month, `2-1`", "^^^"),
        ("0 0 3 * * 8", "in the day of the week, `8`", "^"),
        ("0 0 3 32 * *", "in the day of the month, `32`", "^^"),
        ("*/0 * * * * *", "in the second, `*/0`", "^^^"),
        ("*/90 * * * *", "in the minute, `*/90`", "^^^^"),
        ("ä * * * *", "in the minute, `ä`", "^"),
    ] {
        let error = ParsedCron::parse(expression, "UTC").unwrap_err();
        assert!(error.is_invalid());
        let text = error.to_string();
        assert!(text.contains(names) && text.ends_with(pointer), "{text}");
    }
    for (expression, says) in [
        ("0 25 * * *", "in the hour, `25`: 0 to 23 are allowed\n"),
        ("0 3 0 * *", "`0`: 1 to 31 are allowed\n"),
        (
            "0 3 * * FOO",
            "in the day of the week, `FOO` is not known: 0 to 7 or SUN to SAT\n",
        ),
        ("0 3 * MAI *", "`MAI` is not known: 1 to 12 or JAN to DEC\n"),
        (
            "0 3 * * MON,8,TUE",
            "`8`: 0 to 7 or SUN to SAT are allowed\n",
        ),
        ("0 3 * * 5-1", "`5-1`: the range ends before it begins\n"),
        ("0 3 * * fri-mon", "the range ends before it begins\n"),
        ("0 3 * * MON-FOO", "`FOO` is not known: 0 to 7"),
        ("0 3 * * MON#6", "1 to 5 or L may follow the `#`\n"),
        (
            "0 3 L-2 * *",
            "days before the last one cannot be named; `L` is",
        ),
        ("0 3 32W * *", "1 to 31 are allowed\n"),
        ("0 L * * *", "`L` is not known: 0 to 23\n"),
        ("*/0 * * * *", "a step of 0 leads nowhere\n"),
        ("*/x * * * *", "the step `x` is not a number\n"),
        (
            "5/10 * * * *",
            "a step follows `*` or a range, as in `*/10`",
        ),
        ("1-2-3 * * * *", "`2-3` is not known: 0 to 59\n"),
        ("1-5/0 * * * *", "`1-5/0`: a step of 0 leads nowhere\n"),
        (
            "1-5/ * * * *",
            "`1-5/`: the step after the `/` is missing\n",
        ),
        ("5/ * * * *", "`5/`: the step after the `/` is missing\n"),
        ("/5 * * * *", "`*` or a range is missing before the `/`\n"),
        ("1- * * * *", "in the minute, `1-`: the range has no end\n"),
        (
            "0 -5 * * *",
            "in the hour, `-5`: the range has no beginning\n",
        ),
        ("0 0 - * *", "`-`: the range has no beginning\n"),
        ("*-5 * * * *", "`*` is not known: 0 to 59\n"),
        ("+5 * * * *", "in the minute, `+5`"),
        ("0 3 * * L", "`L` follows a day, as in `FRIL`\n"),
        ("0 3 * * #2", "`` is not known: 0 to 7"),
        ("0 3 * * +FRI,+SAT", "a `+` stands only before"),
        ("@every 5m", "for an interval use `.every(..)`"),
        ("CRON_TZ=UTC 0 3 * * *", "set with `.timezone(..)`"),
        ("TZ=UTC 0 3 * * *", "set with `.timezone(..)`"),
        ("", "0 fields"),
        ("* * *", "3 fields"),
        ("* * * * * * *", "7 fields"),
        ("@reboot", "@hourly"),
        ("@", "@hourly"),
    ] {
        let error = ParsedCron::parse(expression, "UTC").unwrap_err();
        assert!(error.is_invalid());
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_list_with_nothing_beside_a_comma_is_refused() {
    for (expression, field, column) in [
        ("0,,5 * * * *", "minute", 2),
        (",0 * * * *", "minute", 0),
        ("0, * * * *", "minute", 2),
        (", * * * *", "minute", 0),
        ("0 0 ,3 * * *", "hour", 4),
        ("0 3 1,,15 * *", "day of the month", 6),
        ("0 3 * 1, *", "month", 8),
        ("0 3 * * MON,", "day of the week", 12),
    ] {
        let error = ParsedCron::parse(expression, "UTC").unwrap_err();
        assert!(error.is_invalid());
        let says = format!("in the {field}, nothing stands on one side of a comma\n");
        let points = format!("\n    {}^", " ".repeat(column));
        let text = error.to_string();
        assert!(text.contains(&says) && text.ends_with(&points), "{text}");
    }
}

#[test]
fn what_can_never_match_is_known_at_once() {
    let months_of_30_days = "0 0 31 4,6,9,11 *";
    for (expression, days_at_most) in [
        ("0 0 30 2 *", 28 * 29),
        ("0 0 31 2,4 *", 28 * 59),
        (months_of_30_days, 28 * 120),
        ("0 0 30W 2 *", 28 * 29),
        ("0 0 30,31 2 */2", 28 * 29),
        // The second Monday is never the first of a month.
        ("0 0 1 * +MON#2", 28 * 366),
        ("0 0 29-31 2 +MON#4", 28 * 29),
    ] {
        for zone in ["UTC", "Europe/Berlin", "Pacific/Apia"] {
            let cron = ParsedCron::parse(expression, zone).unwrap();
            assert!(cron.never_matches(), "{expression}");
            let days = days_in_question(&cron.cron.pattern).count();
            assert!(days <= days_at_most, "{expression}: {days} days");
            assert_eq!(cron.next_after(ms("2025-01-01T00:00:00Z")), None);
        }
    }
}

#[test]
fn what_matches_once_in_many_years_is_found() {
    for (expression, expected) in [
        ("0 0 29 2 *", "2104-02-29T00:00:00+00:00"),
        ("0 0 30W 2,4 *", "2096-04-30T00:00:00+00:00"),
        // A 29th of February that is a Monday: after 2096 there are forty years without one.
        ("0 0 29 2 +MON", "2112-02-29T00:00:00+00:00"),
        ("0 0 * 2 SUN#5", "2128-02-29T00:00:00+00:00"),
        ("0 0 L 2 +WED#5", "2108-02-29T00:00:00+00:00"),
    ] {
        assert!(
            !ParsedCron::parse(expression, "UTC")
                .unwrap()
                .never_matches()
        );
        assert_matches(expression, "UTC", "2096-03-01T00:00:00Z", &[expected]);
    }
}
