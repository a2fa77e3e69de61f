//! Deletes the queue with all that it holds.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("delete");

/// Deletes all keys of the queue at once. Only the number of the last call of each lane stays, for `lanes_ms`:
/// a call that is repeated must not run a second time because the queue was deleted meanwhile.
#[derive(Serialize)]
pub(crate) struct Delete {
    /// Also if it holds jobs that have not ended, dead letters or schedules.
    pub(crate) all: bool,
    pub(crate) lanes_ms: u64,
}

/// What there was in the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Holdings {
    pub(crate) waiting: u64,
    pub(crate) blocked: u64,
    pub(crate) delayed: u64,
    pub(crate) active: u64,
    pub(crate) completed: u64,
    pub(crate) dead: u64,
    pub(crate) schedules: u64,
    /// Records of jobs that are in no list.
    pub(crate) lost: u64,
    /// Messages for other queues that are not carried yet.
    pub(crate) unsent: u64,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Deleted(Holdings),
    /// Nothing was done.
    NotEmpty(Holdings),
}

impl Verb for Delete {
    type Answer = Answer;

    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Answer, Trouble> {
        let answer = match reply.tag() {
            "deleted" => Answer::Deleted,
            "not_empty" => Answer::NotEmpty,
            _ => return reply.unexpected_tag(),
        };
        Ok(answer(Holdings {
            waiting: reply.number()?,
            blocked: reply.number()?,
            delayed: reply.number()?,
            active: reply.number()?,
            completed: reply.number()?,
            dead: reply.number()?,
            schedules: reply.number()?,
            lost: reply.number()?,
            unsent: reply.number()?,
        }))
    }
}
