//! Changing a job that does not run yet.

use std::time::Duration;

use clap::Args;

use super::{Which, payload, told};
use crate::session::Session;
use crate::text::duration;
use crate::trouble::{Exit, Trouble};

/// What is not given stays.
#[derive(Args)]
#[group(id = "change", required = true, multiple = true, args = ["payload", "priority", "attempts", "delay", "now"])]
pub(crate) struct Edit {
    #[command(flatten)]
    which: Which,
    /// Another payload: JSON, @FILE, or - for stdin
    #[arg(long)]
    payload: Option<String>,
    /// 0 (most urgent) to 1023
    #[arg(long)]
    priority: Option<u16>,
    /// How often it is tried in all
    #[arg(long)]
    attempts: Option<u32>,
    /// Due so long from now on: 10m
    #[arg(long, value_name = "TIME", value_parser = duration::parse, conflicts_with = "now")]
    delay: Option<Duration>,
    /// Due now
    #[arg(long)]
    now: bool,
}

impl Edit {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let payload = self.payload.as_deref().map(payload::read).transpose()?;
        let queue = session.queue(&self.which.queue).await?;
        let job = session.job(&queue, &self.which.id).await?;
        let mut edit = queue.edit(&self.which.id);
        if let Some(payload) = payload {
            edit = edit.payload(&payload).named(&job.name);
        }
        if let Some(priority) = self.priority {
            edit = edit.priority(priority);
        }
        if let Some(attempts) = self.attempts {
            edit = edit.attempts(attempts);
        }
        if let Some(delay) = self.delay {
            edit = edit.delay(delay);
        }
        if self.now {
            edit = edit.now();
        }
        let changed = edit.await.map_err(|error| {
            let mut trouble = Trouble::from(error);
            // What was typed is right, and this job does not allow it.
            if self.priority.is_some() && job.order.is_some() {
                trouble.exit = Exit::Error;
            }
            trouble
        })?;
        told(session, &self.which, "edit", "is changed", changed).await
    }
}
