//! Appends events to the log of a topic, each once.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("publish");

/// Up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) events, at least one, none twice. Those whose ids are among those that are kept are not added again.
pub(crate) struct Publish<'a> {
    /// Each with its id.
    pub(crate) events: &'a [(&'a str, &'a [u8])],
    /// Older events are dropped, and the oldest of more bytes.
    pub(crate) keep_ms: u64,
    pub(crate) keep_bytes: u64,
}

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: u64,
    /// It did not stand there before.
    pub(crate) is_new: bool,
}

#[derive(Serialize)]
struct Arguments<'a> {
    ids: Vec<&'a str>,
    keep_ms: u64,
    keep_bytes: u64,
}

impl Verb for Publish<'_> {
    type Answer = Vec<Place>;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let names = Arguments {
            ids: self.events.iter().map(|(id, _)| *id).collect(),
            keep_ms: self.keep_ms,
            keep_bytes: self.keep_bytes,
        };
        named(arguments, &names);
        for (_, event) in self.events {
            arguments.arg(event);
        }
    }

    fn answer(mut reply: Reply) -> Result<Vec<Place>, Trouble> {
        if reply.tag() != "published" {
            return reply.unexpected_tag();
        }
        let mut places = Vec::new();
        while !reply.is_over() {
            places.push(Place {
                position: reply.number()?,
                is_new: reply.number()? == 1,
            });
        }
        Ok(places)
    }
}
