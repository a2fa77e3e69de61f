//! Schedules.

use clap::{Args, Subcommand};
use oxcart::{Queue, Rhythm, ScheduleInfo, TickOutcome, Timestamp};
use serde::Serialize;

use crate::noun::Pause;
use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::look::Tint;
use crate::term::out::Out;
use crate::term::table::{Cell, Table, text};
use crate::text::nearest::nearest;
use crate::text::when::{ago, exact, now};
use crate::trouble::Trouble;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// The schedules of a queue, and when they tick next
    #[command(visible_alias = "list")]
    Ls { queue: String },
    /// One schedule: what it follows, and what became of its ticks
    Show(Which),
    /// Pause a schedule: it does not tick; jobs it has made go on
    Pause(Which),
    /// Let it tick again, from now on
    Resume(Which),
    /// Make one of its jobs now; the next tick stays where it is
    Trigger(Which),
    /// Remove a schedule; jobs it has made stay
    #[command(visible_alias = "rm")]
    Remove(Which),
}

#[derive(Args)]
pub(crate) struct Which {
    queue: String,
    schedule: String,
}

/// See `schema/schedule.json`.
#[derive(Serialize)]
struct View<'a> {
    queue: &'a str,
    name: &'a str,
    job: Option<&'a str>,
    cron: Option<&'a str>,
    timezone: Option<&'a str>,
    every_ms: Option<u64>,
    paused: bool,
    next_tick: Option<String>,
    last_tick: Option<String>,
    last_tick_outcome: Option<&'static str>,
    last_job: Option<String>,
    last_job_state: Option<&'static str>,
    fired: u64,
    missed: u64,
    overlapped: u64,
    unreadable: Option<&'a str>,
}

/// A job that was made by hand, or a schedule that is gone; see `schema/trigger.json` and `schema/removed-schedule.json`.
#[derive(Serialize)]
struct Done<'a> {
    queue: &'a str,
    schedule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<bool>,
}

pub(crate) async fn run(verb: Verb, session: &mut Session) -> Result<(), Trouble> {
    match verb {
        Verb::Ls { queue } => list(session, &queue).await,
        Verb::Show(which) => show(session, &which).await,
        Verb::Pause(which) => pause(session, &which, true).await,
        Verb::Resume(which) => pause(session, &which, false).await,
        Verb::Trigger(which) => trigger(session, &which).await,
        Verb::Remove(which) => remove(session, &which).await,
    }
}

async fn find(session: &Session, which: &Which) -> Result<(Queue, ScheduleInfo), Trouble> {
    let queue = session.queue(&which.queue).await?;
    if let Some(info) = queue.schedule(&which.schedule).info().await? {
        return Ok((queue, info));
    }
    let all = queue.schedules().await?;
    let nearest = nearest(&which.schedule, all.iter().map(|info| &*info.name));
    let message = format!(
        "there is no schedule `{}` in `{}`",
        which.schedule, which.queue
    );
    Err(Trouble::not_found(message)
        .hint(format!("`oxcart schedule ls {}` lists them", which.queue))
        .nearest(nearest))
}

fn outcome(outcome: TickOutcome) -> &'static str {
    match outcome {
        TickOutcome::Fired => "fired",
        TickOutcome::Overlapped => "overlapped",
        TickOutcome::Missed => "missed",
        _ => "other",
    }
}

fn view<'a>(queue: &'a str, info: &'a ScheduleInfo) -> View<'a> {
    let (cron, timezone, every_ms) = match &info.rhythm {
        Some(Rhythm::Cron {
            expression,
            timezone,
        }) => (Some(&**expression), Some(&**timezone), None),
        Some(Rhythm::Every(interval)) => (None, None, Some(interval.as_millis() as u64)),
        _ => (None, None, None),
    };
    let time = |time: Timestamp| time.to_string();
    View {
        queue,
        name: &info.name,
        job: info.job.as_deref(),
        cron,
        timezone,
        every_ms,
        paused: info.paused,
        next_tick: info.next_tick.map(time),
        last_tick: info.last_tick.map(|(at, _)| time(at)),
        last_tick_outcome: info.last_tick.map(|(_, what)| outcome(what)),
        last_job: info.last_job.as_ref().map(|(id, _)| id.to_string()),
        last_job_state: info
            .last_job
            .as_ref()
            .and_then(|(_, state)| Some((*state)?.as_str())),
        fired: info.fired,
        missed: info.missed,
        overlapped: info.overlapped,
        unreadable: info.unreadable.as_deref(),
    }
}

fn rhythm(info: &ScheduleInfo) -> String {
    match &info.rhythm {
        Some(Rhythm::Cron {
            expression,
            timezone,
        }) if timezone == "UTC" => expression.clone(),
        Some(Rhythm::Cron {
            expression,
            timezone,
        }) => format!("{expression} {timezone}"),
        Some(Rhythm::Every(interval)) => format!("every {}", exact(*interval)),
        _ => String::new(),
    }
}

/// When it ticks next, or why it does not.
fn next(info: &ScheduleInfo) -> (Tint, String) {
    match (&info.unreadable, info.paused, info.next_tick) {
        (Some(_), ..) => (Tint::Bad, "cannot be read".to_owned()),
        (_, true, _) => (Tint::Held, "paused".to_owned()),
        (.., None) => (Tint::Faint, "has ended".to_owned()),
        (.., Some(at)) if at < now() => (Tint::Held, format!("was due {}", ago(at, now()))),
        (.., Some(at)) => (Tint::Plain, ago(at, now())),
    }
}

async fn list(session: &mut Session, name: &str) -> Result<(), Trouble> {
    let schedules = session.queue(name).await?.schedules().await?;
    let out = &mut session.out;
    if out.json {
        return schedules
            .iter()
            .try_for_each(|info| out.json(&view(name, info)));
    }
    if schedules.is_empty() {
        out.note(format_args!("`{name}` has no schedules"));
        return Ok(());
    }
    let mut table = Table::new([
        text("SCHEDULE"),
        text("JOB").optional(1),
        text("NEXT"),
        text("LAST").optional(2),
        text("RHYTHM"),
    ]);
    for info in &schedules {
        let (tint, next) = next(info);
        let last = info.last_tick.map(|(at, what)| match what {
            TickOutcome::Fired => ago(at, now()),
            what => format!("{} {}", outcome(what), ago(at, now())),
        });
        table.row([
            Cell::new(Tint::Strong, &*info.name),
            Cell::plain(info.job.as_deref().unwrap_or_default()),
            Cell::new(tint, next),
            Cell::new(Tint::Faint, last.unwrap_or_default()),
            Cell::plain(rhythm(info)),
        ]);
    }
    table.print(out)
}

async fn show(session: &mut Session, which: &Which) -> Result<(), Trouble> {
    let (_, info) = find(session, which).await?;
    let out = &mut session.out;
    match out.json {
        true => out.json(&view(&which.queue, &info)),
        false => tell(out, &which.queue, &info),
    }
}

fn tell(out: &mut Out, queue: &str, info: &ScheduleInfo) -> Result<(), Trouble> {
    let (tint, next) = next(info);
    let next = match info.next_tick {
        Some(at) if at > now() && !info.paused => format!("ticks {next}"),
        _ => next,
    };
    let (title, next) = (out.paint(Tint::Strong, &info.name), out.paint(tint, next));
    out.line(format_args!("{title}  {next}"))?;
    out.fact("queue", queue)?;
    out.fact("rhythm", rhythm(info))?;
    out.fact("makes", info.job.as_deref().unwrap_or("not known"))?;
    if let Some(at) = info.next_tick {
        out.fact("next tick", at)?;
    }
    if let Some((at, what)) = info.last_tick {
        out.fact(
            "last tick",
            format_args!("{at}  {}, {}", outcome(what), ago(at, now())),
        )?;
    }
    if let Some((id, state)) = &info.last_job {
        let state = state.map_or("gone", |state| state.as_str());
        out.fact("last job", format_args!("{id}  {state}"))?;
    }
    let [fired, missed, overlapped] =
        [info.fired, info.missed, info.overlapped].map(|n| out.count(n));
    out.fact(
        "ticks",
        format_args!("{fired} fired, {missed} missed, {overlapped} skipped"),
    )?;
    match &info.unreadable {
        Some(why) => out.fact("unreadable", why),
        None => Ok(()),
    }
}

async fn pause(session: &mut Session, which: &Which, paused: bool) -> Result<(), Trouble> {
    let (queue, _) = find(session, which).await?;
    let schedule = queue.schedule(&which.schedule);
    let changed = match paused {
        true => schedule.pause().await?,
        false => schedule.resume().await?,
    };
    let name = &*which.schedule;
    let text = match (paused, changed) {
        (true, true) => format!("the schedule `{name}` is paused"),
        (true, false) => format!("the schedule `{name}` was paused already"),
        (false, true) => format!("the schedule `{name}` ticks again"),
        (false, false) => format!("the schedule `{name}` was not paused"),
    };
    let pause = Pause {
        queue: &which.queue,
        schedule: Some(name),
        paused,
        changed,
        ..Pause::default()
    };
    pause.tell(session, text)
}

async fn trigger(session: &mut Session, which: &Which) -> Result<(), Trouble> {
    let (queue, _) = find(session, which).await?;
    let id = queue.schedule(&which.schedule).trigger().await?;
    let text = format!("job {id} is in `{}`", which.queue);
    let (queue, schedule, job_id) = (&*which.queue, &*which.schedule, Some(id.to_string()));
    session.out.done(
        &Done {
            queue,
            schedule,
            job_id,
            removed: None,
        },
        text,
    )
}

async fn remove(session: &mut Session, which: &Which) -> Result<(), Trouble> {
    let (queue, _) = find(session, which).await?;
    let Which {
        queue: its_queue,
        schedule,
    } = which;
    confirm(
        session,
        &format!("Remove the schedule `{schedule}` of `{its_queue}` (its jobs stay)"),
    )
    .await?;
    let removed = Some(queue.schedule(schedule).remove().await?);
    let text =
        format!("the schedule `{schedule}` is removed; a worker that declares it stores it again");
    let queue = &**its_queue;
    session.out.done(
        &Done {
            queue,
            schedule,
            job_id: None,
            removed,
        },
        text,
    )
}
