//! Many jobs, in a table or as JSON.

use clap::Args;
use oxcart::{Ended, JobCursor, JobInfo, JobState, Queue};
use serde::Serialize;

use super::filter::Filter;
use super::scan::{self, Found, Order};
use super::view::JobView;
use crate::session::Session;
use crate::term::look::Tint;
use crate::term::out::Out;
use crate::term::table::{Cell, Column, Table, number, text};
use crate::text::quoted::quoted;
use crate::text::when::{ago, now};
use crate::trouble::Trouble;

/// Rows that are printed at once, where all are wanted.
const BLOCK: usize = 256;

/// How many, and from where.
#[derive(Args, Debug, Clone)]
pub(crate) struct Part {
    /// How many at most
    #[arg(long, short = 'n', default_value_t = 20, value_name = "JOBS", value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Those first that died, ended or come last
    #[arg(long)]
    newest: bool,
    /// Go on behind the last job of another listing
    #[arg(long, visible_alias = "after", value_name = "CURSOR", value_parser = cursor)]
    cursor: Option<JobCursor>,
}

fn cursor(text: &str) -> Result<JobCursor, String> {
    text.parse()
        .map_err(|error: oxcart::Error| error.to_string())
}

/// Where the next part begins, on stderr: see `schema/next.json`.
#[derive(Serialize)]
struct Next {
    next: String,
}

/// What the columns are made for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columns {
    Jobs,
    Dead,
}

/// Prints jobs in these states.
pub(crate) async fn list(
    session: &mut Session,
    queue: &Queue,
    (states, columns): (&[JobState], Columns),
    filter: &Filter,
    part: &Part,
) -> Result<(), Trouble> {
    let out = &mut session.out;
    let mut left = if part.all {
        usize::MAX
    } else {
        usize::try_from(part.limit).unwrap_or(usize::MAX)
    };
    let (mut after, mut printed) = (part.cursor.clone(), 0);
    let (order, again) = match part.newest {
        true => (Order::NewestFirst, "--newest "),
        false => (Order::OldestFirst, ""),
    };
    loop {
        let found = scan::first(queue, states, (filter, order), left.min(BLOCK), after).await?;
        printed += found.jobs.len();
        left = left.saturating_sub(found.jobs.len());
        print(out, queue, columns, &found)?;
        after = found.next;
        if after.is_none() || left == 0 {
            break;
        }
    }
    out.flush()?;
    match after {
        Some(next) => {
            let next = next.to_string();
            match out.json {
                true => eprint(&serde_json::json!(Next { next }).to_string()),
                false => out.note(format_args!(
                    "there are more; go on with {again}--cursor {}",
                    quoted(&next)
                )),
            }
        }
        None if printed == 0 && !out.json => {
            out.note(format_args!("no such jobs in `{}`", queue.name()))
        }
        None => {}
    }
    Ok(())
}

fn eprint(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn print(out: &mut Out, queue: &Queue, columns: Columns, found: &Found) -> Result<(), Trouble> {
    for error in &found.unreadable {
        out.note(error);
    }
    if out.json {
        for job in &found.jobs {
            out.json(&JobView::new(queue.name(), job))?;
        }
        return Ok(());
    }
    let titles: Vec<Column> = match columns {
        Columns::Jobs => vec![
            text("ID"),
            text("NAME"),
            text("STATE"),
            number("PRIO").optional(2),
            number("FAILED").optional(1),
            text("ENQUEUED").optional(3),
            text("WHAT"),
        ],
        Columns::Dead => vec![
            text("ID"),
            text("NAME"),
            text("DIED"),
            number("FAILED").optional(1),
            text("ERROR"),
        ],
    };
    let mut table = Table::new(titles);
    for job in &found.jobs {
        table.row(match columns {
            Columns::Jobs => job_row(job),
            Columns::Dead => dead_row(job),
        });
    }
    match table.is_empty() {
        true => Ok(()),
        false => table.print(out),
    }
}

fn job_row(job: &JobInfo) -> Vec<Cell> {
    let tint = Tint::of_state(job.state);
    vec![
        Cell::plain(job.id.as_str()),
        Cell::new(Tint::Strong, &*job.name),
        Cell::new(tint, job.state.as_str()),
        Cell::new(Tint::Faint, job.priority.to_string()),
        Cell::new(
            Tint::Held.unless_zero(job.failed.into()),
            job.failed.to_string(),
        ),
        Cell::new(Tint::Faint, ago(job.enqueued_at, now())),
        Cell::plain(what(job)),
    ]
}

/// What is to be said of a job in its state.
fn what(job: &JobInfo) -> String {
    let now = now();
    let held = || match (&job.group, &job.order) {
        // Whether its children have ended is not known here.
        (Some(group), _) if job.children > 0 => format!("by its children, or its group {group}"),
        _ if job.children > 0 => "by its children".to_owned(),
        (Some(group), _) => format!("by its group {group}"),
        (_, Some(order)) => format!("behind {order}"),
        _ => job
            .unique
            .as_ref()
            .map_or_else(String::new, |key| format!("behind {key}")),
    };
    match (job.state, job.ended_at) {
        (JobState::Delayed, _) => job
            .due_at
            .map_or_else(String::new, |due| format!("due {}", ago(due, now))),
        (JobState::Active, _) => job
            .claimed_at
            .map_or_else(String::new, |at| format!("since {}", ago(at, now))),
        (JobState::Blocked, _) => held(),
        (JobState::Dead, Some(at)) => format!("died {}: {}", ago(at, now), job.last_error()),
        (JobState::Cancelled, Some(at)) => match &job.ended {
            Some(Ended::Cancelled(reason)) => format!("{}: {reason}", ago(at, now)),
            Some(Ended::Compensated(reason)) => format!("{}: undone: {reason}", ago(at, now)),
            Some(Ended::Expired) => format!("{}: expired before it started", ago(at, now)),
            _ => ago(at, now),
        },
        (_, Some(at)) => ago(at, now),
        _ => job
            .group
            .clone()
            .or_else(|| job.order.clone())
            .unwrap_or_default(),
    }
}

fn dead_row(job: &JobInfo) -> Vec<Cell> {
    let died = job.ended_at.map_or_else(String::new, |at| ago(at, now()));
    let error = match (job.last_error(), &job.ended) {
        ("", Some(Ended::Dead(reason))) => reason.to_string(),
        (error, _) => error.to_owned(),
    };
    vec![
        Cell::plain(job.id.as_str()),
        Cell::new(Tint::Strong, &*job.name),
        Cell::new(Tint::Faint, died),
        Cell::plain(format!("{}/{}", job.failed, job.attempts)),
        Cell::new(Tint::Bad, error),
    ]
}
