//! Queues.

mod delete;
mod orphans;
mod settings;
mod view;

use clap::Subcommand;
use futures_util::{StreamExt, TryStreamExt, stream};
use oxcart::{Counts, Error};

use crate::noun::Pause;
use crate::session::Session;
use crate::term::look::{Look, Tint};
use crate::term::table::{Cell, Table, number, text};
use crate::trouble::Trouble;
pub(crate) use settings::differ_from_code;
use view::QueueView;

/// Queues whose counts are asked for at a time.
const AT_A_TIME: usize = 16;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// All queues, with how many jobs are in each state
    #[command(visible_alias = "list")]
    Ls,
    /// One queue: its jobs by state, and what ever happened
    Show { queue: String },
    /// Pause a queue: no worker takes a job; what runs goes on
    Pause { queue: String },
    /// End the pause of a queue
    Resume { queue: String },
    /// Show the settings of a queue, or change them
    Settings(settings::Settings),
    /// Jobs that are in no list any more: show them, put them back, or remove them
    Orphans(orphans::Orphans),
    /// Delete a queue, if nothing is left in it to do
    Delete(delete::Delete),
}

pub(crate) async fn run(verb: Verb, session: &mut Session) -> Result<(), Trouble> {
    match verb {
        Verb::Ls => list(session).await,
        Verb::Show { queue } => show(session, &queue).await,
        Verb::Pause { queue } => pause(session, &queue, true).await,
        Verb::Resume { queue } => pause(session, &queue, false).await,
        Verb::Settings(settings) => settings.run(session).await,
        Verb::Orphans(orphans) => orphans.run(session).await,
        Verb::Delete(delete) => delete.run(session).await,
    }
}

async fn list(session: &mut Session) -> Result<(), Trouble> {
    let oxcart = &session.oxcart;
    let names = oxcart.queues().await?;
    let counted = names.into_iter().map(async |name| {
        let counts = oxcart.queue(&name)?.counts().await?;
        Ok::<_, Error>((name, counts))
    });
    let queues: Vec<(String, Counts)> = stream::iter(counted)
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    let out = &mut session.out;
    if out.json {
        for (name, counts) in &queues {
            out.json(&QueueView::new(name, counts))?;
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
        number("BLOCKED"),
        number("DELAYED"),
        number("ACTIVE"),
        number("DEAD"),
        number("KEPT").optional(1),
        text(""),
    ]);
    let look = out.look;
    for (name, counts) in &queues {
        table.row(row(look, name, counts));
    }
    table.print(out)
}

fn row(look: Look, name: &str, counts: &Counts) -> Vec<Cell> {
    let number = |tint: Tint, number| Cell::new(tint.unless_zero(number), look.count(number));
    let paused = if counts.paused { "paused" } else { "" };
    vec![
        Cell::new(Tint::Strong, name),
        number(Tint::Plain, counts.waiting),
        number(Tint::Held, counts.blocked),
        number(Tint::Plain, counts.delayed),
        number(Tint::Busy, counts.active),
        number(Tint::Bad, counts.dead),
        number(Tint::Faint, counts.completed),
        Cell::new(Tint::Held, paused),
    ]
}

async fn show(session: &mut Session, name: &str) -> Result<(), Trouble> {
    let queue = session.queue(name).await?;
    let counts = queue.counts().await?;
    view::tell(&mut session.out, name, &counts)
}

async fn pause(session: &mut Session, name: &str, paused: bool) -> Result<(), Trouble> {
    let queue = session.queue(name).await?;
    let changed = match paused {
        true => queue.pause().await?,
        false => queue.resume().await?,
    };
    let text = match (paused, changed) {
        (true, true) => format!("`{name}` is paused; `oxcart queue resume {name}` ends that"),
        (true, false) => format!("`{name}` was paused already"),
        (false, true) => format!("`{name}` goes on"),
        (false, false) => format!("`{name}` was not paused"),
    };
    let queue = name;
    let pause = Pause {
        queue,
        name: None,
        paused,
        changed,
    };
    session.out.done(&pause, text)
}
