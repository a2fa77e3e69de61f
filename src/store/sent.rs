//! Deletes messages from the outbox that their target has taken.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("sent");

/// Those for `target` up to this position.
#[derive(Serialize)]
pub(crate) struct Sent<'a> {
    pub(crate) target: &'a str,
    pub(crate) position: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cleared {
    pub(crate) deleted: u64,
    /// How many messages are left, for any target.
    pub(crate) left: u64,
}

impl Verb for Sent<'_> {
    type Answer = Cleared;

    /// A second call deletes nothing.
    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Cleared, Trouble> {
        match reply.tag() {
            "sent" => Ok(Cleared {
                deleted: reply.number()?,
                left: reply.number()?,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
