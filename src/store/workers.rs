//! Which workers have reported lately.

use redis::{Cmd, Value};
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("workers");

/// A page of the workers.
#[derive(Serialize)]
pub(crate) struct Workers<'a> {
    /// Where the last page ended; [`Workers::FIRST`] at first.
    pub(crate) cursor: &'a str,
    /// About how many are read.
    pub(crate) limit: usize,
}

impl Workers<'_> {
    pub(crate) const FIRST: &'static str = "0";
}

#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    /// Where the next page begins; [`Workers::FIRST`] if this was the last one.
    pub(crate) cursor: String,
    pub(crate) workers: Vec<Said>,
}

/// What a worker has said of itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Said {
    /// The id of the worker.
    pub(crate) worker: String,
    /// Since when it runs, and when it said so (ms).
    pub(crate) since_ms: u64,
    pub(crate) at_ms: u64,
    /// The number of its last report.
    pub(crate) number: u64,
    pub(crate) about: Vec<u8>,
}

impl Said {
    /// As it is stored: the two moments, the number, and what the worker said.
    fn parse(worker: Value, text: Value) -> Option<Self> {
        let (Value::BulkString(worker), Value::BulkString(text)) = (worker, text) else {
            return None;
        };
        let mut parts = text.splitn(4, |byte| *byte == b' ');
        let mut next = || str::from_utf8(parts.next()?).ok()?.parse().ok();
        let (since_ms, at_ms, number) = (next()?, next()?, next()?);
        Some(Self {
            worker: String::from_utf8(worker).ok()?,
            since_ms,
            at_ms,
            number,
            about: parts.next()?.to_vec(),
        })
    }
}

impl Verb for Workers<'_> {
    type Answer = Found;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Found, Trouble> {
        if reply.tag() != "workers" {
            return reply.unexpected_tag();
        }
        let cursor = reply.text()?;
        let mut values = reply.list()?.into_iter();
        let mut workers = Vec::new();
        // What another program has written there is passed over.
        while let (Some(worker), Some(text)) = (values.next(), values.next()) {
            workers.extend(Said::parse(worker, text));
        }
        Ok(Found { cursor, workers })
    }
}
