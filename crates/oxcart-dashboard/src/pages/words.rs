//! Numbers, durations and moments in words.

use std::time::Duration;

use crate::model::Rates;

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut words = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    words
}

/// `1.2 M`: exact below 10,000.
pub(crate) fn short(number: u64) -> String {
    const STEPS: [(u64, &str); 4] = [
        (1_000_000_000_000, "T"),
        (1_000_000_000, "G"),
        (1_000_000, "M"),
        (1_000, "k"),
    ];
    if number < 10_000 {
        return count(number);
    }
    let step = STEPS.iter().find(|(size, _)| number >= *size);
    let (size, unit) = step.copied().unwrap_or((1, ""));
    let whole = number / size;
    // Cut, not rounded: 999,999 is not a million.
    let tenth = number % size * 10 / size;
    if whole < 100 && tenth > 0 {
        format!("{whole}.{tenth} {unit}")
    } else {
        format!("{whole} {unit}")
    }
}

/// `1 job`, `1,234 jobs`.
pub(crate) fn jobs(number: u64) -> String {
    some(number, "job")
}

/// `1 worker`, `3 workers`.
pub(crate) fn some(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", count(number))
}

/// The word with a capital letter.
pub(crate) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

/// `12.5/s`; a rate below one a second for a minute or an hour: `3/min`.
pub(crate) fn rate(per_second: f64) -> String {
    if !per_second.is_finite() || per_second <= 0.0 {
        return "0".to_owned();
    }
    if per_second >= 9_999.5 {
        return format!("{}/s", short(per_second as u64));
    }
    if per_second >= 0.995 {
        return format!("{}/s", decimal(per_second));
    }
    if per_second * 60.0 >= 0.995 {
        return format!("{}/min", decimal(per_second * 60.0));
    }
    format!("{}/h", decimal(per_second * 3600.0))
}

/// At most three digits: `0.25`, `9.5`, `48`.
fn decimal(number: f64) -> String {
    let text = match number {
        0.0..9.95 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    };
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// `250 ms`, `1.5 s`, `3 m`, `2 h 5 m`, `4 d`.
pub(crate) fn duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.is_zero() => "0 s".to_owned(),
        0 if ms == 0 => "< 1 ms".to_owned(),
        0 => format!("{ms} ms"),
        1..10 => format!("{} s", decimal(ms as f64 / 1000.0)),
        10..120 => format!("{seconds} s"),
        120..7_200 => format!("{} m", seconds / 60),
        7_200..36_000 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        36_000..172_800 => format!("{} h", seconds / 3_600),
        172_800..864_000 => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
        _ => format!("{} d", short(seconds / 86_400)),
    }
}

fn two(large: u64, of: &str, small: u64, than: &str) -> String {
    match small {
        0 => format!("{large} {of}"),
        _ => format!("{large} {of} {small} {than}"),
    }
}

/// `1.4 MB`.
pub(crate) fn bytes(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", decimal(bytes as f64 / 1e3)),
        _ => format!("{} MB", decimal(bytes as f64 / 1e6)),
    }
}

/// `12 %`; what is not nothing is not shown as nothing.
pub(crate) fn percent(part: f64) -> String {
    if !part.is_finite() || part <= 0.0 {
        "0 %".to_owned()
    } else if part < 0.001 {
        "< 0.1 %".to_owned()
    } else {
        format!("{} %", decimal(part * 100.0))
    }
}

/// Whether more come than end, also as these are shown.
pub(crate) fn grows(rates: &Rates) -> bool {
    rates.grows() && rate(rates.arrivals) != rate(rates.departures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas_and_are_short_when_they_must_be() {
        let counted = [0, 999, 1_000, 1_234_567].map(count);
        assert_eq!(counted, ["0", "999", "1,000", "1,234,567"]);
        let shortened = [9_999, 12_345, 999_999, 1_250_000, u64::MAX].map(short);
        assert_eq!(
            shortened,
            ["9,999", "12.3 k", "999 k", "1.2 M", "18446744 T"]
        );
        assert_eq!([jobs(1), jobs(2_000)], ["1 job", "2,000 jobs"]);
    }

    #[test]
    fn rates_are_for_a_span_in_which_something_happens() {
        let rates = [0.0, f64::NAN, 12_500.0, 52.4, 1.25, 0.5, 0.001].map(rate);
        assert_eq!(
            rates,
            ["0", "0", "12.5 k/s", "52/s", "1.2/s", "30/min", "3.6/h"]
        );
    }

    #[test]
    fn durations_have_the_unit_that_is_read_at_once() {
        let durations = [0, 7, 1_500, 59_000, 119_000, 121_000, 7_500_000, 90_000_000];
        let words = durations.map(|ms| duration(Duration::from_millis(ms)));
        let expected = [
            "0 s", "7 ms", "1.5 s", "59 s", "119 s", "2 m", "2 h 5 m", "25 h",
        ];
        assert_eq!(words, expected);
        assert_eq!(duration(Duration::from_secs(4 * 86_400)), "4 d");
        assert_eq!(duration(Duration::from_nanos(5)), "< 1 ms");
        assert_eq!(duration(Duration::MAX), "213 T d");
    }

    #[test]
    fn bytes_and_parts() {
        assert_eq!(
            [bytes(5), bytes(1_500), bytes(2_000_000)],
            ["5 B", "1.5 kB", "2 MB"]
        );
        let parts = [0.0, 0.000_1, 0.056, 0.5, 1.0].map(percent);
        assert_eq!(parts, ["0 %", "< 0.1 %", "5.6 %", "50 %", "100 %"]);
    }
}
