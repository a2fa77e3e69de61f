//! Moving many jobs to another queue.

use clap::Args;
use oxcart::JobState;

use crate::jobs::scan::number;
use crate::jobs::steps::{self, Tally};
use crate::noun::job::state;
use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::look::jobs;
use crate::trouble::Trouble;

/// Each job is stored in the other queue first, and then removed here. Pause this queue first if no job is to run twice when the
/// command is cut off: the same command goes on. A job that cannot be there as it is here is left alone.
#[derive(Args)]
pub(crate) struct Move {
    queue: String,
    /// The other queue
    #[arg(value_name = "OTHER")]
    other: String,
    /// Jobs in these states: waiting, delayed, dead; blocked jobs follow those that wait
    #[arg(long, short, value_name = "STATE", value_delimiter = ',', value_parser = state, default_value = "waiting")]
    state: Vec<JobState>,
    /// Only jobs of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Make the other queue if there is none of this name
    #[arg(long)]
    new_queue: bool,
}

impl Move {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let name = &*self.queue;
        let queue = session.queue(name).await?;
        let other = session.queue_or_new(&self.other, self.new_queue).await?;
        let most = number(&queue.counts().await?, &self.state);
        let states: Vec<&str> = self.state.iter().map(|state| state.as_str()).collect();
        let mut which = format!("the {} jobs of `{name}`", states.join(" and "));
        if let Some(wanted) = &self.name {
            which += &format!(" named `{wanted}`");
        }
        let to = &self.other;
        confirm(
            session,
            &format!("Move {which} to `{to}`, up to {}", jobs(most)),
        )
        .await?;
        let sweeps = self.state.iter().map(|state| {
            let mut jobs = queue.jobs(*state);
            if let Some(wanted) = &self.name {
                jobs = jobs.named(wanted);
            }
            jobs.move_all_to(&other)
        });
        let tally = Tally::new(name, "move", most).to(to);
        steps::sweep(session, tally, sweeps).await
    }
}
