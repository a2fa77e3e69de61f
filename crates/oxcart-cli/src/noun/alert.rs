//! Alerts: which fire, and that somebody knows of one.

use clap::{Args, Subcommand};
use oxcart::{Acknowledge, AlertInfo, AlertState, AlertUnit, Alerts, Timestamp};
use serde::Serialize;

use crate::session::Session;
use crate::term::look::Tint;
use crate::term::table::{Cell, Table, text};
use crate::text::nearest::nearest;
use crate::text::when::{ago, now};
use crate::trouble::{Exit, Trouble};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// All alerts that are judged, those that fire first
    #[command(visible_alias = "list")]
    Ls {
        /// The queue that tells of them
        #[arg(default_value = "alerts")]
        queue: String,
        /// Only those that fire
        #[arg(long)]
        firing: bool,
    },
    /// You know of an alert that fires: it is not told again until it is resolved
    #[command(visible_alias = "acknowledge")]
    Ack(Which),
}

#[derive(Args)]
pub(crate) struct Which {
    /// The name of the rule
    rule: String,
    /// The queue that the alert is about
    about: String,
    /// The queue that tells of it
    #[arg(long, default_value = "alerts", value_name = "QUEUE")]
    told_by: String,
}

/// See `schema/alert.json`.
#[derive(Serialize)]
struct View<'a> {
    rule: &'a str,
    queue: &'a str,
    state: &'static str,
    since: String,
    judged_at: String,
    condition: &'a str,
    value: Option<f64>,
    threshold: f64,
    unit: &'static str,
    told_at: Option<String>,
    acknowledged_by: Option<&'a str>,
    acknowledged_at: Option<String>,
}

/// See `schema/acknowledged.json`.
#[derive(Serialize)]
struct Done<'a> {
    rule: &'a str,
    queue: &'a str,
    acknowledged_by: &'a str,
    /// Whether nobody had done so before.
    changed: bool,
}

fn state(alert: &AlertInfo) -> (Tint, &'static str) {
    match alert.state {
        AlertState::Firing if alert.acknowledged_by.is_some() => (Tint::Held, "firing"),
        AlertState::Firing => (Tint::Bad, "firing"),
        AlertState::Pending => (Tint::Held, "pending"),
        AlertState::Ok => (Tint::Good, "ok"),
        _ => (Tint::Plain, "other"),
    }
}

fn unit(alert: &AlertInfo) -> &'static str {
    match alert.unit {
        AlertUnit::Jobs => "jobs",
        AlertUnit::Stalls => "stalls",
        AlertUnit::Seconds => "seconds",
        AlertUnit::Ratio => "ratio",
        _ => "other",
    }
}

fn view(alert: &AlertInfo) -> View<'_> {
    let time = |time: Timestamp| time.to_string();
    View {
        rule: &alert.rule,
        queue: &alert.queue,
        state: state(alert).1,
        since: time(alert.since),
        judged_at: time(alert.judged_at),
        condition: &alert.condition,
        value: alert.value,
        threshold: alert.threshold,
        unit: unit(alert),
        told_at: alert.told_at.map(time),
        acknowledged_by: alert.acknowledged_by.as_deref(),
        acknowledged_at: alert.acknowledged_at.map(time),
    }
}

pub(crate) async fn run(verb: Verb, session: &mut Session) -> Result<(), Trouble> {
    match verb {
        Verb::Ls { queue, firing } => list(session, &queue, firing).await,
        Verb::Ack(which) => acknowledge(session, &which).await,
    }
}

async fn list(session: &mut Session, queue: &str, only_firing: bool) -> Result<(), Trouble> {
    let mut alerts = Alerts::new(&session.oxcart, queue)?.list().await?;
    if alerts.is_empty() {
        // A name that was mistyped has no alerts either.
        session.queue(queue).await.map_err(|trouble| match trouble.exit {
            Exit::NotFound => trouble.hint(
                "no application has judged alerts there yet; those kept in another queue: `oxcart alert ls QUEUE`",
            ),
            _ => trouble,
        })?;
    }
    let judged_at = alerts.iter().map(|alert| alert.judged_at).max();
    alerts.retain(|alert| alert.state == AlertState::Firing || !only_firing);
    let out = &mut session.out;
    if out.json {
        return alerts.iter().try_for_each(|alert| out.json(&view(alert)));
    }
    if alerts.is_empty() {
        match judged_at {
            Some(at) => out.note(format_args!(
                "no alert fires; they were judged {}",
                ago(at, now())
            )),
            None => out.note(format_args!("no alerts are judged in `{queue}`")),
        }
        return Ok(());
    }
    let mut table = Table::new([
        text("RULE"),
        text("QUEUE"),
        text("STATE"),
        text("SINCE"),
        text("VALUE"),
        text("JUDGED").optional(2),
        text("KNOWN TO"),
        text("CONDITION").optional(1),
    ]);
    for alert in &alerts {
        let (tint, state) = state(alert);
        let value = alert.value.map(|value| alert.unit.shown(value));
        table.row([
            Cell::new(Tint::Strong, &*alert.rule),
            Cell::plain(&*alert.queue),
            Cell::new(tint, state),
            Cell::plain(ago(alert.since, now())),
            Cell::plain(value.unwrap_or_default()),
            Cell::new(Tint::Faint, ago(alert.judged_at, now())),
            Cell::plain(alert.acknowledged_by.as_deref().unwrap_or_default()),
            Cell::new(Tint::Faint, &*alert.condition),
        ]);
    }
    table.print(out)
}

async fn acknowledge(session: &mut Session, which: &Which) -> Result<(), Trouble> {
    let Which {
        rule,
        about,
        told_by,
    } = which;
    let alerts = Alerts::new(&session.oxcart, told_by)?;
    let who = session.operator.clone();
    let (by, changed) = match alerts.acknowledge(rule, about, &who).await? {
        Acknowledge::Done => (who, true),
        Acknowledge::Already { by } => (by, false),
        _ => return Err(not_firing(&alerts, which).await?),
    };
    let done = Done {
        rule,
        queue: about,
        acknowledged_by: &by,
        changed,
    };
    match changed {
        true => session.out.done(
            &done,
            format_args!("`{rule}` on `{about}` is known to {by}"),
        ),
        false => session.out.nothing(
            &done,
            format_args!("`{rule}` on `{about}` is known to {by} already"),
        ),
    }
}

async fn not_firing(alerts: &Alerts, which: &Which) -> Result<Trouble, Trouble> {
    let Which { rule, about, .. } = which;
    let all = alerts.list().await?;
    let firing = all
        .iter()
        .filter(|alert| alert.state == AlertState::Firing)
        .map(|alert| format!("{} {}", alert.rule, alert.queue));
    let firing: Vec<String> = firing.collect();
    let nearest = nearest(
        &format!("{rule} {about}"),
        firing.iter().map(String::as_str),
    );
    let message = format!("no alert `{rule}` fires on `{about}`");
    Ok(Trouble::not_found(message)
        .hint("`oxcart alert ls` lists all alerts")
        .nearest(nearest))
}
