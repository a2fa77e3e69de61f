//! One queue, for people and as JSON.

use std::time::Duration;

use oxcart::{Counts, OldestWaiting, Totals};
use serde::Serialize;

use crate::term::look::Tint;
use crate::term::out::Out;
use crate::text::rates;
use crate::text::when::{ago, exact, now};
use crate::trouble::Trouble;

/// See `schema/queue.json`.
#[derive(Serialize)]
pub(super) struct QueueView<'a> {
    queue: &'a str,
    paused: bool,
    /// The names whose jobs are paused.
    paused_names: &'a [String],
    /// Until when nothing starts, because a handler was told to wait.
    held_until: Option<String>,
    rate: Option<String>,
    /// Starts that count against the rate at the moment.
    rate_started: u64,
    concurrency: Option<u32>,
    waiting: u64,
    /// For how long the oldest job waits.
    oldest_waiting_ms: Option<u64>,
    blocked: u64,
    delayed: u64,
    active: u64,
    /// Completed and cancelled jobs that are still kept.
    completed: u64,
    dead: u64,
    totals: TotalsView,
}

#[derive(Serialize)]
struct TotalsView {
    added: u64,
    completed: u64,
    cancelled: u64,
    retried: u64,
    snoozed: u64,
    dead: u64,
    dead_dropped: u64,
    replayed: u64,
    stalled: u64,
    removed: u64,
    duplicates: u64,
    replaced: u64,
    without_record: u64,
    refused: u64,
    clashed: u64,
}

impl<'a> QueueView<'a> {
    pub(super) fn new(queue: &'a str, counts: &'a Counts, oldest: Option<&OldestWaiting>) -> Self {
        Self {
            queue,
            paused: counts.paused,
            paused_names: &counts.paused_names,
            held_until: counts.held_until.map(|until| until.to_string()),
            rate: counts.rate.as_ref().map(rates::shown),
            rate_started: counts.started,
            concurrency: counts.concurrency,
            waiting: counts.waiting,
            oldest_waiting_ms: oldest
                .map(|oldest| u64::try_from(oldest.age.as_millis()).unwrap_or(u64::MAX)),
            blocked: counts.blocked,
            delayed: counts.delayed,
            active: counts.active,
            completed: counts.completed,
            dead: counts.dead,
            totals: TotalsView::new(&counts.totals),
        }
    }
}

impl TotalsView {
    fn new(totals: &Totals) -> Self {
        Self {
            added: totals.added,
            completed: totals.completed,
            cancelled: totals.cancelled,
            retried: totals.retried,
            snoozed: totals.snoozed,
            dead: totals.dead,
            dead_dropped: totals.dead_dropped,
            replayed: totals.replayed,
            stalled: totals.stalled,
            removed: totals.removed,
            duplicates: totals.duplicates,
            replaced: totals.replaced,
            without_record: totals.without_record,
            refused: totals.refused,
            clashed: totals.clashed,
        }
    }
}

/// Whether as many jobs have started as may in this period.
pub(crate) fn is_rate_used_up(counts: &Counts) -> bool {
    let rate = counts.rate.as_ref();
    rate.is_some_and(|rate| counts.started >= u64::from(rate.starts))
}

/// Why jobs of a queue do not start, in some words; empty if nothing holds them back.
pub(crate) fn held_back(counts: &Counts) -> String {
    let mut why = Vec::new();
    if counts.paused {
        why.push("paused".to_owned());
    }
    if let Some(until) = counts.held_until {
        why.push(format!("held, goes on {}", ago(until, now())));
    }
    if is_rate_used_up(counts) {
        let rate = counts.rate.as_ref().map(rates::shown);
        why.push(format!("rate {} used up", rate.unwrap_or_default()));
    }
    if !counts.paused_names.is_empty() {
        why.push(format!("paused: {}", counts.paused_names.join(", ")));
    }
    why.join("; ")
}

pub(super) fn tell(
    out: &mut Out,
    name: &str,
    counts: &Counts,
    oldest: Option<&OldestWaiting>,
) -> Result<(), Trouble> {
    if out.json {
        return out.json(&QueueView::new(name, counts, oldest));
    }
    let state = match (counts.paused, counts.held_until) {
        (true, _) => out.paint(Tint::Held, "paused: no worker takes a job"),
        (false, Some(until)) => out.paint(
            Tint::Held,
            format_args!("held until {until}: a handler was told to wait"),
        ),
        (false, None) => out.paint(Tint::Good, "open"),
    };
    let title = out.paint(Tint::Strong, name);
    out.line(format_args!("{title}  {state}"))?;
    if !counts.paused_names.is_empty() {
        let names = counts.paused_names.join(", ");
        out.fact(
            "paused",
            out.paint(Tint::Held, format_args!("jobs named {names}")),
        )?;
    }
    if let Some(rate) = &counts.rate {
        let tint = match is_rate_used_up(counts) {
            true => Tint::Held,
            false => Tint::Plain,
        };
        let text = format!("{}; {} started", rates::shown(rate), counts.started);
        out.fact("rate", out.paint(tint, text))?;
    }
    if let Some(jobs) = counts.concurrency {
        out.fact("concurrency", jobs)?;
    }
    let numbers = [
        (
            "waiting",
            counts.waiting,
            Tint::Plain,
            "in line, for the next free worker",
        ),
        (
            "blocked",
            counts.blocked,
            Tint::Held,
            "held back by their group or order",
        ),
        (
            "delayed",
            counts.delayed,
            Tint::Plain,
            "not due yet, or between two attempts",
        ),
        ("active", counts.active, Tint::Busy, "run"),
        ("dead", counts.dead, Tint::Bad, "failed for good"),
        (
            "kept",
            counts.completed,
            Tint::Faint,
            "completed or cancelled, and not dropped yet",
        ),
    ];
    table(out, &numbers)?;
    if let Some(oldest) = oldest {
        let age = exact(Duration::from_secs(oldest.age.as_secs()));
        out.fact("oldest", format_args!("waits for {age}: job {}", oldest.id))?;
    }
    let all = &counts.totals;
    out.line("")?;
    let title = out.paint(Tint::Strong, "Since the queue was made");
    out.line(title)?;
    let numbers = [
        ("enqueued", all.added, Tint::Plain, ""),
        ("completed", all.completed, Tint::Plain, ""),
        ("cancelled", all.cancelled, Tint::Plain, ""),
        (
            "retried",
            all.retried,
            Tint::Plain,
            "attempts that failed and were repeated",
        ),
        (
            "snoozed",
            all.snoozed,
            Tint::Plain,
            "put off by their handler",
        ),
        ("dead", all.dead, Tint::Plain, ""),
        ("replayed", all.replayed, Tint::Plain, ""),
        (
            "stalled",
            all.stalled,
            Tint::Held,
            "attempts whose worker died",
        ),
        ("removed", all.removed, Tint::Plain, ""),
    ];
    table(out, &numbers)?;
    let rare = [
        (
            "dropped",
            all.dead_dropped,
            Tint::Held,
            "dead jobs, because of `keep_dead` or `keep_dead_at_most`",
        ),
        (
            "duplicates",
            all.duplicates,
            Tint::Plain,
            "not added, because a job with their unique key was there",
        ),
        (
            "replaced",
            all.replaced,
            Tint::Plain,
            "changed by a job with the same unique key",
        ),
        (
            "refused",
            all.refused,
            Tint::Held,
            "late calls of workers that had lost their job",
        ),
        (
            "no record",
            all.without_record,
            Tint::Bad,
            "ids in line without a job: another program writes here",
        ),
        (
            "clashed",
            all.clashed,
            Tint::Bad,
            "ids made twice: look into the logs of the producers",
        ),
    ];
    let rare: Vec<_> = rare
        .into_iter()
        .filter(|(_, number, ..)| *number > 0)
        .collect();
    table(out, &rare)
}

fn table(out: &mut Out, rows: &[(&str, u64, Tint, &str)]) -> Result<(), Trouble> {
    let numbers: Vec<String> = rows
        .iter()
        .map(|(_, number, ..)| out.count(*number))
        .collect();
    let width = numbers.iter().map(String::len).max().unwrap_or(0).max(9);
    for ((name, number, tint, what), shown) in rows.iter().zip(numbers) {
        let shown = out.paint(tint.unless_zero(*number), format_args!("{shown:>width$}"));
        let what = out.paint(Tint::Faint, what);
        out.fact(name, format!("{shown}  {what}").trim_end())?;
    }
    Ok(())
}
