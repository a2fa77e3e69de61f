//! A queue learns that it is subscribed to a topic, or that it is no more.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("attach");

#[derive(Serialize)]
pub(crate) struct Attach<'a> {
    pub(crate) topic: &'a str,
    /// Number and name of the subscription.
    pub(crate) since: u64,
    pub(crate) name: &'a str,
    /// It is fed with what comes behind this position; none: it is subscribed no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<u64>,
    /// So many topics are allowed.
    pub(crate) most: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attached {
    Done,
    /// A later subscription of this name feeds the queue. Nothing was done.
    Stale,
    /// The subscription of this name feeds the queue from this topic. Nothing was done.
    Other(String),
    /// There are too many. Nothing was done.
    Full,
}

impl Verb for Attach<'_> {
    type Answer = Attached;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Attached, Trouble> {
        match reply.tag() {
            "attached" | "detached" => Ok(Attached::Done),
            "other" => Ok(Attached::Other(reply.text()?)),
            "full" => Ok(Attached::Full),
            "stale" => Ok(Attached::Stale),
            _ => reply.unexpected_tag(),
        }
    }
}

/// The name under which a queue knows how far it was fed from a topic. No log that users name has it.
pub(crate) fn source_of_topic(topic: &str, since: u64) -> String {
    format!("topic/{topic}/{since}")
}
