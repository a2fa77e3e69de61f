//! Sends what was staged in a draft, and adds jobs in the same step.

use redis::Cmd;
use serde::Serialize;

use crate::id::JobId;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::enqueue::{NewJob, Position, append, named_of};
use crate::store::{Verb, named};

static SCRIPT: Script = script!("commit" in full);

/// All or nothing: the draft, and up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) jobs, all of which must be new.
pub(crate) struct Commit<'a> {
    /// The name of the queue itself.
    pub(crate) queue: &'a str,
    pub(crate) draft: &'a str,
    /// So many messages were staged.
    pub(crate) total: u64,
    /// For how long it is remembered that the draft was committed.
    pub(crate) keep_ms: u64,
    pub(crate) jobs: &'a [&'a NewJob],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Committed {
    /// Now, or by an earlier call for the same draft.
    Done {
        /// Nothing was ever added before: the queue is new, or was deleted.
        is_first: bool,
    },
    /// The draft is not there, or not with all of its messages. Nothing was done.
    Gone,
    /// The job at this position cannot be added: a job with its id, or this one with its unique key, is there. Nothing was done.
    Met { position: usize, id: JobId },
}

#[derive(Serialize)]
struct Arguments<'a> {
    queue: &'a str,
    draft: &'a str,
    total: u64,
    keep_ms: u64,
    jobs: usize,
    options: Vec<Position>,
    external: Vec<usize>,
}

impl Verb for Commit<'_> {
    type Answer = Committed;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let (options, external) = named_of(self.jobs);
        let names = Arguments {
            queue: self.queue,
            draft: self.draft,
            total: self.total,
            keep_ms: self.keep_ms,
            jobs: self.jobs.len(),
            options,
            external,
        };
        named(arguments, &names);
        append(self.jobs, arguments);
    }

    fn answer(mut reply: Reply) -> Result<Committed, Trouble> {
        match reply.tag() {
            "committed" => Ok(Committed::Done { is_first: false }),
            "first" => Ok(Committed::Done { is_first: true }),
            "gone" => Ok(Committed::Gone),
            "met" => Ok(Committed::Met {
                position: usize::try_from(reply.number()?).unwrap_or(usize::MAX),
                id: JobId::stored(&reply.text()?),
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
