//! Moves due jobs to the waiting ones.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("promote" in full);

/// One bounded round of promotion.
#[derive(Serialize)]
pub(crate) struct Promote<'a> {
    pub(crate) limit: usize,
    pub(crate) worker: &'a str,
    /// Whether this worker can see to the next tick.
    pub(crate) hold: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Promoted {
    pub(crate) now_ms: u64,
    /// How many were moved.
    pub(crate) moved: u64,
    /// The tick that this worker has to see to.
    pub(crate) tick_ms: Option<u64>,
    /// Whether the queue has schedules.
    pub(crate) schedules: bool,
}

impl Verb for Promote<'_> {
    type Answer = Promoted;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Promoted, Trouble> {
        match reply.tag() {
            "promoted" => Ok(Promoted {
                now_ms: reply.now_ms(),
                moved: reply.number()?,
                tick_ms: reply.optional_number()?,
                schedules: reply.number()? == 1,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
