//! Workers: who works on which queue, and what runs.

use clap::{Args, Subcommand};
use oxcart::{RunningJob, WorkerInfo};
use serde::Serialize;

use crate::session::Session;
use crate::term::look::Tint;
use crate::term::out::Out;
use crate::term::table::{Cell, Table, number, text};
use crate::text::when::{ago, now};
use crate::trouble::Trouble;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Who works on which queue, with which handlers, and how much runs
    #[command(visible_alias = "list")]
    Ls(List),
}

/// A worker that died is shown for 150 s after it was last seen; one that was started is shown within a second.
#[derive(Args)]
pub(crate) struct List {
    /// The workers of these queues; of all of them, if none is named
    queues: Vec<String>,
}

/// See `schema/worker.json`.
#[derive(Serialize)]
struct View<'a> {
    queue: &'a str,
    worker: &'a str,
    host: &'a str,
    process: u32,
    version: &'a str,
    concurrency: u64,
    handlers: &'a [String],
    unnamed_handlers: u64,
    started_at: String,
    seen_at: String,
    running: Vec<Running<'a>>,
}

#[derive(Serialize)]
struct Running<'a> {
    id: &'a str,
    name: &'a str,
    claimed_at: Option<String>,
}

impl<'a> View<'a> {
    fn new(queue: &'a str, worker: &'a WorkerInfo) -> Self {
        let running = |job: &'a RunningJob| Running {
            id: job.id.as_str(),
            name: &job.name,
            claimed_at: job.claimed_at.map(|at| at.to_string()),
        };
        Self {
            queue,
            worker: &worker.id,
            host: &worker.host,
            process: worker.process,
            version: &worker.version,
            concurrency: worker.concurrency,
            handlers: &worker.handlers,
            unnamed_handlers: worker.unnamed_handlers,
            started_at: worker.started_at.to_string(),
            seen_at: worker.seen_at.to_string(),
            running: worker.running.iter().map(running).collect(),
        }
    }
}

pub(crate) async fn run(verb: Verb, session: &mut Session) -> Result<(), Trouble> {
    let Verb::Ls(List { queues }) = verb;
    let mut found = Vec::new();
    let mut of = Vec::new();
    for name in &queues {
        of.push(session.queue(name).await?);
    }
    if queues.is_empty() {
        for name in session.oxcart.queues().await? {
            of.push(session.oxcart.queue(&name)?);
        }
    }
    for queue in of {
        let workers = queue.workers().await?.into_iter();
        found.extend(workers.map(|worker| (queue.name().to_owned(), worker)));
    }
    let out = &mut session.out;
    if out.json {
        return found
            .iter()
            .try_for_each(|(queue, worker)| out.json(&View::new(queue, worker)));
    }
    table(out, &found)
}

fn table(out: &mut Out, found: &[(String, WorkerInfo)]) -> Result<(), Trouble> {
    let mut table = Table::new([
        text("QUEUE"),
        text("HOST"),
        number("PROCESS"),
        number("RUNS"),
        number("OF"),
        text("STARTED"),
        text("SEEN").optional(1),
        text("VERSION").optional(2),
        text("HANDLERS"),
    ]);
    let now = now();
    for (queue, worker) in found {
        let runs = worker.running.len() as u64;
        let mut handlers = worker.handlers.join(", ");
        if worker.unnamed_handlers > 0 {
            handlers.push_str(&format!(", and {} more", worker.unnamed_handlers));
        }
        table.row([
            Cell::new(Tint::Strong, queue.as_str()),
            Cell::plain(worker.host.as_str()),
            Cell::plain(worker.process.to_string()),
            Cell::new(Tint::Busy.unless_zero(runs), out.count(runs)),
            Cell::plain(out.count(worker.concurrency)),
            Cell::plain(ago(worker.started_at, now)),
            Cell::plain(ago(worker.seen_at, now)),
            Cell::plain(worker.version.as_str()),
            Cell::plain(handlers.as_str()),
        ]);
    }
    if table.is_empty() {
        out.note("no worker runs; one that was started is shown after a second");
        return Ok(());
    }
    table.print(out)
}
