//! Removing many jobs of a queue: what waits, or what is old.

use std::time::Duration;

use clap::Args;
use oxcart::JobState;

use crate::jobs::scan::number;
use crate::jobs::steps::{self, Tally};
use crate::noun::job::state;
use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::look::jobs;
use crate::text::duration;
use crate::text::when::exact;
use crate::trouble::Trouble;

/// What runs goes on, and what has ended stays. Pause the queue first if no worker is to take one of them meanwhile.
#[derive(Args)]
pub(crate) struct Drain {
    queue: String,
    /// Also the delayed jobs
    #[arg(long)]
    delayed: bool,
}

/// Jobs that move to another state meanwhile are left alone.
#[derive(Args)]
pub(crate) struct Clean {
    queue: String,
    /// Jobs in this state: waiting, blocked, delayed, dead, completed or cancelled
    #[arg(long, short, value_name = "STATE", value_parser = state)]
    state: JobState,
    /// Died, ended or were enqueued at least so long ago: 7d
    #[arg(long, value_name = "AGE", value_parser = duration::parse)]
    older_than: Duration,
    /// Only jobs of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

impl Drain {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let name = &*self.queue;
        let queue = session.queue(name).await?;
        // Blocked jobs first: else they would get in line when those before them go.
        let mut states = vec![JobState::Blocked];
        states.extend(self.delayed.then_some(JobState::Delayed));
        states.push(JobState::Waiting);
        let asked = number(&queue.counts().await?, &states);
        let what = if self.delayed {
            "that wait or are delayed"
        } else {
            "that wait"
        };
        confirm(
            session,
            &format!("Remove {} of `{name}` {what}", jobs(asked)),
        )
        .await?;
        let sweeps = states
            .into_iter()
            .map(|state| queue.jobs(state).remove_all());
        steps::sweep(session, Tally::new(name, "remove", asked), sweeps).await
    }
}

impl Clean {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let (name, state) = (&*self.queue, self.state);
        if state == JobState::Active {
            return Err(Trouble::usage("jobs that run cannot be removed")
                .hint("`oxcart job cancel` asks them to end"));
        }
        let queue = session.queue(name).await?;
        let most = number(&queue.counts().await?, &[state]);
        let mut old = queue.jobs(state).older_than(self.older_than);
        let mut which = format!(
            "the {state} jobs of `{name}` that are {} old or more",
            exact(self.older_than)
        );
        if let Some(wanted) = &self.name {
            old = old.named(wanted);
            which += &format!(" and named `{wanted}`");
        }
        confirm(session, &format!("Remove {which}, up to {}", jobs(most))).await?;
        let tally = Tally::new(name, "remove", most);
        steps::sweep(session, tally, [old.remove_all()]).await
    }
}
