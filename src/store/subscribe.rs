//! Subscribes a queue to a topic, or changes what a subscription wants.

use redis::Cmd;
use serde::{Serialize, Serializer};

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("subscribe");

pub(crate) struct Subscribe<'a> {
    pub(crate) name: &'a str,
    pub(crate) queue: &'a str,
    /// Where it begins, if it is new.
    pub(crate) start: Begin,
    /// What it wants of the events; opaque to scripts.
    pub(crate) wants: &'a [u8],
    /// So many subscriptions are allowed.
    pub(crate) most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Behind the last event.
    Now,
    /// With the first event that is kept.
    Kept,
    /// With the first event from this position on.
    From(u64),
}

impl Serialize for Begin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Now => serializer.serialize_str("now"),
            Self::Kept => serializer.serialize_str("kept"),
            Self::From(position) => serializer.serialize_u64(*position),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subscribed {
    Done {
        /// No other subscription of the topic has, or had, this number.
        since: u64,
        /// It goes on behind this position.
        position: u64,
        is_new: bool,
    },
    /// The subscription of this name has this queue. Nothing was done.
    Other(String),
    /// There are too many. Nothing was done.
    Full,
}

#[derive(Serialize)]
struct Arguments<'a> {
    name: &'a str,
    queue: &'a str,
    start: Begin,
    most: usize,
}

impl Verb for Subscribe<'_> {
    type Answer = Subscribed;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let names = Arguments {
            name: self.name,
            queue: self.queue,
            start: self.start,
            most: self.most,
        };
        named(arguments, &names);
        arguments.arg(self.wants);
    }

    fn answer(mut reply: Reply) -> Result<Subscribed, Trouble> {
        let is_new = match reply.tag() {
            "subscribed" => true,
            "known" => false,
            "other" => return Ok(Subscribed::Other(reply.text()?)),
            "full" => return Ok(Subscribed::Full),
            _ => return reply.unexpected_tag(),
        };
        Ok(Subscribed::Done {
            since: reply.number()?,
            position: reply.number()?,
            is_new,
        })
    }
}
