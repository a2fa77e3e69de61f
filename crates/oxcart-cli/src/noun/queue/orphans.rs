//! Jobs that are in no list any more.

use clap::Args;
use oxcart::Queue;
use serde::Serialize;

use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::look::jobs;
use crate::term::progress::Progress;
use crate::trouble::Trouble;

/// The library lists no more of them.
const LISTED_MAX: usize = 256;

/// A key of the queue was deleted, or Redis evicted it; the records of its jobs are still there.
#[derive(Args)]
pub(crate) struct Orphans {
    queue: String,
    /// Put all of them back: those that had not ended get in line again
    #[arg(long, conflicts_with = "remove")]
    put_back: bool,
    /// Remove all of them
    #[arg(long)]
    remove: bool,
}

/// One of them; see `schema/orphan.json`.
#[derive(Serialize)]
struct Orphan<'a> {
    queue: &'a str,
    id: &'a str,
}

/// What was done; see `schema/orphans.json`.
#[derive(Serialize)]
struct Mended<'a> {
    queue: &'a str,
    action: &'static str,
    done: u64,
}

impl Orphans {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let queue = session.queue(&self.queue).await?;
        match (self.put_back, self.remove) {
            (false, false) => list(session, &queue).await,
            (true, _) => put_back(session, &queue).await,
            (_, true) => remove(session, &queue).await,
        }
    }
}

/// The orphans of a queue; it shows how far they are looked for.
pub(crate) async fn watched(queue: &Queue) -> Result<oxcart::Orphans, Trouble> {
    let counts = queue.counts().await?;
    let ended = counts.dead + counts.completed;
    let mut progress = Progress::new("look for orphans", counts.left() + ended);
    let told = move |records| progress.advance(records);
    Ok(queue.orphans().on_progress(told))
}

/// How many there are, in words, and whether there is any.
async fn number(queue: &Queue) -> Result<(String, bool), Trouble> {
    let found = watched(queue).await?.list().await?.len();
    let more = if found == LISTED_MAX { " or more" } else { "" };
    Ok((format!("{}{more}", jobs(found as u64)), found > 0))
}

async fn list(session: &mut Session, queue: &Queue) -> Result<(), Trouble> {
    let found = watched(queue).await?.list().await?;
    let (out, name) = (&mut session.out, queue.name());
    for id in &found {
        let (queue, id) = (name, id.as_str());
        match out.json {
            true => out.json(&Orphan { queue, id })?,
            false => out.line(id)?,
        }
    }
    out.flush()?;
    match found.len() {
        0 => out.note(format_args!("no job of `{name}` is in no list")),
        n => {
            let more = if n == LISTED_MAX {
                ", and perhaps more"
            } else {
                ""
            };
            out.note(format_args!(
                "{}{more} in no list; `oxcart queue orphans {name} --put-back` puts them back, --remove removes them",
                jobs(n as u64)
            ));
        }
    }
    Ok(())
}

async fn put_back(session: &mut Session, queue: &Queue) -> Result<(), Trouble> {
    let done = watched(queue).await?.put_back().await?;
    tell(session, queue.name(), "put-back", done, "put back")
}

async fn remove(session: &mut Session, queue: &Queue) -> Result<(), Trouble> {
    let (many, any) = number(queue).await?;
    let name = queue.name();
    if any {
        confirm(
            session,
            &format!("Remove {many} of `{name}` that are in no list"),
        )
        .await?;
    }
    let done = if any {
        watched(queue).await?.remove().await?
    } else {
        0
    };
    tell(session, name, "remove", done, "removed")
}

fn tell(
    session: &mut Session,
    queue: &str,
    action: &'static str,
    done: u64,
    past: &str,
) -> Result<(), Trouble> {
    let text = format!("{} of `{queue}` {past}", jobs(done));
    let mended = Mended {
        queue,
        action,
        done,
    };
    session.out.done(&mended, text)
}
