//! The limits of a queue, as they are typed and shown.

use oxcart::{Limits, Rate, Spread};

use crate::text::duration;

/// What is typed for no limit.
const UNLIMITED: &str = "unlimited";

/// A limit that is typed, or `unlimited`.
#[derive(Clone, Copy)]
pub(super) enum Typed<T> {
    Unlimited,
    At(T),
}

impl<T> Typed<T> {
    fn limit(self) -> Option<T> {
        match self {
            Self::Unlimited => None,
            Self::At(limit) => Some(limit),
        }
    }
}

/// `100/1s`, `600/1m/smooth` or `unlimited`.
pub(super) fn rate(text: &str) -> Result<Typed<Rate>, String> {
    const FORMS: &str = "as in `100/1s`, or `600/1m/smooth`, or `unlimited`";
    if text == UNLIMITED {
        return Ok(Typed::Unlimited);
    }
    let mut parts = text.splitn(3, '/');
    let starts = parts.next().and_then(|starts| starts.parse().ok());
    let (Some(starts), Some(period)) = (starts, parts.next()) else {
        return Err(format!("how many jobs in how much time, {FORMS}"));
    };
    let period = duration::parse(period)?;
    match parts.next() {
        None | Some("burst") => Ok(Typed::At(Rate::burst(starts, period))),
        Some("smooth") => Ok(Typed::At(Rate::smooth(starts, period))),
        Some(other) => Err(format!(
            "`{other}` is neither `burst` nor `smooth`; {FORMS}"
        )),
    }
}

pub(super) fn concurrency(text: &str) -> Result<Typed<u32>, String> {
    match text {
        UNLIMITED => Ok(Typed::Unlimited),
        text => text
            .parse()
            .map(Typed::At)
            .map_err(|_| "a number, or `unlimited`".to_owned()),
    }
}

/// The limits of a queue with one or both of them changed.
pub(super) fn changed(
    before: Limits,
    rate: Option<Typed<Rate>>,
    concurrency: Option<Typed<u32>>,
) -> Limits {
    let mut limits = before;
    if let Some(rate) = rate {
        limits.rate = rate.limit();
    }
    if let Some(jobs) = concurrency {
        limits.concurrency = jobs.limit();
    }
    limits
}

/// As it is typed.
pub(super) fn shown(rate: &Rate) -> String {
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
            let typed = rate(text).ok().and_then(Typed::limit);
            assert_eq!(typed.as_ref().map(shown).as_deref(), Some(text));
        }
        let burst = rate("3/250ms/burst").ok().and_then(Typed::limit);
        assert_eq!(burst, Some(Rate::burst(3, Duration::from_millis(250))));
        for bad in ["", "100", "many/1s", "1/soon", "1/1s/quick"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
