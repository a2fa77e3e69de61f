//! Rates, as they are typed and shown.

use oxcart::{Rate, Spread};

use crate::text::duration;

/// `100/1s`, `600/1m/smooth`, or `100` for a second.
pub(crate) fn parse(text: &str) -> Result<Rate, String> {
    const FORMS: &str = "as in `100/1s`, or `600/1m/smooth`";
    let mut parts = text.splitn(3, '/');
    let starts = parts.next().and_then(|starts| starts.parse().ok());
    let Some(starts) = starts else {
        return Err(format!("how many jobs in how much time, {FORMS}"));
    };
    let period = duration::parse(parts.next().unwrap_or("1s"))?;
    match parts.next() {
        None | Some("burst") => Ok(Rate::burst(starts, period)),
        Some("smooth") => Ok(Rate::smooth(starts, period)),
        Some(other) => Err(format!(
            "`{other}` is neither `burst` nor `smooth`; {FORMS}"
        )),
    }
}

/// For what the command does itself, in even steps: so many in a second.
pub(crate) fn per_second(text: &str) -> Result<u32, String> {
    let rate = parse(text)?;
    let ms = rate.period.as_millis();
    let jobs = u128::from(rate.starts) * 1_000;
    match ms > 0 && jobs >= ms && jobs % ms == 0 {
        true => u32::try_from(jobs / ms).map_err(|_| "that is too many".to_owned()),
        false => Err("a whole number in a second, as in `50` or `50/1s`".to_owned()),
    }
}

/// As it is typed.
pub(crate) fn shown(rate: &Rate) -> String {
    let spread = match rate.spread {
        Spread::Smooth => "/smooth",
        _ => "",
    };
    let period = humantime::format_duration(rate.period).to_string();
    format!("{}/{}{spread}", rate.starts, period.replace(' ', ""))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rates_are_shown_as_they_are_typed() {
        for text in ["100/1s", "600/1m/smooth", "5/1h30m"] {
            let typed = parse(text).ok();
            assert_eq!(typed.as_ref().map(shown).as_deref(), Some(text));
        }
        assert_eq!(
            parse("100").ok().as_ref().map(shown).as_deref(),
            Some("100/1s")
        );
        assert_eq!(per_second("50"), Ok(50));
        assert_eq!(per_second("600/1m"), Ok(10));
        for bad in ["0", "1/1m", "3/2s", "9999999999"] {
            assert!(per_second(bad).is_err(), "{bad}");
        }
        let burst = parse("3/250ms/burst").ok();
        assert_eq!(burst, Some(Rate::burst(3, Duration::from_millis(250))));
        for bad in ["", "many", "many/1s", "1/soon", "1/1s/quick"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
