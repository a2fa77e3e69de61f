//! Dead letters: jobs that failed for good.

mod archive;
mod bulk;
mod edit;
mod groups;

use std::time::Duration;

use clap::{Args, Subcommand};
use oxcart::{JobId, JobState};

use self::bulk::Action;
use crate::jobs::filter::Filter;
use crate::jobs::listing::{self, Columns, Part};
use crate::jobs::steps::{self, Tally};
use crate::noun::job::{Show, all_found, id};
use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::look::jobs;
use crate::text::{duration, rates};
use crate::trouble::Trouble;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// The dead jobs of a queue, those that died first before the others
    #[command(visible_alias = "list")]
    Ls(List),
    /// What they died of: jobs with the same name and a like error, counted
    Groups(groups::Groups),
    /// One dead job with its whole story
    Show(Show),
    /// Put dead jobs back in line, with all attempts anew
    Replay(Replay),
    /// Change the payload or the attempts of a dead job, before it is replayed
    Edit(edit::Edit),
    /// Remove dead jobs, and all that is known of them
    Remove(Remove),
    /// Write dead jobs to a file or to stdout, as JSON lines
    Export(archive::Export),
    /// Put dead jobs from a file back on the dead-letter list
    Import(archive::Import),
    /// Remove dead jobs that died long ago
    Purge(Purge),
}

#[derive(Args)]
pub(crate) struct List {
    queue: String,
    #[command(flatten)]
    part: Part,
    #[command(flatten)]
    filter: Filter,
}

/// Jobs by their ids, or all that pass a filter.
#[derive(Args)]
pub(crate) struct Selection {
    queue: String,
    #[arg(value_name = "ID", value_parser = id)]
    ids: Vec<JobId>,
    /// All dead jobs of the queue
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Only tell how many jobs it concerns
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    filter: Filter,
}

#[derive(Args)]
pub(crate) struct Replay {
    /// So many in a period at most: 50 or 50/1s
    #[arg(long, value_name = "JOBS/TIME", value_parser = rates::per_second)]
    rate: Option<u32>,
    /// End when more than this part of the replayed jobs fails again: 0.2
    #[arg(long, value_name = "PART", value_parser = part, conflicts_with = "ids")]
    stop_if_failing: Option<f64>,
    #[command(flatten)]
    selection: Selection,
}

/// For clap: between 0 and 1.
fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| "a part is between 0 and 1; 0.2 is a fifth".to_owned())
}

#[derive(Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    selection: Selection,
}

#[derive(Args)]
pub(crate) struct Purge {
    queue: String,
    /// Died longer ago than this: 30d
    #[arg(long, value_name = "AGE", value_parser = duration::parse)]
    older_than: Duration,
    /// Only jobs of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only tell how many jobs it concerns
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(verb: Verb, session: &mut Session) -> Result<(), Trouble> {
    match verb {
        Verb::Ls(list) => {
            let queue = session.queue(&list.queue).await?;
            let what = (&[JobState::Dead][..], Columns::Dead);
            listing::list(session, &queue, what, &list.filter, &list.part).await
        }
        Verb::Groups(groups) => groups.run(session).await,
        Verb::Show(show) => self::show(session, &show).await,
        Verb::Replay(Replay {
            selection,
            rate,
            stop_if_failing,
        }) => {
            let action = Action::Replay {
                rate,
                stop_if_failing,
            };
            change(session, selection, action).await
        }
        Verb::Export(export) => export.run(session).await,
        Verb::Import(import) => import.run(session).await,
        Verb::Edit(edit) => edit.run(session).await,
        Verb::Remove(Remove { selection }) => change(session, selection, Action::Remove).await,
        Verb::Purge(Purge {
            queue,
            older_than,
            name,
            dry_run,
        }) => {
            let selection = Selection {
                queue,
                ids: Vec::new(),
                all: false,
                filter: Filter::older_than(older_than, name),
                dry_run,
            };
            change(session, selection, Action::Remove).await
        }
    }
}

async fn show(session: &mut Session, show: &Show) -> Result<(), Trouble> {
    let job = show.job(session).await?;
    if job.state != JobState::Dead {
        let message = format!("job {} is not dead: it is {}", job.id, job.state);
        let hint = format!("oxcart job show {} {}", show.queue, job.id);
        return Err(Trouble::not_found(message).hint(hint));
    }
    show.tell(session, &job).await
}

async fn change(
    session: &mut Session,
    selection: Selection,
    action: Action,
) -> Result<(), Trouble> {
    let Selection {
        queue: name,
        ids,
        all,
        filter,
        dry_run,
    } = selection;
    if ids.is_empty() && !all && filter.is_empty() {
        return Err(Trouble::usage(
            "which jobs? Give ids, a filter such as --name, or --all",
        ));
    }
    if !ids.is_empty() && !filter.is_empty() {
        return Err(Trouble::usage("give ids or a filter, not both"));
    }
    let queue = session.queue(&name).await?;
    if ids.is_empty() {
        return bulk::change(session, &queue, &filter, action, dry_run).await;
    }
    let mut tally = Tally::new(&name, action.verb(), ids.len() as u64);
    let many = jobs(ids.len() as u64);
    if dry_run {
        tally.dry_run = true;
        let past = steps::past(action.verb());
        return session.out.nothing(
            &tally,
            format!("{many} of `{name}` would be {past}; nothing was changed"),
        );
    }
    let tally = match action {
        // They are named, and nothing is lost.
        Action::Replay { rate, .. } => {
            let replay = async |ids: &[JobId]| queue.replay_many(ids).await;
            steps::change(session, tally, &ids, rate, replay).await?
        }
        Action::Remove => {
            confirm(
                session,
                &format!("Remove {many} of the dead letters of `{name}`"),
            )
            .await?;
            let remove = async |ids: &[JobId]| queue.remove_dead(ids).await;
            steps::change(session, tally, &ids, None, remove).await?
        }
    };
    all_found(session, &queue, &ids, &tally).await
}
