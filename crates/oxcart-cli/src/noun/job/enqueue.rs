//! Enqueueing a job of whatever type.

use std::time::Duration;

use clap::Args;
use oxcart::{Enqueued, JobId, Retention};
use serde::Serialize;

use super::payload;
use crate::jobs::filter::header;
use crate::session::Session;
use crate::text::duration;
use crate::trouble::Trouble;

/// Nobody checks that the payload is what jobs of this name have: if it is not, no handler can read it, and it ends as a dead letter.
#[derive(Args)]
pub(crate) struct Enqueue {
    queue: String,
    /// The name of its type, as its workers know it
    name: String,
    /// JSON, @FILE, or - for stdin
    #[arg(default_value = "{}")]
    payload: String,
    /// 0 (most urgent) to 1023
    #[arg(long)]
    priority: Option<u16>,
    /// How often it is tried
    #[arg(long)]
    attempts: Option<u32>,
    /// Run no earlier than in this time: 10m
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    delay: Option<Duration>,
    /// How long one attempt may take
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// How long it is kept when it has ended
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    keep: Option<Duration>,
    /// Its group
    #[arg(long, value_name = "KEY", conflicts_with = "ordered_by")]
    group: Option<String>,
    /// It runs after the jobs that have the same key
    #[arg(long, value_name = "KEY")]
    ordered_by: Option<String>,
    /// Its id; if the queue has a job of this id, nothing is enqueued
    #[arg(long, value_parser = super::id)]
    id: Option<JobId>,
    /// A header; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// Before everything of the same priority that waits
    #[arg(long)]
    front: bool,
    /// The queue may be one that does not exist yet
    #[arg(long)]
    new_queue: bool,
}

/// See `schema/enqueued.json`.
#[derive(Serialize)]
struct View<'a> {
    queue: &'a str,
    id: &'a str,
    name: &'a str,
    /// It is new; otherwise a job of this id was there already.
    new: bool,
}

impl Enqueue {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let payload = payload::read(&self.payload)?;
        let queue = match self.new_queue {
            true => session.oxcart.queue(&self.queue)?,
            false => {
                session
                    .queue(&self.queue)
                    .await
                    .map_err(|trouble| match &trouble.nearest {
                        None => trouble.hint("--new-queue makes it"),
                        Some(_) => trouble,
                    })?
            }
        };
        let mut request = queue.enqueue(payload).named(&self.name);
        if let Some(priority) = self.priority {
            request = request.priority(priority);
        }
        if let Some(attempts) = self.attempts {
            request = request.attempts(attempts);
        }
        if let Some(delay) = self.delay {
            request = request.delay(delay);
        }
        if let Some(timeout) = self.timeout {
            request = request.timeout(timeout);
        }
        if let Some(keep) = self.keep {
            request = request.keep(Retention::For(keep));
        }
        if let Some(group) = self.group {
            request = request.group(group);
        }
        if let Some(key) = self.ordered_by {
            request = request.ordered_by(key);
        }
        if let Some(id) = self.id {
            request = request.id(id);
        }
        for (key, value) in self.header {
            request = request.header(key, value);
        }
        if self.front {
            request = request.front();
        }
        let job = request.await?;
        if self.new_queue {
            session.until_listed(&self.queue).await?;
        }
        let new = job.enqueued() == Enqueued::New;
        let (queue, id, name) = (&*self.queue, job.id().as_str(), &*self.name);
        let text = match new {
            true => format!("job {id} is in `{queue}`"),
            false => format!("job {id} was in `{queue}` already; nothing was enqueued"),
        };
        session.out.done(
            &View {
                queue,
                id,
                name,
                new,
            },
            text,
        )
    }
}
