//! Reads what comes next for a subscription of a topic, and notes how far its queue is.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("follow");

#[derive(Serialize)]
pub(crate) struct Follow<'a> {
    pub(crate) name: &'a str,
    pub(crate) since: u64,
    /// The queue has taken, or passed over, all events up to this position.
    pub(crate) after: u64,
    /// At most so many events, and no more once they have so many bytes.
    pub(crate) limit: usize,
    pub(crate) bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Followed {
    /// The subscription was removed.
    Gone,
    Page(Page),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// So many events have been dropped that the queue has not taken, as far as that was not said before.
    pub(crate) missed: u64,
    /// The position of the last event of the topic.
    pub(crate) last: u64,
    /// What the subscription wants.
    pub(crate) wants: Vec<u8>,
    pub(crate) events: Vec<Event>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) position: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Verb for Follow<'_> {
    type Answer = Followed;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Followed, Trouble> {
        match reply.tag() {
            "page" => {}
            "gone" => return Ok(Followed::Gone),
            _ => return reply.unexpected_tag(),
        }
        let mut page = Page {
            missed: reply.number()?,
            last: reply.number()?,
            wants: reply.bytes()?,
            events: Vec::new(),
        };
        while !reply.is_over() {
            page.events.push(Event {
                position: reply.number()?,
                bytes: reply.bytes()?,
            });
        }
        Ok(Followed::Page(page))
    }
}
