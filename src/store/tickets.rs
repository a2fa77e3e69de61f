//! Asks which payloads in a store are still those of their jobs.

use redis::Cmd;
use serde::{Serialize, Serializer};

use crate::id::JobId;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("tickets");

/// Asks for up to 256 of them.
#[derive(Serialize)]
pub(crate) struct Tickets<'a> {
    #[serde(serialize_with = "as_pairs")]
    pub(crate) tickets: &'a [TicketOf<'a>],
}

/// A job, and the name of an object that it has, or had.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TicketOf<'a> {
    pub(crate) id: &'a JobId,
    pub(crate) object: &'a str,
}

fn as_pairs<S: Serializer>(tickets: &&[TicketOf<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(tickets.iter().map(|one| (one.id.as_str(), one.object)))
}

impl Verb for Tickets<'_> {
    /// The positions of those that jobs still have.
    type Answer = Vec<usize>;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Self::Answer, Trouble> {
        if reply.tag() != "tickets" {
            return reply.unexpected_tag();
        }
        let held = reply.number()?;
        let position = |_| Ok(usize::try_from(reply.number()?).unwrap_or(usize::MAX));
        (0..held).map(position).collect()
    }
}
