//! One job with its whole story, for people.

use console::measure_text_width;
use oxcart::{Ended, JobInfo, JobState, SagaInfo, SagaState, StepState, StepsInfo, Timestamp};
use serde_json::Value;

use super::durable;
use super::view::{JobView, shown};
use crate::term::look::{Tint, jobs};
use crate::term::out::Out;
use crate::text::quoted::quoted;
use crate::text::when::{ago, exact, now};
use crate::text::wrap::wrapped;
use crate::trouble::Trouble;

/// What is read of a job.
pub(crate) struct Read<'a> {
    pub(crate) job: &'a JobInfo,
    /// How far it is, if it is a saga.
    pub(crate) saga: Option<SagaInfo>,
    /// What it has done, and what it waits for, if that can be read.
    pub(crate) steps: Option<StepsInfo>,
}

pub(crate) fn tell(out: &mut Out, queue: &str, read: &Read<'_>) -> Result<(), Trouble> {
    let Read { job, saga, steps } = read;
    let saga = saga.as_ref();
    if out.json {
        let mut view = JobView::new(queue, job).with_saga(saga);
        if let Some(steps) = steps {
            view = view.with_steps(job, steps);
        }
        return out.json(&view);
    }
    let none = StepsInfo::default();
    let steps = steps.as_ref().unwrap_or(&none);
    let state = out.paint(Tint::of_state(job.state), job.state);
    let name = out.paint(Tint::Strong, printable(&job.name));
    out.line(format_args!("{name}  {}  {state}", job.id))?;
    facts(out, queue, job)?;
    durable::facts(out, job, steps)?;
    others(out, queue, job, saga)?;
    values(out, job)?;
    durable::table(out, steps)?;
    attempts(out, job)?;
    next_step(out, queue, read)
}

/// What there is to see beside the job itself: its steps, the jobs for which it waits, the job that waits for it.
fn others(
    out: &mut Out,
    queue: &str,
    job: &JobInfo,
    saga: Option<&SagaInfo>,
) -> Result<(), Trouble> {
    let id = &job.id;
    if let Some(saga) = saga {
        let number = |state| saga.steps.iter().filter(|step| step.state == state).count();
        let (done, undone) = (number(StepState::Done), number(StepState::Undone));
        let steps = format!(
            "{}, {done} of {} steps done, {undone} undone",
            saga.state,
            saga.steps.len()
        );
        more(
            out,
            "saga",
            &steps,
            &format!("oxcart saga show {queue} {id}"),
        )?;
    }
    if job.children > 0 {
        let children = jobs(job.children);
        more(
            out,
            "children",
            &children,
            &format!("oxcart flow show {queue} {id}"),
        )?;
    }
    if let Some(parent) = &job.parent {
        more(
            out,
            "parent",
            parent.as_str(),
            &format!("oxcart flow show {queue} {parent}"),
        )?;
    }
    Ok(())
}

/// A fact, and the command that shows more of it.
fn more(out: &mut Out, name: &str, what: &str, command: &str) -> Result<(), Trouble> {
    let command = out.paint(Tint::Faint, command);
    out.fact(name, format_args!("{what}  {command}"))
}

fn facts(out: &mut Out, queue: &str, job: &JobInfo) -> Result<(), Trouble> {
    let now = now();
    let at = |time: Timestamp| format!("{time}  {}", ago(time, now));
    out.fact("queue", queue)?;
    out.fact("enqueued", at(job.enqueued_at))?;
    if let Some(before) = job.position {
        let text = match before {
            0 => "it is the next one".to_owned(),
            before => format!("{} before it", jobs(before)),
        };
        out.fact("in line", text)?;
    }
    if let Some(time) = job.expires_at.filter(|_| job.ended_at.is_none()) {
        out.fact("expires", at(time))?;
    }
    if let Some(time) = job.due_at {
        out.fact("due", at(time))?;
    }
    if let (Some(since), Some(worker)) = (job.claimed_at, &job.worker) {
        out.fact("running", format_args!("{}, on worker {worker}", at(since)))?;
    }
    if let Some(time) = job.lease_until {
        let late = if time < now {
            "  it has run out: is its worker alive?"
        } else {
            ""
        };
        out.fact("lease until", format_args!("{}{late}", at(time)))?;
    }
    if let Some(time) = job.ended_at {
        out.fact("ended", at(time))?;
    }
    match &job.ended {
        Some(Ended::Dead(reason)) => out.fact("dead because", explain(reason.as_str()))?,
        Some(Ended::Cancelled(reason)) => out.fact("cancelled", printable(reason))?,
        Some(Ended::Compensated(reason)) => out.fact("undone", printable(reason))?,
        Some(Ended::Expired) => out.fact("expired", "before it started")?,
        _ => {}
    }
    out.fact(
        "attempts",
        format_args!("{} of {} failed", job.failed, job.attempts),
    )?;
    out.fact("priority", job.priority)?;
    for (name, number) in [
        ("stalls", job.stalls),
        ("bounces", job.bounces),
        ("snoozes", job.snoozes),
    ] {
        if number > 0 {
            out.fact(name, number)?;
        }
    }
    if job.weight != 1 {
        out.fact("weight", job.weight)?;
    }
    for (name, key) in [
        ("group", &job.group),
        ("order", &job.order),
        ("unique", &job.unique),
    ] {
        if let Some(key) = key {
            out.fact(name, printable(key))?;
        }
    }
    if let Some(limit) = job.timeout {
        out.fact("time limit", exact(limit))?;
    }
    for (key, value) in &job.headers {
        out.fact(
            "header",
            format_args!("{}: {}", printable(key), printable(value)),
        )?;
    }
    Ok(())
}

/// A reason in words.
fn explain(reason: &str) -> String {
    let words = match reason {
        "attempts-spent" => "every attempt failed",
        "declared" => "its handler said that no retry will help",
        "unknown-name" => "for too long no worker had a handler of its name",
        "undecodable" => "for too long no handler could read its payload",
        "poisoned" => "its worker died too often while it ran",
        "snoozed-too-long" => "its handler has put it off for too long",
        "stuck" => "it is a saga that is to be undone, and an undo has failed for good",
        "child-died" => "a job for which it waited is dead",
        _ => return reason.to_owned(),
    };
    format!("{reason}: {words}")
}

fn values(out: &mut Out, job: &JobInfo) -> Result<(), Trouble> {
    let mut unreadable = None;
    let payload = shown(job.payload().map(Some), &mut unreadable);
    value(out, "payload", &payload)?;
    for (name, found) in [("progress", job.progress()), ("result", job.result())] {
        let found = shown(found, &mut unreadable);
        if !found.is_null() {
            value(out, name, &found)?;
        }
    }
    match unreadable {
        Some(why) => out.fact("unreadable", printable(&why)),
        None => Ok(()),
    }
}

fn value(out: &mut Out, name: &str, value: &Value) -> Result<(), Trouble> {
    let short = value.to_string();
    let room = out.look.width.unwrap_or(80).saturating_sub(16);
    if measure_text_width(&short) <= room {
        return out.fact(name, printable(&short));
    }
    let long = serde_json::to_string_pretty(value).unwrap_or(short);
    out.fact(name, "")?;
    for line in printable(&long).lines() {
        out.line(format_args!("    {line}"))?;
    }
    Ok(())
}

fn attempts(out: &mut Out, job: &JobInfo) -> Result<(), Trouble> {
    if job.history.is_empty() {
        return Ok(());
    }
    let now = now();
    out.line("")?;
    let mark = format!("fingerprint {}", job.fingerprint());
    let (title, mark) = (
        out.paint(Tint::Strong, "What went wrong"),
        out.paint(Tint::Faint, mark),
    );
    out.line(format_args!("{title}, oldest first  {mark}"))?;
    for attempt in &job.history {
        let kind = out.paint(Tint::Bad, attempt.kind.as_str());
        let took = exact(attempt.ended_at.duration_since(attempt.started_at));
        let times = format!("{}, after {took}", ago(attempt.ended_at, now));
        let times = out.paint(Tint::Faint, times);
        out.line(format_args!("  {kind}  {times}"))?;
        for line in printable(&attempt.error).lines() {
            let line = wrapped(&format!("    {line}"), out.look.width, 4);
            out.line(line)?;
        }
    }
    Ok(())
}

/// What a person may want to type next.
fn next_step(out: &mut Out, queue: &str, read: &Read<'_>) -> Result<(), Trouble> {
    let Read { job, saga, steps } = read;
    let saga = saga.as_ref();
    let is_stuck = saga.is_some_and(|saga| saga.state == SagaState::Stuck);
    let signal = steps
        .as_ref()
        .and_then(|steps| durable::signal_of(job, steps));
    if let Some(signal) = signal {
        let text = format!("oxcart signal {queue} {} {} VALUE", job.id, quoted(signal));
        let text = out.paint(Tint::Faint, printable(&text));
        out.line("")?;
        return out.line(text);
    }
    let verb = match job.state {
        // There is something to decide.
        JobState::Dead if is_stuck => "saga show",
        JobState::Dead => "dead replay",
        JobState::Delayed => "job promote",
        JobState::Waiting | JobState::Blocked | JobState::Active => "job cancel",
        _ => return Ok(()),
    };
    let text = format!("oxcart {verb} {queue} {}", job.id);
    let text = out.paint(Tint::Faint, text);
    out.line("")?;
    out.line(text)
}

/// Without what would do something to the terminal.
pub(crate) fn printable(text: &str) -> String {
    let letters = text.chars().map(|c| match c {
        '\n' => c,
        c if c.is_control() => ' ',
        c => c,
    });
    letters.collect()
}
