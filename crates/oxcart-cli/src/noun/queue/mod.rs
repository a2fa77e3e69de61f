//! Queues.

mod delete;
mod history;
mod limits;
mod moving;
pub(crate) mod orphans;
mod settings;
mod sweep;
mod view;

use std::time::Duration;

use clap::{Args, Subcommand};
use futures_util::{StreamExt, TryStreamExt, stream};
use oxcart::{Counts, Error, OldestWaiting};

use crate::noun::Pause;
use crate::session::Session;
use crate::term::look::{Look, Tint};
use crate::term::table::{Cell, Table, number, text};
use crate::text::quoted::quoted;
use crate::text::when::rough;
use crate::trouble::Trouble;
pub(crate) use settings::differ_from_code;
use view::QueueView;
pub(crate) use view::{held_back, is_rate_used_up};

/// Queues whose counts are asked for at a time.
const AT_A_TIME: usize = 16;
/// The time whose rates are shown with a queue.
const LATELY: Duration = Duration::from_secs(15 * 60);

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// All queues, with how many jobs are in each state
    #[command(visible_alias = "list")]
    Ls,
    /// One queue: its jobs by state, and what ever happened
    Show { queue: String },
    /// What happened lately: rates, and how long jobs waited and ran
    History(history::History),
    /// Pause a queue: no worker takes a job; what runs goes on
    Pause(Paused),
    /// End the pause of a queue
    Resume(Paused),
    /// Show the settings of a queue, or change them
    Settings(settings::Settings),
    /// Jobs that are in no list any more: show them, put them back, or remove them
    Orphans(orphans::Orphans),
    /// Remove all jobs that wait, in steps
    Drain(sweep::Drain),
    /// Remove the jobs in one state that are old, in steps
    Clean(sweep::Clean),
    /// Move the jobs in some states to another queue, in steps
    Move(moving::Move),
    /// Delete a queue, if nothing is left in it to do
    Delete(delete::Delete),
}

#[derive(Args)]
pub(crate) struct Paused {
    queue: String,
    /// Only the jobs of this name
    #[arg(long)]
    name: Option<String>,
}

pub(crate) async fn run(verb: Verb, session: &mut Session) -> Result<(), Trouble> {
    match verb {
        Verb::Ls => list(session).await,
        Verb::Show { queue } => show(session, &queue).await,
        Verb::History(history) => history.run(session).await,
        Verb::Pause(what) => pause(session, &what, true).await,
        Verb::Resume(what) => pause(session, &what, false).await,
        Verb::Settings(settings) => settings.run(session).await,
        Verb::Orphans(orphans) => orphans.run(session).await,
        Verb::Drain(drain) => drain.run(session).await,
        Verb::Clean(clean) => clean.run(session).await,
        Verb::Move(jobs) => jobs.run(session).await,
        Verb::Delete(delete) => delete.run(session).await,
    }
}

async fn list(session: &mut Session) -> Result<(), Trouble> {
    let oxcart = &session.oxcart;
    let names = oxcart.queues().await?;
    let counted = names.into_iter().map(async |name| {
        let queue = oxcart.queue(&name)?;
        let counts = queue.counts().await?;
        Ok::<_, Error>((name, counts, queue.oldest_waiting().await?))
    });
    let queues: Vec<(String, Counts, Option<OldestWaiting>)> = stream::iter(counted)
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    let out = &mut session.out;
    if out.json {
        for (name, counts, oldest) in &queues {
            out.json(&QueueView::new(name, counts, oldest.as_ref()))?;
        }
        return Ok(());
    }
    if queues.is_empty() {
        out.note("there is no queue in this namespace yet; see --namespace and --url");
        return Ok(());
    }
    let mut table = Table::new([
        text("QUEUE"),
        number("WAITING"),
        number("OLDEST").optional(2),
        number("BLOCKED"),
        number("DELAYED"),
        number("ACTIVE"),
        number("DEAD"),
        number("KEPT").optional(1),
        text(""),
    ]);
    let look = out.look;
    for (name, counts, oldest) in &queues {
        table.row(row(look, name, counts, oldest.as_ref()));
    }
    table.print(out)
}

fn row(look: Look, name: &str, counts: &Counts, oldest: Option<&OldestWaiting>) -> Vec<Cell> {
    let number = |tint: Tint, number| Cell::new(tint.unless_zero(number), look.count(number));
    vec![
        Cell::new(Tint::Strong, name),
        number(Tint::Plain, counts.waiting),
        Cell::plain(oldest.map_or_else(String::new, |oldest| rough(oldest.age))),
        number(Tint::Held, counts.blocked),
        number(Tint::Plain, counts.delayed),
        number(Tint::Busy, counts.active),
        number(Tint::Bad, counts.dead),
        number(Tint::Faint, counts.completed),
        Cell::new(Tint::Held, held_back(counts)),
    ]
}

async fn show(session: &mut Session, name: &str) -> Result<(), Trouble> {
    let queue = session.queue(name).await?;
    let counts = queue.counts().await?;
    let oldest = queue.oldest_waiting().await?;
    let out = &mut session.out;
    view::tell(out, name, &counts, oldest.as_ref())?;
    if out.json {
        return Ok(());
    }
    let lately = queue.history(LATELY).await?;
    if lately.minutes.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let title = out.paint(Tint::Strong, "In the last 15 minutes");
    out.line(title)?;
    history::rates(out, &lately)?;
    history::run_times(out, &lately)
}

async fn pause(session: &mut Session, what: &Paused, paused: bool) -> Result<(), Trouble> {
    let queue = session.queue(&what.queue).await?;
    let changed = match (&what.name, paused) {
        (None, true) => queue.pause().await?,
        (None, false) => queue.resume().await?,
        (Some(name), true) => queue.jobs_named(name)?.pause().await?,
        (Some(name), false) => queue.jobs_named(name)?.resume().await?,
    };
    let (queue, name) = (what.queue.as_str(), what.name.as_deref());
    let (who, option) = match name {
        None => (format!("`{queue}` is"), String::new()),
        Some(name) => (
            format!("the jobs named `{name}` are"),
            format!(" --name {}", quoted(name)),
        ),
    };
    let text = match (paused, changed) {
        (true, true) => {
            format!("{who} paused; `oxcart queue resume {queue}{option}` ends that")
        }
        (true, false) => format!("{who} paused already"),
        (false, true) => format!("{who} no longer paused"),
        (false, false) => format!("{who} not paused"),
    };
    let pause = Pause {
        queue,
        name,
        paused,
        changed,
        ..Pause::default()
    };
    pause.tell(session, text)
}
