//! All that is known of one job.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!(
    "get",
    reads,
    [
        "now",
        "arguments",
        "optional",
        "stamp",
        "attempts",
        "find",
        "lines",
        "shown",
        "describe",
    ]
);

/// Asks for one job.
#[derive(Serialize)]
pub(crate) struct Get<'a> {
    pub(crate) id: &'a str,
}

/// One job as Redis holds it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Found {
    /// As it is shown: a cancelled job is `cancelled`, wherever it lies.
    pub(crate) state: String,
    /// The place among the waiting, or a time in ms; what it means depends on the state.
    pub(crate) score: String,
    pub(crate) record: Vec<u8>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) claim: Option<Vec<u8>>,
    pub(crate) stalls: Option<Vec<u8>>,
    pub(crate) counters: Option<Vec<u8>>,
    pub(crate) history: Vec<Vec<u8>>,
    pub(crate) outcome: Option<Vec<u8>>,
    pub(crate) progress: Option<Vec<u8>>,
}

impl Verb for Get<'_> {
    type Answer = Option<Found>;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Option<Found>, Trouble> {
        match reply.tag() {
            "missing" => Ok(None),
            "found" => Ok(Some(Found::read(&mut reply)?)),
            _ => reply.unexpected_tag(),
        }
    }
}

impl Found {
    /// What `lib/describe.lua` says of a job.
    pub(crate) fn read(reply: &mut Reply) -> Result<Self, Trouble> {
        Ok(Self {
            state: reply.text()?,
            score: reply.text()?,
            record: reply.bytes()?,
            payload: reply.optional_bytes()?,
            claim: reply.optional_bytes()?,
            stalls: reply.optional_bytes()?,
            counters: reply.optional_bytes()?,
            history: reply.byte_strings()?,
            outcome: reply.optional_bytes()?,
            progress: reply.optional_bytes()?,
        })
    }
}
