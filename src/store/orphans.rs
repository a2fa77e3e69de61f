//! Finds records of jobs that are in no list, and puts the jobs back or removes them.

use redis::{Cmd, Value};
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("orphans" in full);

/// A page of all records.
#[derive(Serialize)]
pub(crate) struct Orphans<'a> {
    /// Where the last page ended; [`Orphans::FIRST`] at first.
    pub(crate) cursor: &'a str,
    /// About how many records are looked at.
    pub(crate) limit: usize,
    pub(crate) how: How,
    /// The lease of a job that a worker may have, if no worker has said how long its leases are.
    pub(crate) lease_ms: u64,
}

impl Orphans<'_> {
    pub(crate) const FIRST: &'static str = "0";
}

/// What is to be done with what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    Look,
    PutBack,
    Remove,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    /// The jobs that were found, put back or removed.
    pub(crate) ids: Vec<String>,
    pub(crate) cursor: String,
    /// There are more in this page.
    pub(crate) more: bool,
}

impl Verb for Orphans<'_> {
    type Answer = Found;

    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Found, Trouble> {
        if reply.tag() != "orphans" {
            return reply.unexpected_tag();
        }
        // Another program may have written an id that is no text: it is shown as far as possible.
        let name = |value: Value| match value {
            Value::BulkString(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            _ => None,
        };
        Ok(Found {
            ids: reply.list()?.into_iter().filter_map(name).collect(),
            cursor: reply.text()?,
            more: reply.number()? == 1,
        })
    }
}
