//! Adds messages to a draft: they go out together, when it is committed.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("stage");

/// Up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) messages.
pub(crate) struct Stage<'a> {
    /// An id that no other draft has.
    pub(crate) draft: &'a str,
    /// The number of the first of these messages within the draft, from 0; none is left out.
    pub(crate) first: u64,
    /// Targets, and messages.
    pub(crate) messages: &'a [(String, Vec<u8>)],
    /// For how long from now on the draft waits to be committed.
    pub(crate) keep_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Staged {
    Done,
    /// It was committed or dropped, or messages before these are missing: nothing was written.
    Gone,
}

#[derive(Serialize)]
struct Arguments<'a> {
    draft: &'a str,
    first: u64,
    targets: Vec<&'a str>,
    keep_ms: u64,
}

impl Verb for Stage<'_> {
    type Answer = Staged;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let targets = self.messages.iter().map(|(target, _)| target.as_str());
        let names = Arguments {
            draft: self.draft,
            first: self.first,
            targets: targets.collect(),
            keep_ms: self.keep_ms,
        };
        named(arguments, &names);
        for (_, message) in self.messages {
            arguments.arg(message);
        }
    }

    fn answer(reply: Reply) -> Result<Staged, Trouble> {
        match reply.tag() {
            "staged" => Ok(Staged::Done),
            "gone" => Ok(Staged::Gone),
            _ => reply.unexpected_tag(),
        }
    }
}
