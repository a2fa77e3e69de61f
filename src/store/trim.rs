//! Drops what has been kept long enough.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("trim");

/// One bounded round of trimming.
#[derive(Serialize)]
pub(crate) struct Trim<'a> {
    pub(crate) limit: usize,
    /// Last calls of lanes that were silent for longer are forgotten.
    pub(crate) lane_ttl_ms: u64,
    /// Where the last round left off among the lanes; "0" at first.
    pub(crate) lanes_cursor: &'a str,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Trimmed {
    /// Jobs dropped.
    pub(crate) dropped: u64,
    /// Another round would find more.
    pub(crate) more: bool,
    pub(crate) lanes_cursor: String,
    /// Dead letters that are left.
    pub(crate) dead: u64,
    /// What is set for the queue is in a format that this version does not know: the defaults hold.
    pub(crate) unreadable: bool,
    /// Dead letters that were dropped because of what is set for the queue.
    pub(crate) dead_dropped: u64,
}

impl Verb for Trim<'_> {
    type Answer = Trimmed;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Trimmed, Trouble> {
        match reply.tag() {
            "trimmed" => Ok(Trimmed {
                dropped: reply.number()?,
                more: reply.number()? == 1,
                lanes_cursor: reply.text()?,
                dead: reply.number()?,
                unreadable: reply.number()? == 1,
                dead_dropped: reply.number()?,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
