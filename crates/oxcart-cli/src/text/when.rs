//! Moments and lengths of time for people.

use std::time::{Duration, SystemTime};

use oxcart::Timestamp;

/// What this computer takes for now. It serves to show ages, and for the filters by age.
pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// `3 m ago`, or `in 5 h`.
pub(crate) fn ago(time: Timestamp, now: Timestamp) -> String {
    match time > now {
        true => format!("in {}", rough(time.duration_since(now))),
        false if now.duration_since(time) < Duration::from_secs(1) => "now".to_owned(),
        false => format!("{} ago", rough(now.duration_since(time))),
    }
}

/// One number and its unit.
pub(crate) fn rough(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{} ms", length.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} m", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Exact where it is short, and two units where it is long: `1.25 s`, `3 h 5 m`.
pub(crate) fn exact(length: Duration) -> String {
    let ms = length.as_millis();
    let pair = |large: u128, unit: &str, small: u128, next: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {next}"),
    };
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 if ms.is_multiple_of(1_000) => format!("{} s", ms / 1_000),
        1_000..60_000 => format!("{:.2} s", length.as_secs_f64()),
        60_000..3_600_000 => pair(ms / 60_000, "m", ms / 1_000 % 60, "s"),
        3_600_000..86_400_000 => pair(ms / 3_600_000, "h", ms / 60_000 % 60, "m"),
        _ => pair(ms / 86_400_000, "d", ms / 3_600_000 % 24, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let now = Timestamp::from_millis(1_000_000_000);
        let at = |ms: i64| Timestamp::from_millis((1_000_000_000 + ms) as u64);
        assert_eq!(ago(at(-500), now), "now");
        assert_eq!(ago(at(-59_000), now), "59 s ago");
        assert_eq!(ago(at(-180_000), now), "3 m ago");
        assert_eq!(ago(at(7_200_000), now), "in 2 h");
        assert_eq!(ago(at(-864_000_000), now), "10 d ago");
        let exact = |ms| exact(Duration::from_millis(ms));
        assert_eq!(exact(250), "250 ms");
        assert_eq!(exact(1_250), "1.25 s");
        assert_eq!(exact(30_000), "30 s");
        assert_eq!(exact(90_000), "1 m 30 s");
        assert_eq!(exact(86_400_000), "1 d");
    }
}
