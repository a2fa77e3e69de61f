//! Jobs.

mod cloud_events;
mod edit;
mod enqueue;
mod logs;
pub(crate) mod payload;

use clap::{Args, Subcommand};
use oxcart::{Changed, Error, ErrorKind, JobId, JobInfo, JobState, Queue, SagaInfo, StepsInfo};
use serde::Serialize;

use crate::jobs::filter::Filter;
use crate::jobs::listing::{self, Columns, Part};
use crate::jobs::steps::{self, Tally};
use crate::jobs::story;
use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::look::jobs;
use crate::trouble::{Exit, Trouble};

/// The order in which all states are listed: what runs, what comes, what is over.
const STATES: [JobState; 7] = [
    JobState::Active,
    JobState::Waiting,
    JobState::Blocked,
    JobState::Delayed,
    JobState::Dead,
    JobState::Completed,
    JobState::Cancelled,
];

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// The jobs of a queue, state by state
    #[command(visible_alias = "list")]
    Ls(List),
    /// One job with its whole story: payload, attempts, errors
    Show(Show),
    /// What its handlers have said of a job, the oldest line first
    Logs(logs::Logs),
    /// Enqueue a job by the name of its type, with a payload as JSON
    Enqueue(enqueue::Enqueue),
    /// End jobs that are no longer wanted: what waits ends at once, what runs is told
    Cancel(Cancel),
    /// Let delayed jobs run now, also those that wait for their next attempt
    #[command(visible_alias = "retry")]
    Promote(Promote),
    /// Change a job that does not run yet: payload, priority, attempts, when it is due
    Edit(edit::Edit),
    /// Move jobs to another queue
    Move(Move),
    /// Write jobs as CloudEvents to a file or to stdout, as JSON lines
    Export(cloud_events::Export),
    /// Enqueue a job for each CloudEvent of a file
    Import(cloud_events::Import),
    /// Remove jobs and all that is known of them, but none that runs
    Remove(Many),
}

#[derive(Args)]
pub(crate) struct List {
    queue: String,
    /// Only jobs in these states: active, waiting, blocked, delayed, dead, completed, cancelled
    #[arg(long, short, value_name = "STATE", value_delimiter = ',', value_parser = state)]
    state: Vec<JobState>,
    #[command(flatten)]
    part: Part,
    #[command(flatten)]
    filter: Filter,
}

/// In the order of all states, however they were typed: a cursor leads from one to the next. None are all.
fn wanted(typed: &[JobState]) -> Vec<JobState> {
    let wanted = |state: &JobState| typed.is_empty() || typed.contains(state);
    STATES.into_iter().filter(wanted).collect()
}

pub(crate) fn state(text: &str) -> Result<JobState, String> {
    text.parse()
        .map_err(|error: oxcart::Error| error.to_string())
}

/// For clap.
pub(crate) fn id(text: &str) -> Result<JobId, String> {
    JobId::new(text).map_err(|error| error.to_string())
}

/// One job.
#[derive(Args)]
pub(crate) struct Which {
    pub(crate) queue: String,
    #[arg(value_parser = id)]
    pub(crate) id: JobId,
}

/// One job that is shown, by its id or by its unique key.
#[derive(Args)]
pub(crate) struct Show {
    pub(crate) queue: String,
    #[arg(value_parser = id, required_unless_present = "key")]
    id: Option<JobId>,
    /// The job that has this unique key now, of those with the name that is given
    #[arg(long, requires = "name", conflicts_with = "id")]
    key: Option<String>,
    /// The name of the type of the job that has the key
    #[arg(long, requires = "key")]
    name: Option<String>,
    /// Show secret fields, too; that is noted in the audit
    #[arg(long)]
    pub(crate) reveal: bool,
    /// Show what its steps gave, and its checkpoint, too
    #[arg(long)]
    outputs: bool,
}

impl Show {
    /// The job, with its secret fields if these are asked for.
    pub(crate) async fn job(&self, session: &Session) -> Result<JobInfo, Trouble> {
        let queue = session.queue(&self.queue).await?;
        let id = self.id(&queue).await?;
        let job = session.job(&queue, &id).await?;
        if !self.reveal {
            return Ok(job);
        }
        queue.note_in_audit("reveal", id.as_str()).await?;
        Ok(job.reveal())
    }

    /// Its whole story.
    pub(crate) async fn tell(&self, session: &mut Session, job: &JobInfo) -> Result<(), Trouble> {
        let (saga, steps) = match self.steps(session, &job.id).await {
            Ok((saga, steps)) => (saga, Some(steps)),
            // The rest of the job can be shown.
            Err(error) if matches!(error.kind(), ErrorKind::Codec | ErrorKind::Incompatible) => {
                session
                    .out
                    .note(format_args!("its steps cannot be read: {error}"));
                (None, None)
            }
            Err(error) => return Err(error.into()),
        };
        let read = story::Read { job, saga, steps };
        story::tell(&mut session.out, &self.queue, &read)
    }

    async fn steps(
        &self,
        session: &Session,
        id: &JobId,
    ) -> Result<(Option<SagaInfo>, StepsInfo), Error> {
        let queue = session.oxcart.queue(&self.queue)?;
        let mut steps = queue.steps(id);
        if self.outputs {
            steps = steps.with_outputs();
        }
        if self.reveal {
            steps = steps.reveal();
        }
        let steps = steps.info().await?;
        let saga = match steps.steps.is_empty() {
            true => None,
            false => queue.saga(id).info().await?,
        };
        Ok((saga, steps))
    }

    async fn id(&self, queue: &Queue) -> Result<JobId, Trouble> {
        if let (Some(name), Some(key)) = (&self.name, &self.key) {
            let found = queue.jobs_named(name)?.with_key(key).await?;
            return found.ok_or_else(|| {
                Trouble::not_found(format!(
                    "no job named `{name}` in `{}` has the unique key `{key}`",
                    self.queue
                ))
            });
        }
        self.id
            .clone()
            .ok_or_else(|| Trouble::usage("which job? Give its id, or --name and --key"))
    }
}

/// Some jobs.
#[derive(Args)]
pub(crate) struct Many {
    queue: String,
    #[arg(required = true, value_name = "ID", value_parser = id)]
    ids: Vec<JobId>,
}

/// One delayed job, or all.
#[derive(Args)]
pub(crate) struct Promote {
    queue: String,
    #[arg(value_parser = id, required_unless_present = "all")]
    id: Option<JobId>,
    /// All delayed jobs of the queue
    #[arg(long, conflicts_with = "id")]
    all: bool,
}

#[derive(Args)]
pub(crate) struct Move {
    #[command(flatten)]
    many: Many,
    /// The other queue
    #[arg(long, value_name = "QUEUE")]
    to: String,
    /// Make the other queue if there is none of this name
    #[arg(long)]
    new_queue: bool,
}

#[derive(Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    many: Many,
    /// Why; the job's handler and callers can read it
    #[arg(long)]
    reason: Option<String>,
}

/// One job that was changed, or was not; see `schema/change.json`.
#[derive(Serialize)]
pub(crate) struct Change<'a> {
    pub(crate) queue: &'a str,
    pub(crate) id: &'a str,
    pub(crate) action: &'static str,
    /// Its state, if that is why nothing was changed.
    pub(crate) in_state: Option<&'static str>,
    pub(crate) done: bool,
}

pub(crate) async fn run(verb: Verb, session: &mut Session) -> Result<(), Trouble> {
    match verb {
        Verb::Ls(list) => self::list(session, list).await,
        Verb::Show(show) => self::show(session, &show).await,
        Verb::Logs(logs) => logs.run(session).await,
        Verb::Enqueue(enqueue) => enqueue.run(session).await,
        Verb::Cancel(cancel) => self::cancel(session, cancel).await,
        Verb::Promote(which) => promote(session, which).await,
        Verb::Edit(edit) => edit.run(session).await,
        Verb::Export(export) => export.run(session).await,
        Verb::Import(import) => import.run(session).await,
        Verb::Move(which) => move_to(session, &which).await,
        Verb::Remove(many) => remove(session, &many).await,
    }
}

async fn list(session: &mut Session, list: List) -> Result<(), Trouble> {
    let queue = session.queue(&list.queue).await?;
    let states = wanted(&list.state);
    let what = (&states[..], Columns::Jobs);
    listing::list(session, &queue, what, &list.filter, &list.part).await
}

async fn show(session: &mut Session, show: &Show) -> Result<(), Trouble> {
    let job = show.job(session).await?;
    show.tell(session, &job).await
}

async fn promote(session: &mut Session, promote: Promote) -> Result<(), Trouble> {
    let queue = session.queue(&promote.queue).await?;
    let Some(id) = promote.id else {
        let delayed = queue.counts().await?.delayed;
        confirm(
            session,
            &format!("Promote {} of `{}`", jobs(delayed), promote.queue),
        )
        .await?;
        let tally = Tally::new(&promote.queue, "promote", delayed);
        return steps::sweep(
            session,
            tally,
            [queue.jobs(JobState::Delayed).promote_all()],
        )
        .await;
    };
    let changed = queue.edit(&id).now().await?;
    let which = Which {
        queue: promote.queue,
        id,
    };
    told(session, &which, "promote", "is due now", changed).await
}

/// Tells what became of a change of one job.
pub(crate) async fn told(
    session: &mut Session,
    which: &Which,
    action: &'static str,
    text: &str,
    changed: Changed,
) -> Result<(), Trouble> {
    let (queue, id) = (&*which.queue, which.id.as_str());
    let view = |in_state, done| Change {
        queue,
        id,
        action,
        in_state,
        done,
    };
    match changed {
        Changed::NotFound => {
            let queue = session.queue(queue).await?;
            Err(session.no_job(&queue, &which.id).await)
        }
        Changed::Duplicate => Err(duplicate(&format!("job {id}"))),
        Changed::InState(state) => {
            if session.out.json {
                session.out.json(&view(Some(state.as_str()), false))?;
                session.out.flush()?;
            }
            let trouble = Trouble::new(
                Exit::Error,
                format!("nothing was changed: job {id} is {state}"),
            );
            Err(match state {
                JobState::Dead => trouble.hint(format!(
                    "`oxcart dead replay {queue} {id}` puts it back in line"
                )),
                JobState::Active => trouble.hint("a worker runs it; try again when it has ended"),
                _ => trouble,
            })
        }
        _ => session
            .out
            .done(&view(None, true), format!("job {id} {text}")),
    }
}

async fn cancel(session: &mut Session, cancel: Cancel) -> Result<(), Trouble> {
    let Cancel {
        many: Many { queue: name, ids },
        reason,
    } = cancel;
    let queue = session.queue(&name).await?;
    confirm(
        session,
        &format!("Cancel {} of `{name}`", jobs(ids.len() as u64)),
    )
    .await?;
    let reason = reason.as_deref();
    let tally = Tally::new(&name, "cancel", ids.len() as u64);
    let cancel = async |id| {
        let request = queue.cancel(&id);
        match reason {
            Some(reason) => request.reason(reason).await,
            None => request.await,
        }
    };
    let tally = steps::change(session, tally, &ids, None, async |ids| {
        steps::each(ids, &cancel).await
    });
    let tally = tally.await?;
    all_found(session, &queue, &ids, &tally).await
}

async fn move_to(session: &mut Session, which: &Move) -> Result<(), Trouble> {
    let Move {
        many,
        to,
        new_queue,
    } = which;
    let queue = session.queue(&many.queue).await?;
    let other = session.queue_or_new(to, *new_queue).await?;
    let asked = many.ids.len() as u64;
    confirm(
        session,
        &format!("Move {} of `{}` to `{to}`", jobs(asked), many.queue),
    )
    .await?;
    let tally = Tally::new(&many.queue, "move", asked).to(to);
    let tally = steps::change(session, tally, &many.ids, None, async |ids| {
        queue.move_many(ids, &other).await
    })
    .await?;
    all_found(session, &queue, &many.ids, &tally).await
}

async fn remove(session: &mut Session, many: &Many) -> Result<(), Trouble> {
    let queue = session.queue(&many.queue).await?;
    confirm(
        session,
        &format!("Remove {} of `{}`", jobs(many.ids.len() as u64), many.queue),
    )
    .await?;
    let tally = Tally::new(&many.queue, "remove", many.ids.len() as u64);
    let tally = steps::change(session, tally, &many.ids, None, async |ids| {
        queue.remove_many(ids).await
    })
    .await?;
    all_found(session, &queue, &many.ids, &tally).await
}

/// Jobs that were left alone because of their unique keys.
fn duplicate(which: &str) -> Trouble {
    Trouble::error(format!(
        "{which} left alone: another job has the unique key; try again when that job has ended"
    ))
    .hint("`oxcart job show QUEUE --name NAME --key KEY` shows the job that has a key")
}

/// Jobs that were named one by one: what is not there is an error, and so is what was left alone.
pub(crate) async fn all_found(
    session: &mut Session,
    queue: &oxcart::Queue,
    ids: &[JobId],
    tally: &Tally,
) -> Result<(), Trouble> {
    session.out.flush()?;
    match ids {
        [id] if tally.not_found > 0 => Err(session.no_job(queue, id).await),
        _ if tally.not_found > 0 => Err(Trouble::not_found(format!(
            "{} not there",
            jobs(tally.not_found)
        ))),
        _ if tally.duplicates > 0 => Err(duplicate(&jobs(tally.duplicates))),
        _ if tally.in_other_state > 0 => {
            let left = jobs(tally.in_other_state);
            let text = format!("{left} left alone: not in a state in which that is possible");
            Err(Trouble::error(text).hint("`oxcart job show` tells the state of a job"))
        }
        _ => Ok(()),
    }
}
