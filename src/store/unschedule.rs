//! Removes a schedule.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("unschedule");

/// Removes one schedule; the jobs it has made stay.
#[derive(Serialize)]
pub(crate) struct Unschedule<'a> {
    pub(crate) name: &'a str,
}

impl Verb for Unschedule<'_> {
    /// Whether there was one.
    type Answer = bool;

    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<bool, Trouble> {
        match reply.tag() {
            "removed" => Ok(reply.number()? == 1),
            _ => reply.unexpected_tag(),
        }
    }
}
