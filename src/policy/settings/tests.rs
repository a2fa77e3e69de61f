use super::*;
use crate::policy::limits::Rate;

#[test]
fn what_is_said_is_stored_and_all_else_has_its_default() {
    let asked = QueueSettings::new()
        .keep_completed(Retention::For(Duration::from_secs(60)))
        .keep_events(u64::MAX);
    let stored = Stored {
        revision: 3,
        values: asked.values(),
    };
    let text = "1 3 keep_completed_ms=60000 keep_events=9007199254740991";
    assert_eq!(Stored::parse(text), Some(stored));
    let found = SettingsInForce::read(text, "1 max_stalls=7").unwrap();
    assert_eq!(
        found,
        SettingsInForce {
            keep_completed: Retention::For(Duration::from_secs(60)),
            keep_at_most: 1_000,
            max_stalls: 4,
            keep_events: u64::MAX,
            group_concurrency: 0,
            group_rate: None,
            rate: None,
            concurrency: None,
            keep_dead: None,
            keep_dead_at_most: u64::MAX,
            revision: 3,
            set: asked,
            declared: QueueSettings::new().max_stalls(7),
        }
    );
    let never = SettingsInForce::read("", "").unwrap();
    assert_eq!((never.revision, never.set), (0, QueueSettings::new()));
    assert_eq!(
        found.changes_since(&never),
        format!(
            "keep_completed from 86400s to 60s, keep_events from 100000 to {}",
            u64::MAX
        )
    );
}

#[test]
fn the_caps_of_dead_letters_are_off_unless_they_are_set_and_can_be_taken_away() {
    let day = Duration::from_secs(24 * 3_600);
    let never = SettingsInForce::read("", "").unwrap();
    assert_eq!((never.keep_dead, never.keep_dead_at_most), (None, u64::MAX));
    for (asked, text, found) in [
        (
            QueueSettings::new().keep_dead(day).keep_dead_at_most(7),
            "1 1 keep_dead_at_most=7 keep_dead_ms=86400000",
            (Some(day), 7),
        ),
        (
            QueueSettings::new()
                .keep_dead(None)
                .keep_dead_at_most(u64::MAX),
            "1 1 keep_dead_at_most=9007199254740991 keep_dead_ms=none",
            (None, u64::MAX),
        ),
    ] {
        assert_eq!(Stored::parse(text).unwrap().values, asked.values());
        let read = SettingsInForce::read(text, "").unwrap();
        assert_eq!((read.keep_dead, read.keep_dead_at_most), found);
        assert_eq!(read.set, asked);
    }
}

#[test]
fn a_newer_format_is_not_guessed_at_and_what_is_none_counts_as_nothing() {
    assert_eq!(Stored::parse("2 1 keep_at_most=5"), None);
    assert_eq!(parse_declared("17 a=5"), None);
    for text in ["", "x", "keep_at_most=5", "1", " 1 2 keep_at_most=5"] {
        assert_eq!(Stored::parse(text), Some(Stored::default()), "{text:?}");
    }
    // A newer version of the same format may know more.
    let more = "1 4 keep_at_most=5 keep_forever=1";
    assert_eq!(Stored::parse(more).unwrap().values["keep_forever"], "1");
    let found = SettingsInForce::read(more, "").unwrap();
    assert_eq!(found.set, QueueSettings::new().keep_at_most(5));
}

#[test]
fn the_rate_and_the_concurrency_are_set_apart_and_none_takes_one_away() {
    let second = Duration::from_secs(1);
    let smooth = Rate::smooth(100, second);
    let new = QueueSettings::new;
    for (asked, text) in [
        (
            new().rate(smooth).concurrency(5),
            "1 1 limit_concurrency=5 limit_rate=100/1000/smooth",
        ),
        (
            new().rate(Rate::burst(1, second * 60)),
            "1 1 limit_rate=1/60000/burst",
        ),
        (new().concurrency(5), "1 1 limit_concurrency=5"),
        (
            new().rate(None).concurrency(None),
            "1 1 limit_concurrency=none limit_rate=none",
        ),
    ] {
        assert_eq!(Stored::parse(text).unwrap().values, asked.values());
        let found = SettingsInForce::read(text, "").unwrap();
        let wanted = (asked.rate.flatten(), asked.concurrency.flatten(), asked);
        assert_eq!((found.rate, found.concurrency, found.set), wanted);
    }
    let never = "1 1 limit_rate=0/1000/burst limit_concurrency=0";
    for text in [never, ""] {
        let found = SettingsInForce::read(text, "").unwrap();
        assert_eq!((found.rate, found.concurrency), (None, None));
    }
}

#[test]
fn limits_that_stop_the_queue_or_cannot_be_kept_are_refused() {
    let new = QueueSettings::new;
    let of = |starts, ms| Rate::burst(starts, Duration::from_millis(ms));
    const DAY_MS: u64 = 86_400_000;
    for (starts, ms) in [(0, 1_000), (1, 0), (1, 99), (1, 31 * DAY_MS + 1)] {
        let rate = of(starts, ms);
        for settings in [new().rate(rate), new().group_rate(rate)] {
            assert!(settings.check().unwrap_err().is_invalid());
        }
    }
    assert!(new().concurrency(0).check().unwrap_err().is_invalid());
    for allowed in [
        new().rate(None).concurrency(None),
        new().concurrency(1),
        new().rate(of(1, 100)),
        new().rate(of(u32::MAX, 31 * DAY_MS)),
    ] {
        allowed.check().unwrap();
    }
}

#[test]
fn a_retention_has_a_limit() {
    let years = |n: u64| Retention::For(Duration::from_secs(n * 366 * 86_400));
    assert!(
        QueueSettings::new()
            .keep_completed(years(1))
            .check()
            .is_ok()
    );
    let error = QueueSettings::new().keep_completed(years(11)).check();
    assert!(error.unwrap_err().is_invalid());
}
