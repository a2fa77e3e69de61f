//! Reads the log of a job.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("logs");

/// Asks for the lines that are kept of one job.
#[derive(Serialize)]
pub(crate) struct Logs<'a> {
    pub(crate) id: &'a str,
    /// Only lines with a higher number.
    pub(crate) after: u64,
}

impl Verb for Logs<'_> {
    /// Each line with its number, oldest first. A line is `<when, ms> <attempt> <fence> <number within the attempt> <text>`.
    type Answer = Vec<(u64, Vec<u8>)>;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Self::Answer, Trouble> {
        if reply.tag() != "logs" {
            return reply.unexpected_tag();
        }
        let lines = reply.number()?;
        let line = |_| Ok((reply.number()?, reply.bytes()?));
        (0..lines).map(line).collect()
    }
}
