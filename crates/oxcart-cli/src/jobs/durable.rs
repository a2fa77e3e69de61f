//! The durable steps of a job: what it has done, and what it waits for.

use console::truncate_str;
use oxcart::{JobInfo, JobState, StepInfo, StepState, StepsInfo};
use oxcart_dashboard::Stored;
use serde::Serialize;
use serde_json::Value;

use super::story::printable;
use crate::term::look::Tint;
use crate::term::out::Out;
use crate::term::table::{Cell, Table, number, one_line, text};
use crate::text::when::{ago, now, rough};
use crate::trouble::Trouble;

/// Longest name in a table on a terminal, in columns.
const LONGEST_NAME: usize = 32;

/// A step as JSON; see `schema/job.json`.
#[derive(Serialize)]
pub(crate) struct StepView {
    name: String,
    state: &'static str,
    at: String,
    due: Option<String>,
    bytes: u64,
    error: Option<String>,
    /// Only if it was asked for.
    output: Value,
}

impl StepView {
    pub(crate) fn new(step: &StepInfo, trouble: &mut Option<String>) -> Self {
        Self {
            name: step.name.clone(),
            state: step.state.as_str(),
            at: step.at.to_string(),
            due: step.due.map(|due| due.to_string()),
            bytes: step.size,
            error: step.error.clone(),
            output: output(step, trouble),
        }
    }
}

fn output(step: &StepInfo, trouble: &mut Option<String>) -> Value {
    super::view::shown(step.output::<Stored>(), trouble)
}

/// Whether a job that runs was asked to end.
pub(crate) fn asked_to_end<'a>(job: &JobInfo, steps: &'a StepsInfo) -> Option<&'a str> {
    let reason = steps.cancel_requested.as_deref();
    reason.filter(|_| job.state == JobState::Active)
}

/// The signal that a job waits for.
pub(crate) fn signal_of<'a>(job: &JobInfo, steps: &'a StepsInfo) -> Option<&'a str> {
    let mut signals = steps
        .holding_up(job)
        .filter(|step| step.state == StepState::Waiting);
    signals.next().map(|step| &*step.name)
}

/// What it waits for, and that it was asked to end.
pub(crate) fn facts(out: &mut Out, job: &JobInfo, steps: &StepsInfo) -> Result<(), Trouble> {
    let now = now();
    for step in steps.holding_up(job) {
        match (step.state, step.due) {
            (StepState::Sleeping, Some(due)) => {
                out.fact("sleeps until", format_args!("{due}  {}", ago(due, now)))?;
            }
            (_, due) => {
                let mut signal = format!("signal `{}`", one_line(&step.name));
                if let Some(due) = due {
                    let left = rough(due.duration_since(now));
                    signal.push_str(&format!(", for {left} at most"));
                }
                out.fact("waits for", signal)?;
            }
        }
    }
    if let Some(reason) = asked_to_end(job, steps) {
        out.fact("asked to end", printable(reason))?;
    }
    if let Some(size) = steps.checkpoint_size {
        let checkpoint = steps.checkpoint::<Stored>();
        let shown = super::view::shown(checkpoint, &mut None);
        let shown = match shown {
            Value::Null => String::new(),
            shown => format!("  {}", printable(&shown.to_string())),
        };
        let s = if size == 1 { "" } else { "s" };
        let size = out.count(size);
        out.fact("checkpoint", format_args!("{size} byte{s}{shown}"))?;
    }
    Ok(())
}

/// Each step in a line.
pub(crate) fn table(out: &mut Out, steps: &StepsInfo) -> Result<(), Trouble> {
    if steps.steps.is_empty() {
        return Ok(());
    }
    let now = now();
    let mut table = Table::new([
        text("STEP"),
        text("STATE"),
        text("WHEN").optional(1),
        number("BYTES").optional(2),
        text("WHAT"),
    ]);
    for step in &steps.steps {
        let bytes = match step.size {
            0 => String::new(),
            size => out.count(size),
        };
        table.row([
            Cell::new(Tint::Strong, name(out, step)),
            Cell::new(tint(step.state), step.state.as_str()),
            Cell::new(Tint::Faint, ago(step.at, now)),
            Cell::plain(bytes),
            Cell::plain(what(step)),
        ]);
    }
    out.line("")?;
    table.print(out)
}

/// Cut on a terminal, so that there is room for the rest.
fn name(out: &Out, step: &StepInfo) -> String {
    match out.look.width {
        Some(_) => truncate_str(&step.name, LONGEST_NAME, "…").into_owned(),
        None => step.name.clone(),
    }
}

fn what(step: &StepInfo) -> String {
    let mut trouble = None;
    let output = output(step, &mut trouble);
    match (step.state, step.due, &step.error) {
        (_, _, Some(error)) => error.clone(),
        (StepState::Sleeping | StepState::Waiting, Some(due), _) => {
            format!("{}, {due}", ago(due, now()))
        }
        (StepState::Waiting, None, _) => "without end".to_owned(),
        _ => match (output, trouble) {
            (_, Some(trouble)) => trouble,
            (Value::Null, _) => String::new(),
            (output, _) => output.to_string(),
        },
    }
}

/// The colour of a state.
pub(crate) fn tint(state: StepState) -> Tint {
    match state {
        StepState::Done | StepState::Signalled => Tint::Good,
        StepState::Begun => Tint::Busy,
        StepState::Failed => Tint::Bad,
        StepState::Undone | StepState::Skipped | StepState::Sleeping | StepState::Waiting => {
            Tint::Held
        }
        StepState::Slept | StepState::TimedOut => Tint::Faint,
        _ => Tint::Plain,
    }
}
