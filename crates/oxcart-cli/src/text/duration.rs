//! Lengths of time as they are typed: `90s`, `2h 30m`, `7d`.

use std::time::Duration;

use humantime::DurationError;

use super::place::pointed;

const UNITS: &str = "units are ms, s, m (minutes), h, d and w, as in `90s` or `2h 30m`";

/// For clap: an error points at the place.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| {
        let (at, what) = match &error {
            DurationError::InvalidCharacter(at) => (*at, "this does not belong here".to_owned()),
            DurationError::NumberExpected(at) => (*at, "a number is missing here".to_owned()),
            DurationError::UnknownUnit { start, unit, .. } if unit.is_empty() => {
                (*start, "a unit is missing here".to_owned())
            }
            DurationError::UnknownUnit { start, unit, .. } => {
                (*start, format!("`{unit}` is no unit"))
            }
            DurationError::NumberOverflow => (0, "this is too long".to_owned()),
            DurationError::Empty => (0, "this is empty".to_owned()),
        };
        pointed(text, at, &format!("{what}; {UNITS}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_errors_point_at_the_place() {
        assert_eq!(parse("2h 30m"), Ok(Duration::from_secs(9_000)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        for (bad, mark) in [
            ("5 parsecs", "    ^ `parsecs`"),
            ("", "  ^ this is empty"),
            ("5", "^ a unit"),
            ("h", "  ^ a number"),
            ("1h,5m", "    ^ this does"),
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains(mark), "{bad}: {error}");
        }
    }
}
