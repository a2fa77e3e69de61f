//! Dead letters: jobs that failed for good.

mod groups;

use std::time::Duration;

use clap::{Args, Subcommand};
use oxcart::{JobId, JobState, Queue};

use crate::jobs::filter::Filter;
use crate::jobs::listing::{self, Columns, Part};
use crate::jobs::scan;
use crate::jobs::steps::{self, Tally};
use crate::jobs::story;
use crate::noun::job::{Which, all_found, id};
use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::look::jobs;
use crate::text::duration;
use crate::trouble::Trouble;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// The dead jobs of a queue, those that died first before the others
    #[command(visible_alias = "list")]
    Ls(List),
    /// What they died of: jobs with the same name and a like error, counted
    Groups(groups::Groups),
    /// One dead job with its whole story
    Show(Which),
    /// Put dead jobs back in line, with all attempts anew
    Replay(Replay),
    /// Remove dead jobs, and all that is known of them
    Remove(Remove),
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
    /// So many in a second at most
    #[arg(long, value_name = "JOBS", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    #[command(flatten)]
    selection: Selection,
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
        Verb::Show(which) => show(session, &which).await,
        Verb::Replay(Replay { selection, rate }) => {
            change(session, selection, "replay", rate).await
        }
        Verb::Remove(Remove { selection }) => change(session, selection, "remove", None).await,
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
            change(session, selection, "remove", None).await
        }
    }
}

async fn show(session: &mut Session, which: &Which) -> Result<(), Trouble> {
    let queue = session.queue(&which.queue).await?;
    let job = session.job(&queue, &which.id).await?;
    if job.state != JobState::Dead {
        let message = format!("job {} is not dead: it is {}", which.id, job.state);
        let hint = format!("oxcart job show {} {}", which.queue, which.id);
        return Err(Trouble::not_found(message).hint(hint));
    }
    story::tell(&mut session.out, &which.queue, &job)
}

async fn change(
    session: &mut Session,
    selection: Selection,
    action: &'static str,
    rate: Option<u32>,
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
    let named = !ids.is_empty();
    let ids = if named {
        ids
    } else {
        scan::dead_ids(&queue, &filter).await?
    };
    let mut tally = Tally::new(&name, action, ids.len() as u64);
    let many = jobs(ids.len() as u64);
    if dry_run {
        tally.dry_run = true;
        let past = steps::past(action);
        return session.out.done(
            &tally,
            format!("{many} of `{name}` would be {past}; nothing was changed"),
        );
    }
    // One job that is named can be replayed without a question: nothing is lost.
    let asks = !ids.is_empty() && (action == "remove" || !named);
    if asks {
        let verb = if action == "replay" {
            "Replay"
        } else {
            "Remove"
        };
        confirm(
            session,
            &format!("{verb} {many} of the dead letters of `{name}`"),
        )?;
    }
    let tally = match action {
        "replay" => {
            steps::change(session, tally, &ids, rate, async |ids| {
                queue.replay_many(ids).await
            })
            .await?
        }
        _ => {
            steps::change(session, tally, &ids, rate, async |ids| {
                steps::each(ids, async |id| remove(&queue, &id).await).await
            })
            .await?
        }
    };
    match named {
        true => all_found(session, &queue, &ids, &tally).await,
        false => Ok(()),
    }
}

/// Only if it is dead: it may have been replayed since it was read.
async fn remove(queue: &Queue, id: &JobId) -> Result<oxcart::Changed, oxcart::Error> {
    match queue.job(id).await? {
        Some(job) if job.state == JobState::Dead => queue.remove(id).await,
        Some(job) => Ok(oxcart::Changed::InState(job.state)),
        None => Ok(oxcart::Changed::NotFound),
    }
}
