//! Deleting a queue.

use clap::Args;
use oxcart::{Counts, Deleted, Queue};
use serde::Serialize;

use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::look::jobs;
use crate::trouble::Trouble;

/// Stop its workers first. It takes the same time for a million jobs as for one.
#[derive(Args)]
pub(crate) struct Delete {
    queue: String,
    /// Also if it holds jobs that have not ended, dead letters or schedules: they are lost
    #[arg(long)]
    with_jobs: bool,
}

/// See `schema/deleted.json`.
#[derive(Serialize)]
struct View<'a> {
    queue: &'a str,
    waiting: u64,
    blocked: u64,
    delayed: u64,
    active: u64,
    completed: u64,
    dead: u64,
    schedules: u64,
    orphans: u64,
}

impl Delete {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let name = &*self.queue;
        let queue = session.queue(name).await?;
        let counts = queue.counts().await?;
        let open = counts.left() + counts.dead;
        if !self.with_jobs {
            refuse_what_holds_something(&queue, &counts).await?;
        }
        let held = jobs(open + counts.completed);
        let open = match open {
            0 => String::new(),
            open => format!(" ({} not ended or dead)", session.out.count(open)),
        };
        confirm(
            session,
            &format!("Delete `{name}` with {held}{open} and its settings"),
        )
        .await?;
        let request = queue.delete();
        let request = if self.with_jobs {
            request.with_jobs()
        } else {
            request
        };
        let deleted = request.await.map_err(|error| match error.is_not_empty() {
            // What came meanwhile, or is in no list.
            true => {
                let text = format!("`{name}` is not deleted: there is something in it");
                Trouble::error(text).hint(format!(
                    "`oxcart queue show {name}` and `oxcart queue orphans {name}` tell what; --with-jobs deletes it as well"
                ))
            }
            false => Trouble::from(error),
        })?;
        tell(session, name, &deleted)
    }
}

/// Before anybody is asked.
async fn refuse_what_holds_something(queue: &Queue, counts: &Counts) -> Result<(), Trouble> {
    let mut there: Vec<String> = [
        (counts.waiting, "waiting"),
        (counts.blocked, "blocked"),
        (counts.delayed, "delayed"),
        (counts.active, "active"),
        (counts.dead, "dead"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{} {what}", jobs(number)))
    .collect();
    let schedules = queue.schedules().await?.len();
    if schedules > 0 {
        let s = if schedules == 1 { "" } else { "s" };
        there.push(format!("{schedules} schedule{s}"));
    }
    if there.is_empty() {
        return Ok(());
    }
    let text = format!(
        "`{}` is not deleted: it holds {}",
        queue.name(),
        there.join(", ")
    );
    Err(Trouble::error(text).hint("--with-jobs deletes them as well"))
}

fn tell(session: &mut Session, queue: &str, deleted: &Deleted) -> Result<(), Trouble> {
    let mut text = format!("`{queue}` is deleted, with {}", jobs(deleted.jobs()));
    if deleted.schedules > 0 {
        text += &format!(" and {} schedules", deleted.schedules);
    }
    let view = View {
        queue,
        waiting: deleted.waiting,
        blocked: deleted.blocked,
        delayed: deleted.delayed,
        active: deleted.active,
        completed: deleted.completed,
        dead: deleted.dead,
        schedules: deleted.schedules,
        orphans: deleted.orphans,
    };
    session.out.done(&view, text)
}
