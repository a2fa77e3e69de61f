//! What queues have for other queues.

use clap::{Args, Subcommand};
use oxcart::Outgoing;
use serde::Serialize;

use crate::session::Session;
use crate::term::look::Tint;
use crate::term::out::Out;
use crate::term::table::{Cell, Table, number, text};
use crate::text::when::{ago, now};
use crate::trouble::Trouble;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// The messages that wait for other queues: how many, for which, and since when
    #[command(visible_alias = "list")]
    Ls(List),
}

/// Workers of a queue carry its messages within moments. Usually there are none.
#[derive(Args)]
pub(crate) struct List {
    /// The outboxes of these queues; of all of them, if none is named
    queues: Vec<String>,
}

/// See `schema/outgoing.json`.
#[derive(Serialize)]
struct View<'a> {
    queue: &'a str,
    to: &'a str,
    messages: u64,
    since: String,
}

pub(crate) async fn run(verb: Verb, session: &mut Session) -> Result<(), Trouble> {
    let Verb::Ls(List { queues }) = verb;
    let mut of = Vec::new();
    for name in &queues {
        of.push(session.queue(name).await?);
    }
    if queues.is_empty() {
        for name in session.oxcart.queues().await? {
            of.push(session.oxcart.queue(&name)?);
        }
    }
    let mut found = Vec::new();
    for queue in of {
        let outgoing = queue.outbox().await?.into_iter();
        found.extend(outgoing.map(|outgoing| (queue.name().to_owned(), outgoing)));
    }
    let out = &mut session.out;
    if out.json {
        return found.iter().try_for_each(|(queue, outgoing)| {
            out.json(&View {
                queue,
                to: &outgoing.queue,
                messages: outgoing.messages,
                since: outgoing.since.to_string(),
            })
        });
    }
    table(out, &found)
}

fn table(out: &mut Out, found: &[(String, Outgoing)]) -> Result<(), Trouble> {
    if found.is_empty() {
        out.note("no message waits for another queue");
        return Ok(());
    }
    let mut table = Table::new([
        text("QUEUE"),
        number("MESSAGES"),
        text("OLDEST"),
        text("FOR"),
    ]);
    let now = now();
    for (queue, outgoing) in found {
        table.row([
            Cell::new(Tint::Strong, queue.as_str()),
            Cell::new(Tint::Held, out.count(outgoing.messages)),
            Cell::plain(ago(outgoing.since, now)),
            Cell::plain(outgoing.queue.as_str()),
        ]);
    }
    table.print(out)
}
