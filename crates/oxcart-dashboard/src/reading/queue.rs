//! Queues, as the model has them.

use std::time::Duration;

use oxcart::{Counts, Error, History, Queue, Rate, Retention, SettingsInForce, Spread, Totals};

use crate::model::{self, Moment, OutgoingLine, QueueLine, Rates};
use crate::reading::problems::problems;

/// The time whose rates are shown.
pub(super) const LATELY: Duration = Duration::from_secs(MINUTES * 60);
/// Commands that reading its history takes.
pub(super) const LATELY_COMMANDS: usize = 3;
const MINUTES: u64 = 30;
const MINUTE_MS: u64 = 60_000;

pub(super) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A queue of which nothing is known yet.
pub(super) fn unread(queue: &str) -> QueueLine {
    QueueLine {
        queue: queue.to_owned(),
        read_at: None,
        waiting: 0,
        blocked: 0,
        delayed: 0,
        active: 0,
        completed: 0,
        dead: 0,
        paused: false,
        paused_names: Vec::new(),
        held_until: None,
        oldest_waiting_ms: None,
        lease_over_ms: None,
        rates: None,
        departures: Vec::new(),
        outbox: Vec::new(),
        problems: Vec::new(),
    }
}

/// `outbox`: what it has for other queues. `lease_over`: for how long the lease is over that should have been renewed first. `lately`: what was read of the history some time ago, if it was.
pub(super) fn line(
    queue: &str,
    counts: &Counts,
    (oldest, lease_over): (Option<Duration>, Option<Duration>),
    outbox: Vec<OutgoingLine>,
    lately: Option<&(Rates, Vec<u64>)>,
    now: Moment,
) -> QueueLine {
    let mut line = QueueLine {
        queue: queue.to_owned(),
        read_at: Some(now),
        waiting: counts.waiting,
        blocked: counts.blocked,
        delayed: counts.delayed,
        active: counts.active,
        completed: counts.completed,
        dead: counts.dead,
        paused: counts.paused,
        paused_names: counts.paused_names.clone(),
        held_until: counts.held_until.map(Into::into),
        oldest_waiting_ms: oldest.map(ms),
        lease_over_ms: lease_over.map(ms),
        rates: lately.map(|(rates, _)| *rates),
        departures: lately.map_or_else(Vec::new, |(_, minutes)| minutes.clone()),
        outbox,
        problems: Vec::new(),
    };
    line.problems = problems(&line, now);
    line
}

/// What a queue has for other queues. One command for each of these, or one if there is nothing.
pub(super) async fn outbox(queue: &Queue) -> Result<Vec<OutgoingLine>, Error> {
    let outgoing = queue.outbox().await?.into_iter();
    let lines = outgoing.map(|outgoing| OutgoingLine {
        queue: outgoing.queue,
        messages: outgoing.messages,
        since: outgoing.since.into(),
    });
    Ok(lines.collect())
}

/// For how long the lease of a job that runs is over; `None` if all of them are renewed. One command.
pub(super) async fn lease_over(queue: &Queue, now: Moment) -> Result<Option<Duration>, Error> {
    // The lease that ends first comes first.
    let first = queue.jobs(oxcart::JobState::Active).limit(1).await?;
    let until = first.jobs.first().and_then(|job| job.lease_until);
    let over = until.map_or(0, |until| Moment::from(until).ms_before(now));
    Ok((over > 0).then(|| Duration::from_millis(over)))
}

pub(super) fn lately(history: &History, now: Moment) -> (Rates, Vec<u64>) {
    let sum = |of: fn(&oxcart::NameHistory) -> u64| history.names.iter().map(of).sum::<u64>();
    let failed = sum(|name| name.failed());
    let attempts = failed + sum(|name| name.completed + name.cancelled);
    let rates = Rates {
        arrivals: history.arrivals,
        departures: history.departures,
        failed: (attempts > 0).then(|| failed as f64 / attempts as f64),
        drain_ms: history.time_to_drain().map(ms),
    };
    let this_minute = now.as_millis() / MINUTE_MS;
    let departed = |minute: u64| {
        let mut minutes = history.minutes.iter();
        let found = minutes.find(|known| known.at.as_millis() / MINUTE_MS == minute);
        found.map_or(0, |known| known.departed)
    };
    let first = this_minute.saturating_sub(MINUTES);
    (rates, (first..this_minute).map(departed).collect())
}

pub(super) fn totals(totals: &Totals) -> model::Totals {
    model::Totals {
        added: totals.added,
        completed: totals.completed,
        cancelled: totals.cancelled,
        expired: totals.expired,
        retried: totals.retried,
        snoozed: totals.snoozed,
        dead: totals.dead,
        replayed: totals.replayed,
        stalled: totals.stalled,
        removed: totals.removed,
        duplicates: totals.duplicates,
        refused: totals.refused,
    }
}

pub(super) fn names(history: &History, paused: &[String]) -> Vec<model::NameLine> {
    let quantiles = |times: Option<oxcart::Quantiles>| {
        times.map(|times| model::Quantiles {
            p50_ms: ms(times.p50),
            p95_ms: ms(times.p95),
            p99_ms: ms(times.p99),
        })
    };
    let seen = history.names.iter().map(|name| model::NameLine {
        name: name.name.clone(),
        paused: paused.contains(&name.name),
        completed: name.completed,
        retried: name.retried,
        dead: name.dead,
        cancelled: name.cancelled,
        wait: quantiles(name.wait),
        run: quantiles(name.run),
    });
    let mut names: Vec<_> = seen.collect();
    // A name of which nothing has run is still paused.
    let others = paused
        .iter()
        .filter(|name| !history.names.iter().any(|seen| seen.name == **name));
    names.extend(others.map(|name| model::NameLine {
        name: name.clone(),
        paused: true,
        completed: 0,
        retried: 0,
        dead: 0,
        cancelled: 0,
        wait: None,
        run: None,
    }));
    names
}

pub(super) fn minutes(history: &History) -> Vec<model::MinutePoint> {
    let points = history.minutes.iter().map(|minute| model::MinutePoint {
        at: minute.at.into(),
        arrived: minute.arrived,
        departed: minute.departed,
        waiting: minute.waiting,
    });
    points.collect()
}

fn time(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

pub(super) fn rate(rate: &Rate) -> String {
    let spread = match rate.spread {
        Spread::Smooth => ", evenly",
        _ => "",
    };
    format!("{} in {}{spread}", rate.starts, time(rate.period))
}

pub(super) fn settings(settings: &SettingsInForce) -> Vec<model::SettingLine> {
    const UNLIMITED: &str = "unlimited";
    let number = |number: u64| match number {
        // The largest number that scripts count with stands for no limit.
        n if n >= (1 << 53) - 1 => UNLIMITED.to_owned(),
        n => n.to_string(),
    };
    let optional = |value: Option<String>| value.unwrap_or_else(|| UNLIMITED.to_owned());
    let kept = match settings.keep_completed {
        Retention::Nothing => "nothing".to_owned(),
        Retention::For(age) => time(age),
        _ => "other".to_owned(),
    };
    let group_concurrency = match settings.group_concurrency {
        0 => UNLIMITED.to_owned(),
        jobs => number(jobs),
    };
    let lines = [
        ("keep_completed", kept),
        ("keep_at_most", number(settings.keep_at_most)),
        ("keep_dead", optional(settings.keep_dead.map(time))),
        ("keep_dead_at_most", number(settings.keep_dead_at_most)),
        ("keep_events", number(settings.keep_events)),
        ("max_stalls", settings.max_stalls.to_string()),
        ("group_concurrency", group_concurrency),
        (
            "group_rate",
            optional(settings.group_rate.as_ref().map(rate)),
        ),
        ("rate", optional(settings.rate.as_ref().map(rate))),
        (
            "concurrency",
            optional(settings.concurrency.map(|jobs| jobs.to_string())),
        ),
    ];
    let lines = lines.into_iter().map(|(name, value)| model::SettingLine {
        name: name.to_owned(),
        value,
    });
    lines.collect()
}
