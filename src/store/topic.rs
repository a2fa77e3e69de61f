//! What is known of a topic.

use redis::Cmd;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{NoArguments, Verb, named};

static SCRIPT: Script = script!("topic");

/// Asks for the log, and all subscriptions.
pub(crate) struct Topic;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) now_ms: u64,
    pub(crate) is_there: bool,
    /// Position and number of the last event.
    pub(crate) last: u64,
    pub(crate) last_number: u64,
    /// Of the events that are kept.
    pub(crate) bytes: u64,
    pub(crate) kept: u64,
    /// The position of the first of these.
    pub(crate) first: Option<u64>,
    pub(crate) subscriptions: Vec<Standing>,
}

/// How a subscription stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) name: String,
    pub(crate) since: u64,
    pub(crate) queue: String,
    /// The queue has taken, or passed over, all events up to here.
    pub(crate) position: u64,
    pub(crate) number: u64,
    pub(crate) missed: u64,
    pub(crate) wants: Vec<u8>,
    /// The position of the next event that is kept.
    pub(crate) next: Option<u64>,
}

impl Verb for Topic {
    type Answer = Found;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, &NoArguments {});
    }

    fn answer(mut reply: Reply) -> Result<Found, Trouble> {
        if reply.tag() != "topic" {
            return reply.unexpected_tag();
        }
        let mut found = Found {
            now_ms: reply.now_ms(),
            is_there: reply.number()? > 0,
            last: reply.number()?,
            last_number: reply.number()?,
            bytes: reply.number()?,
            kept: reply.number()?,
            first: reply.optional_number()?,
            subscriptions: Vec::new(),
        };
        while !reply.is_over() {
            found.subscriptions.push(Standing {
                name: reply.text()?,
                since: reply.number()?,
                queue: reply.text()?,
                position: reply.number()?,
                number: reply.number()?,
                missed: reply.number()?,
                wants: reply.bytes()?,
                next: reply.optional_number()?,
            });
        }
        Ok(found)
    }
}
