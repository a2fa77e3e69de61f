//! Cron expressions in a time zone: reading them, saying what is wrong with them, and when they
//! match next.

use std::ops::Range;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike};
use chrono_tz::{TZ_VARIANTS, Tz};
use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, CronPattern, Weekday};

use crate::error::Error;

/// One of the fields of an expression: the numbers and names that it takes.
struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    /// What the numbers from `min` on are called.
    names: &'static [&'static str],
}

/// The first may be left out.
const FIELDS: [Field; 6] = [
    Field::new("second", 0, 59, &[]),
    Field::new("minute", 0, 59, &[]),
    Field::new("hour", 0, 23, &[]),
    Field::new(DAY_OF_MONTH, 1, 31, &[]),
    Field::new("month", 1, 12, &MONTHS),
    Field::new(DAY_OF_WEEK, 0, 7, &DAYS),
];
const DAY_OF_MONTH: &str = "day of the month";
const DAY_OF_WEEK: &str = "day of the week";
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const HOURS: usize = 24;
/// Years of every kind: among these, each day of the week is the first of January of a leap year and
/// of another one.
const YEARS_OF_ALL_KINDS: Range<i32> = 2000..2028;
const MINUTES_OF_A_DAY: i64 = 24 * 60;
const NICKNAMES: &str = "@yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly";
/// Longest expression, in bytes: one that names every moment of every field has 561.
const EXPRESSION_BYTES_MAX: usize = 1_000;
/// Longest name of a time zone, in bytes. The longest name in the database has 32.
const ZONE_BYTES_MAX: usize = 64;
/// Time zones that are offered for one that does not exist.
const ZONES_OFFERED: usize = 3;
/// How similar such a name must be at least, from 0 to 1.
const LIKENESS_MIN: f64 = 0.6;

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub(crate) struct ParsedCron {
    cron: Cron,
    zone: Tz,
    /// It matches in every hour, and so follows real time. An expression that names hours follows the
    /// clock on the wall.
    every_hour: bool,
    /// There are days that have what it asks for.
    has_days: bool,
}

impl ParsedCron {
    pub(crate) fn parse(expression: &str, zone: &str) -> Result<Self, Error> {
        let cron = parse(expression)?;
        Ok(Self {
            every_hour: cron.pattern.hours.values().len() == HOURS,
            has_days: has_days(&cron.pattern),
            zone: parse_zone(zone)?,
            cron,
        })
    }

    /// No day of any year has what it asks for.
    pub(crate) fn never_matches(&self) -> bool {
        !self.has_days
    }

    /// The first match after `ms`; `None` if there is none.
    pub(crate) fn next_after(&self, ms: u64) -> Option<u64> {
        // The search would go on for thousands of years.
        if self.never_matches() {
            return None;
        }
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

/// Whether any day has what the expression asks for. That depends on how long the month is and on
/// which day of the week it begins, so a few years show it.
fn has_days(pattern: &CronPattern) -> bool {
    days_in_question(pattern).any(|day| {
        let weekday = Weekday::from_days_from_sunday(day.weekday().num_days_from_sunday());
        let matches = pattern.day_match(day.year(), day.month(), day.day(), weekday);
        matches.unwrap_or(false)
    })
}

/// Days of every kind, in the months of the expression.
fn days_in_question(pattern: &CronPattern) -> impl Iterator<Item = NaiveDate> {
    let months = pattern.months.values();
    YEARS_OF_ALL_KINDS
        .flat_map(move |year| months.clone().into_iter().map(move |month| (year, month)))
        .flat_map(|(year, month)| (1..=31).map(move |day| (year, month, day)))
        .filter_map(|(year, month, day)| NaiveDate::from_ymd_opt(year, u32::from(month), day))
}

/// The first moment at which the clocks of `zone` show `wall`; if they never do, the first moment at which
/// they show a later time.
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

fn parser(seconds: Seconds, days: Days) -> CronParser {
    CronParser::builder()
        .seconds(seconds)
        .year(Year::Disallowed)
        .dom_and_dow(days == Days::Both)
        .build()
}

/// What a day must match of an expression that names days of the month and days of the week.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Days {
    Either,
    Both,
}

impl Days {
    /// As crontab has it: the two are joined by *and* where one of them begins with `*`, so that
    /// `*/2` is less than every day and not more than the other field says.
    fn of(of_the_month: &str, of_the_week: &str) -> Self {
        let begins_with_all = |field: &str| field.starts_with(['*', '?']);
        match begins_with_all(of_the_month) || begins_with_all(of_the_week) {
            true => Self::Both,
            false => Self::Either,
        }
    }
}

fn parse(expression: &str) -> Result<Cron, Error> {
    check_length("cron expression", expression, EXPRESSION_BYTES_MAX)?;
    let shown = expression.trim();
    if let Some(instead) = said_elsewhere(shown) {
        return Err(Error::invalid(format!(
            "the cron expression {shown:?} cannot be used: {instead}"
        )));
    }
    if shown.starts_with('@') {
        let nickname = match shown.eq_ignore_ascii_case("@midnight") {
            true => "@daily",
            false => shown,
        };
        return parser(Seconds::Optional, Days::Either)
            .parse(nickname)
            .map_err(|_| {
                Error::invalid(format!(
                    "the cron expression {shown:?} is not known; these are: {NICKNAMES}"
                ))
            });
    }
    let parts: Vec<&str> = shown.split_whitespace().collect();
    if !(5..=6).contains(&parts.len()) {
        return Err(Error::invalid(format!(
            "the cron expression {shown:?} has {} fields; 5 are needed (minute, hour, day of the \
             month, month, day of the week), or 6 with the second first",
            parts.len()
        )));
    }
    let left_out = FIELDS.len() - parts.len();
    for (position, part) in parts.iter().enumerate() {
        for item in part.split(',') {
            if let Err(why) = check_item(item, left_out + position) {
                let name = FIELDS[left_out + position].name;
                let pointer = pointer_to(shown, item);
                let named = item.is_empty() || why.starts_with(&format!("`{item}` "));
                let what = match named {
                    true => why,
                    false => format!("`{item}`: {why}"),
                };
                return Err(Error::invalid(format!(
                    "the cron expression cannot be used: in the {name}, {what}\n    \
                     {shown}\n    {pointer}"
                )));
            }
        }
    }
    // Each item can be read alone.
    let days = Days::of(parts[3 - left_out], parts[5 - left_out]);
    parser(Seconds::Optional, days).parse(shown).map_err(|_| {
        Error::invalid(format!(
            "the cron expression {shown:?} cannot be read as a whole; a `+` stands only before the \
             first day of the week"
        ))
    })
}

/// Things that other libraries put into an expression, and that have a method of their own here.
fn said_elsewhere(expression: &str) -> Option<&'static str> {
    let begins = |with: &str| {
        let start = expression.get(..with.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    if begins("@every") {
        return Some("for an interval use `.every(..)` instead of `.cron(..)`");
    }
    if begins("CRON_TZ=") || begins("TZ=") {
        return Some("the time zone is set with `.timezone(..)`");
    }
    None
}

/// What is wrong with one item of a field's list, found by leaving everything to it alone.
fn check_item(item: &str, position: usize) -> Result<(), String> {
    if item.is_empty() {
        return Err("nothing stands on one side of a comma".to_owned());
    }
    let field = &FIELDS[position];
    // The parser accepts it, but then it matches no day at all.
    if field.name == DAY_OF_WEEK && item.eq_ignore_ascii_case("L") {
        return Err("`L` follows a day, as in `FRIL`".to_owned());
    }
    let mut alone = ["*"; FIELDS.len()];
    alone[position] = item;
    let parser = parser(Seconds::Required, Days::Either);
    if parser.parse(&alone.join(" ")).is_err() {
        return Err(field.why_not(item));
    }
    // The parser takes `*/90` for "at 0", which is never what was meant.
    let step = item.split_once('/').and_then(|(_, step)| step.parse().ok());
    match step {
        Some(step) if step > field.max => Err(leads_out(step)),
        _ => Ok(()),
    }
}

fn leads_out(step: u32) -> String {
    format!("a step of {step} leads out of the field")
}

impl Field {
    const fn new(name: &'static str, min: u32, max: u32, names: &'static [&'static str]) -> Self {
        Self {
            name,
            min,
            max,
            names,
        }
    }

    /// Why the parser does not take this, in words that say what to write instead.
    fn why_not(&self, item: &str) -> String {
        match self.search(item) {
            Err(why) => why,
            Ok(()) => format!("it cannot be read; {} are allowed", self.allowed()),
        }
    }

    fn search(&self, item: &str) -> Result<(), String> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        if let Some(step) = step {
            if range.is_empty() {
                return Err("`*` or a range is missing before the `/`".to_owned());
            }
            match step.parse() {
                _ if step.is_empty() => return Err("the step after the `/` is missing".to_owned()),
                Err(_) => return Err(format!("the step `{step}` is not a number")),
                Ok(0) => return Err("a step of 0 leads nowhere".to_owned()),
                Ok(step) if step > self.max => return Err(leads_out(step)),
                Ok(step) if range != "*" && !range.contains('-') => {
                    return Err(format!(
                        "a step follows `*` or a range, as in `*/{step}` or `{}-{}/{step}`",
                        self.min, self.max
                    ));
                }
                Ok(_) => {}
            }
        }
        if let Some((first, last)) = range.split_once('-') {
            if self.name == DAY_OF_MONTH && first.eq_ignore_ascii_case("L") {
                return Err(
                    "days before the last one cannot be named; `L` is the last day, `LW` the last \
                     working day"
                        .to_owned(),
                );
            }
            match (first, last) {
                ("", _) => return Err("the range has no beginning".to_owned()),
                (_, "") => return Err("the range has no end".to_owned()),
                _ => {}
            }
            let (first, last) = (self.number(first)?, self.number(last)?);
            return match first > last {
                true => Err("the range ends before it begins".to_owned()),
                false => Ok(()),
            };
        }
        if range == "*" {
            return Ok(());
        }
        let mut day = range;
        if self.name == DAY_OF_MONTH {
            day = day.trim_end_matches(['W', 'w']);
        }
        if self.name == DAY_OF_WEEK {
            day = day.trim_end_matches(['L', 'l']);
            if let Some((named, nth)) = day.split_once('#') {
                day = named;
                if !(1..=5).any(|n: u8| nth == n.to_string()) {
                    return Err("1 to 5 or L may follow the `#`".to_owned());
                }
            }
        }
        self.number(day).map(drop)
    }

    fn number(&self, text: &str) -> Result<u32, String> {
        let mut names = (self.min..).zip(self.names);
        let named = names.find(|(_, name)| name.eq_ignore_ascii_case(text));
        let number = named.map(|(n, _)| n).or_else(|| text.parse().ok());
        match number {
            None => Err(format!("`{text}` is not known: {}", self.allowed())),
            Some(n) if !(self.min..=self.max).contains(&n) => {
                Err(format!("{} are allowed", self.allowed()))
            }
            Some(n) => Ok(n),
        }
    }

    /// As in `0 to 7 or SUN to SAT`.
    fn allowed(&self) -> String {
        let numbers = format!("{} to {}", self.min, self.max);
        match self.names {
            [first, .., last] => format!("{numbers} or {first} to {last}"),
            _ => numbers,
        }
    }
}

/// A line of carets under `part`, which is a slice of `line`; one where it is empty.
fn pointer_to(line: &str, part: &str) -> String {
    let start = part.as_ptr() as usize - line.as_ptr() as usize;
    let before = line[..start].chars().count();
    " ".repeat(before) + &"^".repeat(part.chars().count().max(1))
}

/// What is too long is not shown.
fn check_length(what: &str, text: &str, most: usize) -> Result<(), Error> {
    if text.len() > most {
        return Err(Error::invalid(format!(
            "the {what} has {} bytes; at most {most} are allowed",
            text.len()
        )));
    }
    Ok(())
}

fn parse_zone(name: &str) -> Result<Tz, Error> {
    check_length("name of the time zone", name, ZONE_BYTES_MAX)?;
    let in_any_case = || {
        let mut zones = TZ_VARIANTS.iter();
        zones.find(|zone| zone.name().eq_ignore_ascii_case(name))
    };
    if let Some(zone) = Tz::from_str(name).ok().or_else(|| in_any_case().copied()) {
        return Ok(zone);
    }
    let near = nearest_zones(name);
    let hint = match near.is_empty() {
        true => "it is a name such as Europe/Berlin or UTC".to_owned(),
        false => format!("did you mean {}?", near.join(", ")),
    };
    Err(Error::invalid(format!(
        "the time zone {name:?} is not known; {hint}"
    )))
}

/// The name as the database writes it; an unknown name stays as it is.
pub(crate) fn zone_name(name: String) -> String {
    parse_zone(&name).map_or(name, |zone| zone.name().to_owned())
}

/// The names most like `name`, whether it is a whole name or just a place.
fn nearest_zones(name: &str) -> Vec<&'static str> {
    let wanted = name.to_lowercase().replace(' ', "_");
    let place = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let likeness = |zone: &str| {
        let zone = zone.to_lowercase();
        let whole = strsim::normalized_damerau_levenshtein(&wanted, &zone);
        let places = strsim::normalized_damerau_levenshtein(&place(&wanted), &place(&zone));
        // A place that fits counts, but less than a whole name that fits.
        whole.max(0.95 * places)
    };
    let mut zones: Vec<_> = TZ_VARIANTS
        .iter()
        .map(|zone| (likeness(zone.name()), zone.name()))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
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
