//! What jobs died of: those with the same fingerprint, counted.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use clap::Args;
use oxcart::DeadGroup;
use serde::Serialize;

use crate::jobs::filter::Filter;
use crate::session::Session;
use crate::term::interrupt::Interrupt;
use crate::term::look::{Tint, jobs};
use crate::term::progress::Progress;
use crate::term::table::{Cell, Table, number, text};
use crate::text::when::{ago, now};
use crate::trouble::{Exit, Trouble};

/// In an error, numbers, ids, addresses and paths are taken for equal.
#[derive(Args)]
pub(crate) struct Groups {
    queue: String,
    /// How many dead jobs are read at most
    #[arg(long, default_value_t = 100_000, value_name = "JOBS")]
    read: u64,
    #[command(flatten)]
    filter: Filter,
}

/// Jobs that died of the same; see `schema/dead-group.json`.
#[derive(Serialize)]
struct View<'a> {
    queue: &'a str,
    fingerprint: String,
    name: &'a str,
    count: u64,
    first_at: String,
    last_at: String,
    /// The error of the job that died last.
    sample: &'a str,
    sample_id: &'a str,
}

impl<'a> View<'a> {
    fn of(queue: &'a str, group: &'a DeadGroup) -> Self {
        Self {
            queue,
            fingerprint: group.fingerprint.to_string(),
            name: &group.name,
            count: group.count,
            first_at: group.first_at.to_string(),
            last_at: group.last_at.to_string(),
            sample: &group.sample,
            sample_id: group.sample_id.as_str(),
        }
    }
}

impl Groups {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let queue = session.queue(&self.queue).await?;
        let interrupt = Interrupt::listen();
        let pressed = interrupt.flag();
        let mut progress: Option<Progress> = None;
        let mut before = 0;
        let request = self.filter.dead_letters(&queue).groups();
        let most = self.read;
        let request = request.read_at_most(most).on_progress(move |read, dead| {
            progress
                .get_or_insert_with(|| Progress::new("reading", dead.min(most)))
                .advance(read - before);
            before = read;
            match pressed.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        let found = request.await?;
        if interrupt.is_pressed() {
            let message = format!("interrupted after reading {} dead jobs", found.read);
            return Err(Trouble::new(Exit::Interrupted, message));
        }
        self.tell(session, &found.groups)?;
        let out = &mut session.out;
        out.flush()?;
        if found.groups.is_empty() {
            out.note(format_args!("no such dead letters in `{}`", self.queue));
        }
        if found.left_out > 0 {
            out.note(format_args!(
                "{} more jobs died of other errors than these {}",
                found.left_out,
                found.groups.len()
            ));
        }
        if found.read >= most && found.read < found.dead {
            out.note(format_args!(
                "the first {} of {} that are dead were read; --read reads more",
                found.read,
                jobs(found.dead)
            ));
        }
        Ok(())
    }

    fn tell(&self, session: &mut Session, groups: &[DeadGroup]) -> Result<(), Trouble> {
        let out = &mut session.out;
        if out.json {
            return groups
                .iter()
                .try_for_each(|group| out.json(&View::of(&self.queue, group)));
        }
        if groups.is_empty() {
            return Ok(());
        }
        let mut table = Table::new([
            number("COUNT"),
            text("NAME"),
            text("LAST"),
            text("FINGERPRINT"),
            text("ERROR"),
        ]);
        for group in groups {
            let last = ago(group.last_at, now());
            table.row([
                Cell::new(Tint::Strong, out.look.count(group.count)),
                Cell::plain(&*group.name),
                Cell::new(Tint::Faint, last),
                Cell::new(Tint::Faint, group.fingerprint.to_string()),
                Cell::new(Tint::Bad, &*group.sample),
            ]);
        }
        table.print(out)
    }
}
