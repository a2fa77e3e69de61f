//! The settings of a queue.

use std::time::Duration;

use clap::Args;
use oxcart::{QueueSettings, Rate, Retention, SettingsInForce};
use serde::Serialize;

use super::limits::{self, Typed};
use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::look::{Look, Tint, jobs};
use crate::term::out::Out;
use crate::term::table::{Cell, Table, text};
use crate::text::{duration, rates, when};
use crate::trouble::Trouble;

/// Without options it shows them; an option changes one.
#[derive(Args)]
pub(crate) struct Settings {
    queue: String,
    /// How long completed and cancelled jobs are kept: 2h, 7d, or `nothing`
    #[arg(long, value_name = "TIME", value_parser = retention)]
    keep_completed: Option<Retention>,
    /// How many completed and cancelled jobs are kept, or `unlimited`
    #[arg(long, value_name = "JOBS", value_parser = number)]
    keep_at_most: Option<u64>,
    /// How often a job's worker may die before the job is dead
    #[arg(long, value_name = "TIMES")]
    max_stalls: Option<u32>,
    /// About how many events are kept, or `unlimited`
    #[arg(long, value_name = "EVENTS", value_parser = number)]
    keep_events: Option<u64>,
    /// How long dead jobs are kept: 30d, or `unlimited`
    #[arg(long, value_name = "TIME", value_parser = age)]
    keep_dead: Option<Age>,
    /// How many dead jobs are kept, those that died last, or `unlimited`
    #[arg(long, value_name = "JOBS", value_parser = number)]
    keep_dead_at_most: Option<u64>,
    /// How many jobs of one group run at a time, or `unlimited`
    #[arg(long, value_name = "JOBS", value_parser = concurrency)]
    group_concurrency: Option<u64>,
    /// How many jobs of one group start in a period: 10/1s, 600/1m/smooth, or `unlimited`
    #[arg(long, value_name = "JOBS/TIME", value_parser = limits::rate)]
    group_rate: Option<Typed<Rate>>,
    /// How many jobs start in a period: 100/1s, 600/1m/smooth, or `unlimited`
    #[arg(long, value_name = "JOBS/TIME", value_parser = limits::rate)]
    rate: Option<Typed<Rate>>,
    /// How many jobs run at a time, over all workers, or `unlimited`
    #[arg(long, value_name = "JOBS", value_parser = limits::concurrency)]
    concurrency: Option<Typed<u32>>,
}

/// For how long, if not for ever.
#[derive(Debug, Clone, Copy)]
struct Age(Option<Duration>);

fn age(text: &str) -> Result<Age, String> {
    Ok(Age(match text {
        "unlimited" => None,
        text => Some(duration::parse(text)?),
    }))
}

fn retention(text: &str) -> Result<Retention, String> {
    Ok(match text {
        "nothing" => Retention::Nothing,
        text => Retention::For(duration::parse(text)?),
    })
}

fn number(text: &str) -> Result<u64, String> {
    match text {
        "unlimited" => Ok(u64::MAX),
        text => text
            .parse()
            .map_err(|_| "a number, or `unlimited`".to_owned()),
    }
}

/// Where 0 stands for no limit.
fn concurrency(text: &str) -> Result<u64, String> {
    match number(text)? {
        u64::MAX => Ok(0),
        0 => Err("1 or more, or `unlimited`".to_owned()),
        number => Ok(number),
    }
}

impl Settings {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let queue = session.queue(&self.queue).await?;
        let mut change = QueueSettings::new();
        change.keep_completed = self.keep_completed;
        change.keep_at_most = self.keep_at_most;
        change.max_stalls = self.max_stalls;
        change.keep_events = self.keep_events;
        change.keep_dead = self.keep_dead.map(|Age(age)| age);
        change.keep_dead_at_most = self.keep_dead_at_most;
        change.group_concurrency = self.group_concurrency;
        change.group_rate = self.group_rate.map(Typed::limit);
        change.rate = self.rate.map(Typed::limit);
        change.concurrency = self.concurrency.map(Typed::limit);
        if change.keep_dead == Some(Some(Duration::ZERO)) || change.keep_dead_at_most == Some(0) {
            let dead = queue.counts().await?.dead;
            let name = &self.queue;
            let what = format!(
                "Drop every dead job of `{name}`, now {}, and each that dies from now on",
                jobs(dead)
            );
            confirm(session, &what).await?;
        }
        let in_force = match change == QueueSettings::new() {
            true => queue.settings().await?,
            false => queue.change_settings(change).await?,
        };
        tell(&mut session.out, &self.queue, &in_force)
    }
}

/// See `schema/settings.json`.
#[derive(Serialize)]
struct View<'a> {
    queue: &'a str,
    revision: u64,
    /// 0: nothing is kept.
    keep_completed_ms: u64,
    /// None: any number.
    keep_at_most: Option<u64>,
    max_stalls: u32,
    keep_events: Option<u64>,
    /// None: for ever.
    keep_dead_ms: Option<u64>,
    keep_dead_at_most: Option<u64>,
    group_concurrency: Option<u64>,
    group_rate: Option<String>,
    rate: Option<String>,
    concurrency: Option<u32>,
    /// Who set each of them: `default`, `code` or `operator`.
    set_by: SetBy,
}

#[derive(Serialize)]
struct SetBy {
    keep_completed: &'static str,
    keep_at_most: &'static str,
    max_stalls: &'static str,
    keep_events: &'static str,
    keep_dead: &'static str,
    keep_dead_at_most: &'static str,
    group_concurrency: &'static str,
    group_rate: &'static str,
    rate: &'static str,
    concurrency: &'static str,
}

fn by<T: PartialEq>(set: Option<T>, declared: Option<T>) -> &'static str {
    match set {
        None => "default",
        Some(set) if declared.as_ref() == Some(&set) => "code",
        Some(_) => "operator",
    }
}

impl SetBy {
    fn new(in_force: &SettingsInForce) -> Self {
        let (set, declared) = (in_force.set, in_force.declared);
        Self {
            keep_completed: by(set.keep_completed, declared.keep_completed),
            keep_at_most: by(set.keep_at_most, declared.keep_at_most),
            max_stalls: by(set.max_stalls, declared.max_stalls),
            keep_events: by(set.keep_events, declared.keep_events),
            keep_dead: by(set.keep_dead, declared.keep_dead),
            keep_dead_at_most: by(set.keep_dead_at_most, declared.keep_dead_at_most),
            group_concurrency: by(set.group_concurrency, declared.group_concurrency),
            group_rate: by(set.group_rate, declared.group_rate),
            rate: by(set.rate, declared.rate),
            concurrency: by(set.concurrency, declared.concurrency),
        }
    }
}

/// What an operator has set otherwise than the code of the workers, which is stored again when that changes.
pub(crate) fn differ_from_code(in_force: &SettingsInForce) -> Vec<&'static str> {
    let (set_by, declared) = (SetBy::new(in_force), in_force.declared);
    let changed = |by: &str, is_declared: bool| by == "operator" && is_declared;
    [
        (
            "keep_completed",
            changed(set_by.keep_completed, declared.keep_completed.is_some()),
        ),
        (
            "keep_at_most",
            changed(set_by.keep_at_most, declared.keep_at_most.is_some()),
        ),
        (
            "max_stalls",
            changed(set_by.max_stalls, declared.max_stalls.is_some()),
        ),
        (
            "keep_events",
            changed(set_by.keep_events, declared.keep_events.is_some()),
        ),
        (
            "keep_dead",
            changed(set_by.keep_dead, declared.keep_dead.is_some()),
        ),
        (
            "keep_dead_at_most",
            changed(
                set_by.keep_dead_at_most,
                declared.keep_dead_at_most.is_some(),
            ),
        ),
        (
            "group_concurrency",
            changed(
                set_by.group_concurrency,
                declared.group_concurrency.is_some(),
            ),
        ),
        (
            "group_rate",
            changed(set_by.group_rate, declared.group_rate.is_some()),
        ),
        ("rate", changed(set_by.rate, declared.rate.is_some())),
        (
            "concurrency",
            changed(set_by.concurrency, declared.concurrency.is_some()),
        ),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

fn tell(out: &mut Out, queue: &str, in_force: &SettingsInForce) -> Result<(), Trouble> {
    let limit = |number: u64| Some(number).filter(|number| *number != u64::MAX);
    let concurrency = Some(in_force.group_concurrency).filter(|jobs| *jobs > 0);
    let keep = match in_force.keep_completed {
        Retention::For(age) => age,
        _ => Duration::ZERO,
    };
    let at_a_time = in_force.concurrency;
    let rate = in_force.rate.as_ref().map(rates::shown);
    let group_rate = in_force.group_rate.as_ref().map(rates::shown);
    let set_by = SetBy::new(in_force);
    if out.json {
        return out.json(&View {
            queue,
            revision: in_force.revision,
            keep_completed_ms: keep.as_millis() as u64,
            keep_at_most: limit(in_force.keep_at_most),
            max_stalls: in_force.max_stalls,
            keep_events: limit(in_force.keep_events),
            keep_dead_ms: in_force.keep_dead.map(|age| age.as_millis() as u64),
            keep_dead_at_most: limit(in_force.keep_dead_at_most),
            group_concurrency: concurrency,
            group_rate,
            rate,
            concurrency: at_a_time,
            set_by,
        });
    }
    let kept = match keep {
        Duration::ZERO => "nothing".to_owned(),
        keep => when::exact(keep),
    };
    let look = out.look;
    let mut table = Table::new([text("SETTING"), text("VALUE"), text("SET BY")]);
    for (name, value, by) in [
        ("keep_completed", kept, set_by.keep_completed),
        (
            "keep_at_most",
            shown(look, limit(in_force.keep_at_most), "jobs"),
            set_by.keep_at_most,
        ),
        (
            "max_stalls",
            in_force.max_stalls.to_string(),
            set_by.max_stalls,
        ),
        (
            "keep_events",
            shown(look, limit(in_force.keep_events), "events"),
            set_by.keep_events,
        ),
        (
            "keep_dead",
            in_force
                .keep_dead
                .map_or_else(|| "unlimited".to_owned(), when::exact),
            set_by.keep_dead,
        ),
        (
            "keep_dead_at_most",
            shown(look, limit(in_force.keep_dead_at_most), "jobs"),
            set_by.keep_dead_at_most,
        ),
        (
            "group_concurrency",
            shown(look, concurrency, "jobs"),
            set_by.group_concurrency,
        ),
        (
            "group_rate",
            group_rate.unwrap_or_else(|| "unlimited".to_owned()),
            set_by.group_rate,
        ),
        (
            "rate",
            rate.unwrap_or_else(|| "unlimited".to_owned()),
            set_by.rate,
        ),
        (
            "concurrency",
            shown(look, at_a_time.map(u64::from), "jobs"),
            set_by.concurrency,
        ),
    ] {
        let tint = if by == "operator" {
            Tint::Held
        } else {
            Tint::Faint
        };
        table.row([
            Cell::new(Tint::Strong, name),
            Cell::plain(value),
            Cell::new(tint, by),
        ]);
    }
    table.print(out)
}

fn shown(look: Look, number: Option<u64>, of: &str) -> String {
    match number {
        Some(number) => format!("{} {of}", look.count(number)),
        None => "unlimited".to_owned(),
    }
}
