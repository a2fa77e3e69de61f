//! Jobs that leave a queue as CloudEvents, and CloudEvents that become jobs.

use std::cell::Cell;
use std::time::Duration;

use clap::Args;
use oxcart::{Enqueued, Error, JobState, Queue};

use super::{state, wanted};
use crate::jobs::cloud_events::{self, Event};
use crate::jobs::filter::Filter;
use crate::jobs::json_file::{Output, Words};
use crate::jobs::scan::number;
use crate::jobs::steps::{self, Tally};
use crate::session::Session;
use crate::term::interrupt::Interrupt;
use crate::term::look::jobs;
use crate::term::progress::Progress;
use crate::text::duration;
use crate::trouble::{Exit, Trouble};

/// They stay where they are. Each line is a CloudEvent 1.0 in JSON: what the job says, and not how it stands. State, priority, attempts, group
/// and due time are not in it. To put dead jobs back as they were, use `oxcart dead export`.
#[derive(Args)]
pub(crate) struct Export {
    queue: String,
    /// A file that is written, or - for stdout
    #[arg(default_value = "-")]
    file: String,
    /// Only jobs in these states: active, waiting, blocked, delayed, dead, completed, cancelled
    #[arg(long, short, value_name = "STATE", value_delimiter = ',', value_parser = state)]
    state: Vec<JobState>,
    /// With the secret fields of payloads; that is noted in the audit. Without them such a job cannot be imported
    #[arg(long)]
    reveal: bool,
    #[command(flatten)]
    filter: Filter,
}

/// The id of the event is the id of the job. One whose id is there already is left alone: a file can be imported twice. Nobody checks that the data
/// is what jobs of this type have.
#[derive(Args)]
pub(crate) struct Import {
    queue: String,
    /// A file with a CloudEvent in each line, or with one JSON array of them, or - for stdin
    file: String,
    /// 0 (most urgent) to 1023
    #[arg(long)]
    priority: Option<u16>,
    /// How often each is tried
    #[arg(long)]
    attempts: Option<u32>,
    /// Run no earlier than in this time: 10m
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    delay: Option<Duration>,
    /// How long one attempt may take
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// The queue may be one that does not exist yet
    #[arg(long)]
    new_queue: bool,
}

impl Export {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let queue = session.queue(&self.queue).await?;
        let states = wanted(&self.state);
        let most = number(&queue.counts().await?, &states);
        let mut output = Output::open(session, &self.file).await?;
        if self.reveal {
            let states: Vec<_> = states.iter().map(|state| state.as_str()).collect();
            let target = format!("export of jobs: {}, {}", states.join(" "), self.filter);
            queue.note_in_audit("reveal", &target).await?;
        }
        let interrupt = Interrupt::listen();
        let mut progress = Progress::new("export", most);
        let (mut done, mut newer, mut elsewhere, mut no_json) = (0, 0, 0, 0);
        for state in states {
            let mut after = None;
            loop {
                let mut request = self.filter.ask(queue.jobs(state));
                if let Some(cursor) = after {
                    request = request.after(cursor);
                }
                let page = request.await?;
                newer += page.unreadable.len() as u64;
                progress.advance((page.jobs.len() + page.unreadable.len()) as u64);
                for job in page.jobs.into_iter().filter(|job| self.filter.passes(job)) {
                    if job.ticket().is_some() {
                        elsewhere += 1;
                        continue;
                    }
                    match cloud_events::of(&queue, job, self.reveal)? {
                        Some(event) => {
                            output.write(session, &event)?;
                            done += 1;
                        }
                        None => no_json += 1,
                    }
                }
                if interrupt.is_pressed() {
                    drop(progress);
                    let message =
                        format!("interrupted: {} exported; nothing was changed", jobs(done));
                    return Err(Trouble::new(Exit::Interrupted, message));
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        drop(progress);
        for (left_out, why) in [
            (newer, "a newer version wrote them"),
            (elsewhere, "their payloads are in a store of objects"),
            (no_json, "JSON cannot say what their payloads hold"),
        ] {
            if left_out > 0 {
                let left_out = jobs(left_out);
                session.out.note(format_args!("{left_out} left out: {why}"));
            }
        }
        let left_out = newer + elsewhere + no_json;
        steps::tell_exported(session, output, &self.queue, (done, left_out))
    }
}

impl Import {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Trouble> {
        let queue = session.queue_or_new(&self.queue, self.new_queue).await?;
        let words = Words {
            value: "CloudEvent",
            action: "import",
            past: "imported",
            number: jobs,
        };
        let is_noted = Cell::new(false);
        let taken = cloud_events::take(&self.file, &words, async |events| {
            if !is_noted.replace(true) {
                queue.note_in_audit("import", "CloudEvents").await?;
            }
            self.enqueue(&queue, events).await
        });
        let taken = taken.await?;
        if self.new_queue && taken.all() > 0 {
            session.until_listed(&self.queue).await?;
        }
        let tally = Tally::imported(&self.queue, taken);
        steps::tell(session, &tally, words.past)
    }

    /// Says how many of them are new.
    async fn enqueue(&self, queue: &Queue, events: Vec<Event>) -> Result<u64, Error> {
        let requests = events.into_iter().map(|event| {
            let mut request = queue.enqueue_event(event);
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
            request
        });
        let jobs = queue.enqueue_many(requests).await?;
        let new = jobs.iter().filter(|job| job.enqueued() == Enqueued::New);
        Ok(new.count() as u64)
    }
}
