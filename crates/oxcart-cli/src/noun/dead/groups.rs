//! What jobs died of: those with the same fingerprint, counted.

use std::collections::HashMap;

use clap::Args;
use oxcart::{JobInfo, JobState, Timestamp};
use serde::Serialize;

use crate::jobs::filter::Filter;
use crate::jobs::scan;
use crate::session::Session;
use crate::term::look::{Tint, jobs};
use crate::term::table::{Cell, Table, number, text};
use crate::text::fingerprint::{fingerprint, last_error};
use crate::text::when::{ago, now};
use crate::trouble::Trouble;

/// More different ones are not told apart.
const GROUPS_MAX: usize = 1_000;

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
struct Group {
    queue: String,
    fingerprint: String,
    name: String,
    count: u64,
    first_at: String,
    last_at: String,
    /// The error of the job that died last.
    sample: String,
    sample_id: String,
    #[serde(skip)]
    last: Option<Timestamp>,
}

impl Group {
    fn new(queue: &str, job: &JobInfo) -> Self {
        Self {
            queue: queue.to_owned(),
            fingerprint: fingerprint(job),
            name: job.name.clone(),
            count: 0,
            first_at: job.ended_at.map_or_else(String::new, |at| at.to_string()),
            last_at: String::new(),
            sample: String::new(),
            sample_id: String::new(),
            last: None,
        }
    }

    /// They come in the order in which they died.
    fn add(&mut self, job: &JobInfo) {
        self.count += 1;
        self.last = job.ended_at;
        self.last_at = job.ended_at.map_or_else(String::new, |at| at.to_string());
        self.sample = last_error(job).to_owned();
        self.sample_id = job.id.to_string();
    }
}

impl Groups {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let queue = session.queue(&self.queue).await?;
        let total = queue.counts().await?.dead;
        let mut groups: HashMap<String, Group> = HashMap::new();
        let mut left_out = 0;
        let most = total.min(self.read);
        let read = scan::each(&queue, JobState::Dead, &self.filter, most, |job| {
            let mark = fingerprint(job);
            if groups.len() < GROUPS_MAX || groups.contains_key(&mark) {
                let group = groups.entry(mark);
                group
                    .or_insert_with(|| Group::new(&self.queue, job))
                    .add(job);
            } else {
                left_out += 1;
            }
        });
        let (read, goes_on) = read.await?;
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| b.last.cmp(&a.last)));
        self.tell(session, &groups)?;
        let out = &mut session.out;
        out.flush()?;
        if groups.is_empty() {
            out.note(format_args!("no such dead letters in `{}`", self.queue));
        }
        if left_out > 0 {
            out.note(format_args!(
                "{left_out} more jobs died of {GROUPS_MAX} other errors and more"
            ));
        }
        if goes_on && read < total {
            out.note(format_args!(
                "the first {read} of {} that are dead were read; --read reads more",
                jobs(total)
            ));
        }
        Ok(())
    }

    fn tell(&self, session: &mut Session, groups: &[Group]) -> Result<(), Trouble> {
        let out = &mut session.out;
        if out.json {
            return groups.iter().try_for_each(|group| out.json(group));
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
            let last = group.last.map_or_else(String::new, |at| ago(at, now()));
            table.row([
                Cell::new(Tint::Strong, out.look.count(group.count)),
                Cell::plain(&*group.name),
                Cell::new(Tint::Faint, last),
                Cell::new(Tint::Faint, &*group.fingerprint),
                Cell::new(Tint::Bad, &*group.sample),
            ]);
        }
        table.print(out)
    }
}
