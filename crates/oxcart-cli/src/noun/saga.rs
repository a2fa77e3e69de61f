//! Sagas: what became of each step, and leaving out an undo.

use clap::{Args, Subcommand};
use oxcart::{ErrorKind, JobId, JobInfo, SagaInfo, SagaState, StepInfo, StepState};
use serde::Serialize;

use crate::jobs::durable;
use crate::jobs::story::printable;
use crate::noun::job::{Which, id};
use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::look::Tint;
use crate::term::out::Out;
use crate::term::table::{Cell, Table, one_line, text};
use crate::text::nearest::nearest;
use crate::text::quoted::quoted;
use crate::text::when::{ago, now};
use crate::trouble::{Exit, Trouble};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// One saga: each step, what became of it, and what to do if it is stuck
    Show(Which),
    /// Leave out the undo of one step of a stuck saga, because somebody has done it by hand
    Skip(Skip),
}

#[derive(Args)]
pub(crate) struct Skip {
    queue: String,
    #[arg(value_parser = id)]
    id: JobId,
    /// The name of the step
    step: String,
}

/// See `schema/saga.json`.
#[derive(Serialize)]
struct View<'a> {
    queue: &'a str,
    id: &'a str,
    name: &'a str,
    job_state: &'static str,
    state: &'static str,
    /// Why it is to be undone, or was.
    reason: Option<&'a str>,
    /// The last thing that went wrong.
    error: Option<&'a str>,
    steps: Vec<StepView<'a>>,
}

#[derive(Serialize)]
struct StepView<'a> {
    name: &'a str,
    state: &'static str,
    at: String,
    error: Option<&'a str>,
}

/// See `schema/skipped-undo.json`.
#[derive(Serialize)]
struct Skipped<'a> {
    queue: &'a str,
    id: &'a str,
    step: &'a str,
    /// Whether it was otherwise before.
    changed: bool,
}

pub(crate) async fn run(verb: Verb, session: &mut Session) -> Result<(), Trouble> {
    match verb {
        Verb::Show(which) => show(session, &which).await,
        Verb::Skip(skip) => self::skip(session, &skip).await,
    }
}

async fn find(
    session: &Session,
    queue: &str,
    id: &JobId,
) -> Result<(oxcart::Queue, JobInfo, SagaInfo), Trouble> {
    let found = session.queue(queue).await?;
    let job = session.job(&found, id).await?;
    match found.saga(id).info().await? {
        Some(saga) => Ok((found, job, saga)),
        None => {
            let message = format!("job {id} is no saga, or has begun no step yet");
            let hint = format!("`oxcart job show {queue} {id}` tells what it is");
            Err(Trouble::not_found(message).hint(hint))
        }
    }
}

async fn show(session: &mut Session, which: &Which) -> Result<(), Trouble> {
    let (_, job, saga) = find(session, &which.queue, &which.id).await?;
    tell(&mut session.out, &which.queue, &job, &saga)
}

fn tell(out: &mut Out, queue: &str, job: &JobInfo, saga: &SagaInfo) -> Result<(), Trouble> {
    // What went wrong while it went forward is the reason.
    let error = match saga.state {
        SagaState::Undoing | SagaState::Stuck | SagaState::Forward => job.last_error(),
        _ => "",
    };
    let error = Some(error).filter(|error| !error.is_empty());
    if out.json {
        return out.json(&View {
            queue,
            id: job.id.as_str(),
            name: &job.name,
            job_state: job.state.as_str(),
            state: saga.state.as_str(),
            reason: saga.reason.as_deref(),
            error,
            steps: saga.steps.iter().map(StepView::from).collect(),
        });
    }
    let name = out.paint(Tint::Strong, printable(&job.name));
    let state = out.paint(tint(saga.state), saga.state);
    out.line(format_args!("{name}  {}  {state}", job.id))?;
    out.fact("queue", queue)?;
    out.fact("job", job.state)?;
    if let Some(reason) = &saga.reason {
        out.fact("undone for", one_line(reason))?;
    }
    if let Some(error) = error.filter(|error| saga.reason.as_deref() != Some(error)) {
        out.fact("last error", one_line(error))?;
    }
    out.line("")?;
    steps(out, saga)?;
    match saga.state {
        SagaState::Stuck => what_to_do(out, queue, job, saga),
        _ => Ok(()),
    }
}

impl<'a> From<&'a StepInfo> for StepView<'a> {
    fn from(step: &'a StepInfo) -> Self {
        Self {
            name: &step.name,
            state: step.state.as_str(),
            at: step.at.to_string(),
            error: step.error.as_deref(),
        }
    }
}

fn steps(out: &mut Out, saga: &SagaInfo) -> Result<(), Trouble> {
    let now = now();
    let mut table = Table::new([text("STEP"), text("STATE"), text("WHEN"), text("ERROR")]);
    for step in &saga.steps {
        table.row([
            Cell::new(Tint::Strong, &*step.name),
            Cell::new(durable::tint(step.state), step.state.as_str()),
            Cell::new(Tint::Faint, ago(step.at, now)),
            Cell::plain(step.error.as_deref().unwrap_or_default()),
        ]);
    }
    table.print(out)
}

fn tint(state: SagaState) -> Tint {
    match state {
        SagaState::Forward => Tint::Busy,
        SagaState::Undoing | SagaState::Compensated => Tint::Held,
        SagaState::Stuck => Tint::Bad,
        SagaState::Completed => Tint::Good,
        _ => Tint::Plain,
    }
}

/// A stuck saga goes on only if somebody decides.
fn what_to_do(out: &mut Out, queue: &str, job: &JobInfo, saga: &SagaInfo) -> Result<(), Trouble> {
    let id = &job.id;
    let mut advice = vec![(
        format!("oxcart dead replay {queue} {id}"),
        "goes on undoing, with fresh attempts".to_owned(),
    )];
    // Steps are undone from the last one on, so the last step that is still done could not be undone.
    let done = |step: &&StepInfo| step.state == StepState::Done;
    if let Some(step) = saga.steps.iter().rfind(done) {
        let name = &step.name;
        advice.push((
            format!("oxcart saga skip {queue} {id} {}", quoted(name)),
            "leaves out this undo, if it is done by hand; then replay".to_owned(),
        ));
    }
    advice.push((
        format!("oxcart dead remove {queue} {id}"),
        "gives up, and leaves what is not undone".to_owned(),
    ));
    out.line("")?;
    for (command, what) in advice {
        let command = out.paint(Tint::Plain, printable(&command));
        let what = out.paint(Tint::Faint, what);
        out.line(format_args!("{command}\n    {what}"))?;
    }
    Ok(())
}

async fn skip(session: &mut Session, skip: &Skip) -> Result<(), Trouble> {
    let Skip {
        queue: name,
        id,
        step,
    } = skip;
    let (queue, _, saga) = find(session, name, id).await?;
    let Some(known) = saga.steps.iter().find(|known| known.name == *step) else {
        let names = saga.steps.iter().map(|step| &*step.name);
        let message = format!("job {id} has no step `{step}` of a saga");
        return Err(Trouble::not_found(message)
            .hint(format!("`oxcart saga show {name} {id}` shows its steps"))
            .nearest(nearest(step, names)));
    };
    let view = |changed| Skipped {
        queue: name,
        id: id.as_str(),
        step,
        changed,
    };
    if known.state == StepState::Skipped {
        let text = format!("the undo of `{step}` of job {id} was left out already");
        return session.out.nothing(&view(false), text);
    }
    if saga.state == SagaState::Stuck && known.state == StepState::Done {
        let what = format!("Leave out the undo of `{step}` of job {id}: it stays as it is");
        confirm(session, &what).await?;
    }
    // The library says why not.
    let skipped = queue.saga(id).skip_undo(step).await;
    skipped.map_err(|error| {
        let is_refused = error.kind() == ErrorKind::Invalid;
        let mut trouble = Trouble::from(error);
        if is_refused {
            trouble.exit = Exit::Error;
        }
        trouble
    })?;
    let text = format!("the undo of `{step}` of job {id} is left out");
    session.out.done(&view(true), text)?;
    session.out.flush()?;
    session.out.note(format_args!(
        "`oxcart dead replay {name} {id}` lets the saga go on"
    ));
    Ok(())
}
