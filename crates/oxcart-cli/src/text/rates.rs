//! Rates, as they are typed and shown.

use oxcart::{Rate, Spread};

use crate::text::duration;

/// `100/1s`, or `600/1m/smooth`.
pub(crate) fn parse(text: &str) -> Result<Rate, String> {
    const FORMS: &str = "as in `100/1s`, or `600/1m/smooth`";
    let mut parts = text.splitn(3, '/');
    let starts = parts.next().and_then(|starts| starts.parse().ok());
    let (Some(starts), Some(period)) = (starts, parts.next()) else {
        return Err(format!("how many jobs in how much time, {FORMS}"));
    };
    let period = duration::parse(period)?;
    match parts.next() {
        None | Some("burst") => Ok(Rate::burst(starts, period)),
        Some("smooth") => Ok(Rate::smooth(starts, period)),
        Some(other) => Err(format!(
            "`{other}` is neither `burst` nor `smooth`; {FORMS}"
        )),
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
        let burst = parse("3/250ms/burst").ok();
        assert_eq!(burst, Some(Rate::burst(3, Duration::from_millis(250))));
        for bad in ["", "100", "many/1s", "1/soon", "1/1s/quick"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
