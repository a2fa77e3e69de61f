//! Appends lines to the log of a job that runs.

use redis::Cmd;
use serde::Serialize;

use crate::id::{Fence, JobId, Receipt};
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("log");

/// Some lines of one attempt, at most as many as are kept.
pub(crate) struct Log<'a> {
    pub(crate) id: &'a JobId,
    pub(crate) receipt: &'a Receipt,
    /// Which attempt it is.
    pub(crate) attempt: u32,
    pub(crate) fence: Fence,
    /// The number of the first line within the attempt, from 1.
    pub(crate) first: u64,
    pub(crate) lines: &'a [Line],
}

#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// For how long it has waited to be sent.
    pub(crate) age_ms: u64,
    pub(crate) text: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Logged {
    Yes,
    LeaseLost,
}

#[derive(Serialize)]
struct Arguments<'a> {
    id: &'a str,
    receipt: &'a str,
    attempt: u32,
    fence: String,
    first: u64,
    ages_ms: Vec<u64>,
}

impl Verb for Log<'_> {
    type Answer = Logged;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let named_arguments = Arguments {
            id: self.id.as_str(),
            receipt: self.receipt.as_str(),
            attempt: self.attempt,
            fence: self.fence.get().to_string(),
            first: self.first,
            ages_ms: self.lines.iter().map(|line| line.age_ms).collect(),
        };
        named(arguments, &named_arguments);
        for line in self.lines {
            arguments.arg(&line.text);
        }
    }

    fn answer(reply: Reply) -> Result<Logged, Trouble> {
        match reply.tag() {
            "logged" => Ok(Logged::Yes),
            "lost" => Ok(Logged::LeaseLost),
            _ => reply.unexpected_tag(),
        }
    }
}
