//! Finds the job that has waited for longest.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("oldest");

/// Looks at the jobs that may be it, and at no others.
#[derive(Serialize)]
pub(crate) struct Oldest {
    /// How many priorities are looked at, the least urgent ones.
    pub(crate) priorities: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) enqueued_ms: u64,
    pub(crate) now_ms: u64,
}

impl Verb for Oldest {
    type Answer = Option<Found>;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Option<Found>, Trouble> {
        match reply.tag() {
            "none" => Ok(None),
            "oldest" => Ok(Some(Found {
                now_ms: reply.now_ms(),
                id: reply.text()?,
                enqueued_ms: reply.number()?,
            })),
            _ => reply.unexpected_tag(),
        }
    }
}
