//! Cron expressions in a time zone: reading them, saying what is wrong with them, and when they
//! match next.

use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Timelike};
use chrono_tz::{TZ_VARIANTS, Tz};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::error::Error;

/// The fields of an expression, each with the largest number in it; the first may be left out.
const FIELDS: [(&str, u32); 6] = [
    ("second", 59),
    ("minute", 59),
    ("hour", 23),
    ("day of the month", 31),
    ("month", 12),
    ("day of the week", 7),
];
const HOURS: usize = 24;
const MINUTES_OF_A_DAY: i64 = 24 * 60;
const NICKNAMES: &str = "@yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly";
/// Time zones that are offered for one that does not exist.
const ZONES_OFFERED: usize = 3;

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub(crate) struct CronRhythm {
    cron: Cron,
    zone: Tz,
    /// It matches in every hour, and so follows real time; what names hours follows the clock on
    /// the wall.
    every_hour: bool,
}

impl CronRhythm {
    pub(crate) fn parse(expression: &str, zone: &str) -> Result<Self, Error> {
        let cron = parse(expression)?;
        let every_hour = cron.pattern.hours.values().len() == HOURS;
        Ok(Self {
            cron,
            zone: parse_zone(zone)?,
            every_hour,
        })
    }

    /// The first match after `ms`; `None` if there is none.
    pub(crate) fn next_after(&self, ms: u64) -> Option<u64> {
        // Matches are whole seconds.
        let seconds = i64::try_from(ms / 1000).ok()?;
        let after = DateTime::from_timestamp(seconds, 0)?.with_timezone(&self.zone);
        let next = match self.every_hour {
            true => self.cron.find_next_occurrence(&after, false).ok()?,
            false => self.next_on_the_wall(&after)?,
        };
        u64::try_from(next.timestamp_millis()).ok()
    }

    /// A time that a day has twice is the first of the two. One that it does not have is when the
    /// clock has gone forward.
    fn next_on_the_wall(&self, after: &DateTime<Tz>) -> Option<DateTime<Tz>> {
        let mut wall = after.naive_local();
        loop {
            let next = self.cron.find_next_occurrence(&wall.and_utc(), false);
            wall = next.ok()?.naive_utc();
            let moment = first_at_or_after(wall, self.zone)?;
            if moment > *after {
                return Some(moment);
            }
        }
    }
}

/// The first moment at which the clocks of `zone` show `wall`; if they never do, the one at which
/// they show something later.
fn first_at_or_after(wall: NaiveDateTime, zone: Tz) -> Option<DateTime<Tz>> {
    if let Some(moment) = zone.from_local_datetime(&wall).earliest() {
        return Some(moment);
    }
    // Clocks are changed at whole minutes, by a day at most.
    let minute = wall.with_second(0)?;
    (1..=MINUTES_OF_A_DAY)
        .filter_map(|n| minute.checked_add_signed(TimeDelta::minutes(n)))
        .find_map(|later| zone.from_local_datetime(&later).earliest())
}

/// As it is stored: fields with one space between them.
pub(crate) fn normalized(expression: &str) -> String {
    expression.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn parser(seconds: Seconds) -> CronParser {
    CronParser::builder()
        .seconds(seconds)
        .year(Year::Disallowed)
        .build()
}

fn parse(expression: &str) -> Result<Cron, Error> {
    let shown = expression.trim();
    if shown.starts_with('@') {
        let nickname = match shown.eq_ignore_ascii_case("@midnight") {
            true => "@daily",
            false => shown,
        };
        return parser(Seconds::Optional).parse(nickname).map_err(|_| {
            Error::invalid(format!(
                "the cron expression {shown:?} is not known; these are: {NICKNAMES}"
            ))
        });
    }
    let parts: Vec<&str> = shown.split_whitespace().collect();
    if !(5..=6).contains(&parts.len()) {
        return Err(Error::invalid(format!(
            "the cron expression {shown:?} has {} fields; 6 are allowed (second, minute, hour, \
             day of the month, month, day of the week), or 5 without the second",
            parts.len()
        )));
    }
    let named = &FIELDS[FIELDS.len() - parts.len()..];
    for (position, (part, (name, max))) in parts.iter().zip(named).enumerate() {
        if let Err(why) = check_field(part, *max, FIELDS.len() - parts.len() + position) {
            let pointer = pointer_to(shown, part);
            return Err(Error::invalid(format!(
                "the cron expression cannot be used: in the {name}, `{part}`: {why}\n    \
                 {shown}\n    {pointer}"
            )));
        }
    }
    parser(Seconds::Optional)
        .parse(shown)
        .map_err(|why| Error::invalid(format!("the cron expression {shown:?}: {why}")))
}

/// What is wrong with one field, found by leaving everything to it alone.
fn check_field(part: &str, max: u32, position: usize) -> Result<(), String> {
    let mut alone = ["*"; FIELDS.len()];
    alone[position] = part;
    parser(Seconds::Required)
        .parse(&alone.join(" "))
        .map_err(|why| match why {
            croner::errors::CronError::ComponentError(why) => lower_first(&why),
            why => lower_first(&why.to_string()),
        })?;
    // The parser takes `*/90` for "at 0", which is never what was meant.
    let steps = part.split(',').filter_map(|item| item.split_once('/'));
    for (_, step) in steps {
        if step.parse::<u32>().is_ok_and(|step| step > max) {
            return Err(format!("a step of {step} leads out of the field"));
        }
    }
    Ok(())
}

fn lower_first(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

/// A line of carets under `part`, which is a slice of `line`.
fn pointer_to(line: &str, part: &str) -> String {
    let start = part.as_ptr() as usize - line.as_ptr() as usize;
    let before = line[..start].chars().count();
    " ".repeat(before) + &"^".repeat(part.chars().count())
}

fn parse_zone(name: &str) -> Result<Tz, Error> {
    Tz::from_str(name).map_err(|_| {
        Error::invalid(format!(
            "the time zone {name:?} is not known; did you mean {}?",
            nearest_zones(name).join(", ")
        ))
    })
}

/// The names most like `name`, whether it is a whole name or just a place.
fn nearest_zones(name: &str) -> Vec<&'static str> {
    let wanted = name.to_lowercase().replace(' ', "_");
    let place = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let likeness = |zone: &str| {
        let zone = zone.to_lowercase();
        let whole = strsim::normalized_damerau_levenshtein(&wanted, &zone);
        let places = strsim::normalized_damerau_levenshtein(&place(&wanted), &place(&zone));
        // A place that is right counts, but less than the whole name.
        whole.max(0.95 * places)
    };
    let mut zones: Vec<_> = TZ_VARIANTS
        .iter()
        .map(|zone| (likeness(zone.name()), zone.name()))
        .collect();
    zones.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    zones
        .into_iter()
        .take(ZONES_OFFERED)
        .map(|(_, name)| name)
        .collect()
}

#[cfg(test)]
mod tests;
