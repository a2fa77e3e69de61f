//! Adds jobs that are made of the entries of a log, each entry once.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::enqueue::{NewJob, Position, append, named_of};
use crate::store::{Verb, named};

static SCRIPT: Script = script!("feed" in full);

/// Up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) jobs; with none, and without `upto`, it only reads. Those whose positions the queue has passed are left out.
pub(crate) struct Feed<'a> {
    /// The name of the log.
    pub(crate) source: &'a str,
    /// Of each job that of its entry, rising, below 2^53.
    pub(crate) positions: &'a [u64],
    /// The position of the entry before these: the queue stands there, or further on, unless it has lost something.
    pub(crate) after: Option<u64>,
    /// The position of the last entry, where entries of which no job is made come behind the last job.
    pub(crate) upto: Option<u64>,
    /// Another one for each call, the same if it is repeated; without spaces.
    pub(crate) token: &'a str,
    /// So many sources are remembered.
    pub(crate) most: usize,
    pub(crate) jobs: &'a [&'a NewJob],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fed {
    Done {
        /// The position of the last job before this call; none before the first.
        before: Option<u64>,
        /// And now.
        now: Option<u64>,
        /// Nothing was ever added before: the queue is new, or was deleted.
        is_first: bool,
    },
    /// Too many sources. Nothing was done.
    Full,
    /// The queue stands before the entry before these. Nothing was done.
    Behind,
}

#[derive(Serialize)]
struct Arguments<'a> {
    source: &'a str,
    positions: &'a [u64],
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upto: Option<u64>,
    token: &'a str,
    most: usize,
    jobs: usize,
    options: Vec<Position>,
    external: Vec<usize>,
}

impl Verb for Feed<'_> {
    type Answer = Fed;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let (options, external) = named_of(self.jobs);
        let names = Arguments {
            source: self.source,
            positions: self.positions,
            after: self.after,
            upto: self.upto,
            token: self.token,
            most: self.most,
            jobs: self.jobs.len(),
            options,
            external,
        };
        named(arguments, &names);
        append(self.jobs, arguments);
    }

    fn answer(mut reply: Reply) -> Result<Fed, Trouble> {
        let is_first = match reply.tag() {
            "first" => true,
            "fed" => false,
            "full" => return Ok(Fed::Full),
            "behind" => return Ok(Fed::Behind),
            _ => return reply.unexpected_tag(),
        };
        Ok(Fed::Done {
            before: reply.optional_number()?,
            now: reply.optional_number()?,
            is_first,
        })
    }
}
