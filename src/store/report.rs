//! A worker says what it is, and what it has counted, for those who look after the queue.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("report");

/// What a worker says of itself.
#[derive(Serialize)]
pub(crate) struct Report<'a> {
    /// Its id.
    pub(crate) worker: &'a str,
    /// For how long it has run.
    pub(crate) age_ms: u64,
    /// It stops, and is forgotten.
    pub(crate) stops: bool,
    /// It is forgotten if it says nothing for so long.
    pub(crate) ttl_ms: u64,
    /// So many workers are remembered.
    pub(crate) most: usize,
    /// The number of this report. What it has counted is counted once, however often the report comes.
    pub(crate) number: u64,
    #[serde(skip)]
    pub(crate) about: &'a [u8],
    /// What it has counted since the report before (`policy/tally.rs`).
    #[serde(skip)]
    pub(crate) lines: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Reported,
    /// Too many workers are remembered already.
    Full,
}

impl Verb for Report<'_> {
    type Answer = Answer;

    // A worker that has stopped is forgotten, with the number of its last report.
    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
        arguments.arg(self.about).arg(self.lines);
    }

    fn answer(reply: Reply) -> Result<Answer, Trouble> {
        match reply.tag() {
            "reported" => Ok(Answer::Reported),
            "full" => Ok(Answer::Full),
            _ => reply.unexpected_tag(),
        }
    }
}
