//! Following what happens.

use std::io::IsTerminal;

use clap::Args;
use futures_util::StreamExt;
use futures_util::stream::{SelectAll, select_all};
use oxcart::{Event, EventCursor, EventKind, EventStream};
use oxcart_dashboard::Stored;
use serde::Serialize;
use serde_json::Value;

use crate::session::Session;
use crate::term::look::Tint;
use crate::trouble::Trouble;

/// Each reader has a connection of its own.
const QUEUES_MAX: usize = 64;

/// It ends with Ctrl-C, or after as many events as were asked for.
#[derive(Args)]
pub(crate) struct Events {
    /// These queues; all of them, if none is named
    queues: Vec<String>,
    /// Only these events
    #[arg(long, short, value_name = "EVENT", value_delimiter = ',', value_parser = EventKind::NAMES)]
    event: Vec<String>,
    /// Go on behind this event of one queue
    #[arg(long, value_name = "CURSOR", value_parser = cursor)]
    after: Option<EventCursor>,
    /// End after so many events
    #[arg(long, short = 'n', value_name = "EVENTS")]
    count: Option<u64>,
}

fn cursor(text: &str) -> Result<EventCursor, String> {
    text.parse()
        .map_err(|error: oxcart::Error| error.to_string())
}

/// See `schema/event.json`.
#[derive(Serialize)]
struct View<'a> {
    at: String,
    queue: &'a str,
    event: &'static str,
    id: Option<&'a str>,
    /// When the job is due again.
    due_at: Option<String>,
    /// Why a job bounced or died, or why no events can be read.
    reason: Option<&'a str>,
    progress: Value,
    cursor: String,
}

impl<'a> View<'a> {
    fn new(queue: &'a str, event: &'a Event) -> Self {
        let due_at = match &event.kind {
            EventKind::Retrying(_, at) | EventKind::Delayed(_, at) => Some(at.to_string()),
            EventKind::Snoozed { until, .. } => Some(until.to_string()),
            EventKind::Suspended { until, .. } => until.map(|until| until.to_string()),
            _ => None,
        };
        let reason = match &event.kind {
            EventKind::Bounced(_, why) => Some(&**why),
            EventKind::Dead(_, reason) => Some(reason.as_str()),
            EventKind::Interrupted { error } => Some(&**error),
            _ => None,
        };
        let progress = match &event.kind {
            EventKind::Progress(_, Some(value)) => value.get().ok(),
            _ => None,
        };
        Self {
            at: event.at.to_string(),
            queue,
            event: event.kind.name(),
            id: event.kind.job_id().map(|id| id.as_str()),
            due_at,
            reason,
            progress: progress.map_or(Value::Null, |Stored(value)| value),
            cursor: event.cursor.to_string(),
        }
    }
}

fn tint(kind: &EventKind) -> Tint {
    match kind {
        EventKind::Active(_) => Tint::Busy,
        EventKind::Completed(_) => Tint::Good,
        EventKind::Dead(..)
        | EventKind::Stalled(_)
        | EventKind::Halted(_)
        | EventKind::Missed
        | EventKind::Interrupted { .. } => Tint::Bad,
        EventKind::Retrying(..)
        | EventKind::Blocked(_)
        | EventKind::Bounced(..)
        | EventKind::Compensated(_)
        | EventKind::Paused => Tint::Held,
        _ => Tint::Plain,
    }
}

pub(crate) async fn run(events: Events, session: &mut Session) -> Result<(), Trouble> {
    let mut merged = open(&events, session).await?;
    if events.count.is_none() && !session.out.json && std::io::stdout().is_terminal() {
        session.out.note("Ctrl-C ends it");
    }
    let mut left = events.count.unwrap_or(u64::MAX);
    while left > 0 {
        let next = tokio::select! {
            next = merged.next() => next,
            _ = tokio::signal::ctrl_c() => break,
        };
        let Some((queue, event)) = next else { break };
        let name = event.kind.name();
        if events.event.is_empty() || events.event.iter().any(|wanted| wanted == name) {
            print(session, &queue, &event)?;
            left -= 1;
        }
    }
    Ok(())
}

type Named = futures_util::stream::BoxStream<'static, (String, Event)>;

async fn open(events: &Events, session: &Session) -> Result<SelectAll<Named>, Trouble> {
    let mut queues = Vec::new();
    for name in &events.queues {
        queues.push(session.queue(name).await?);
    }
    if queues.is_empty() {
        for name in session.oxcart.queues().await? {
            queues.push(session.oxcart.queue(&name)?);
        }
    }
    if queues.is_empty() {
        return Err(Trouble::not_found(
            "there is no queue in this namespace yet",
        ));
    }
    if queues.len() > QUEUES_MAX {
        let message = format!(
            "{} queues are too many to follow at once; name up to {QUEUES_MAX}",
            queues.len()
        );
        return Err(Trouble::usage(message));
    }
    if events.after.is_some() && queues.len() > 1 {
        return Err(Trouble::usage(
            "--after is a place in the events of one queue: name that queue",
        ));
    }
    let mut streams: Vec<Named> = Vec::new();
    for queue in queues {
        let stream: EventStream = match events.after {
            Some(cursor) => queue.events_after(cursor),
            None => queue.events().await?,
        };
        let name = queue.name().to_owned();
        streams.push(stream.map(move |event| (name.clone(), event)).boxed());
    }
    Ok(select_all(streams))
}

fn print(session: &mut Session, queue: &str, event: &Event) -> Result<(), Trouble> {
    let out = &mut session.out;
    let view = View::new(queue, event);
    if out.json {
        out.json(&view)?;
    } else {
        let detail = match (&view.reason, &view.due_at, &view.progress) {
            (Some(reason), ..) => crate::term::table::one_line(reason),
            (_, Some(due), _) => format!("due {due}"),
            (.., Value::Null) => String::new(),
            (.., value) => value.to_string(),
        };
        let at = out.paint(Tint::Faint, view.at.get(11..23).unwrap_or(&view.at));
        let name = out.paint(tint(&event.kind), format_args!("{:<9}", view.event));
        let id = view.id.unwrap_or_default();
        let line = format!("{at}  {queue}  {name}  {id}  {detail}");
        out.line(line.trim_end())?;
    }
    out.flush()
}
