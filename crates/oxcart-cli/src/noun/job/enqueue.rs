//! Enqueueing a job of whatever type.

use std::time::Duration;

use clap::Args;
use clap::ValueEnum;
use oxcart::{Enqueued, Error, JobId, OnFailure, Order, Retention};
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
    /// What the jobs behind it do when it fails; unless set otherwise they wait until it is dead
    #[arg(long, value_name = "WHAT", requires = "ordered_by")]
    on_failure: Option<Behind>,
    /// If another job of this name has this key, it is not enqueued
    #[arg(long, value_name = "KEY")]
    unique: Option<String>,
    /// It is cancelled if it has not started within this time
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    expires_in: Option<Duration>,
    /// How much its start counts against the rate of the queue
    #[arg(long, value_name = "N")]
    weight: Option<u32>,
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

/// What the jobs of an order do when the job before them fails.
#[derive(Clone, Copy, ValueEnum)]
enum Behind {
    /// They wait until it is completed or dead
    UntilDead,
    /// They wait, and if it dies, until it is replayed or removed
    Halt,
    /// They go on while it waits for its next attempt
    Pass,
}

impl From<Behind> for OnFailure {
    fn from(behind: Behind) -> Self {
        match behind {
            Behind::UntilDead => Self::UntilDead,
            Behind::Halt => Self::Halt,
            Behind::Pass => Self::Pass,
        }
    }
}

/// What is told if no answer came. The id was chosen before the job was sent, so a second call with it adds no second job.
fn unanswered(error: Error) -> Trouble {
    let id = error.job_id().filter(|_| error.is_unknown()).cloned();
    let trouble = Trouble::from(error);
    match id {
        Some(id) => trouble.hint(format!(
            "the job may be there. Repeat the command with `--id {id}`: then there is one, either way"
        )),
        None => trouble,
    }
}

/// See `schema/enqueued.json`.
#[derive(Serialize)]
struct View<'a> {
    queue: &'a str,
    id: &'a str,
    name: &'a str,
    /// It is new; otherwise a job of this id, or with the same unique key, was there already.
    new: bool,
}

impl Enqueue {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let payload = payload::read(&self.payload)?;
        let queue = session.queue_or_new(&self.queue, self.new_queue).await?;
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
            let order = Order::by(key);
            request = request.ordered_by(match self.on_failure {
                Some(behind) => order.on_failure(behind.into()),
                None => order,
            });
        }
        if let Some(key) = self.unique {
            request = request.unique(key);
        }
        if let Some(time) = self.expires_in {
            request = request.expires_in(time);
        }
        if let Some(weight) = self.weight {
            request = request.weight(weight);
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
        let job = request.await.map_err(unanswered)?;
        if self.new_queue {
            session.until_listed(&self.queue).await?;
        }
        let new = job.enqueued() == Enqueued::New;
        let (queue, id, name) = (&*self.queue, job.id().as_str(), &*self.name);
        let text = match job.enqueued() {
            Enqueued::New => format!("job {id} is in `{queue}`"),
            Enqueued::Duplicate => {
                format!("job {id} in `{queue}` has this unique key; nothing was enqueued")
            }
            _ => format!("job {id} was in `{queue}` already; nothing was enqueued"),
        };
        let view = View {
            queue,
            id,
            name,
            new,
        };
        match new {
            true => session.out.done(&view, text),
            false => session.out.nothing(&view, text),
        }
    }
}
