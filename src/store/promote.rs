//! Moves due jobs to the waiting ones.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!(
    "promote",
    always,
    [
        "now",
        "arguments",
        "whole",
        "stamp",
        "optional",
        "meta",
        "emit",
        "arm",
        "order",
        "record",
        "places",
        "enter",
        "promote"
    ]
);

/// One bounded round of promotion.
#[derive(Serialize)]
pub(crate) struct Promote {
    pub(crate) limit: usize,
}

impl Verb for Promote {
    /// How many were moved.
    type Answer = u64;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<u64, Trouble> {
        match reply.tag() {
            "promoted" => reply.number(),
            _ => reply.unexpected_tag(),
        }
    }
}
