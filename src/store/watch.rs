//! Asks for a job's outcome, and has it announced and kept if it is not there yet.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("watch");

/// Asks for the outcome of one job.
#[derive(Serialize)]
pub(crate) struct Watch<'a> {
    pub(crate) id: &'a str,
    /// For how long from now the caller waits.
    pub(crate) await_ms: u64,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Watched {
    Finished {
        /// How it ended, with the time it did.
        outcome: Vec<u8>,
        /// The last failed attempt, if there was one.
        last_attempt: Option<Vec<u8>>,
    },
    Pending,
    Missing,
}

impl Verb for Watch<'_> {
    type Answer = Watched;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Watched, Trouble> {
        match reply.tag() {
            "finished" => Ok(Watched::Finished {
                outcome: reply.bytes()?,
                last_attempt: reply.optional_bytes()?,
            }),
            "pending" => Ok(Watched::Pending),
            "missing" => Ok(Watched::Missing),
            _ => reply.unexpected_tag(),
        }
    }
}
