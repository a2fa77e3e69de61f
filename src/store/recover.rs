//! Takes back jobs whose lease ran out.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!(
    "recover",
    always,
    [
        "now", "arguments", "whole", "optional", "meta",
    ],
    rarely [ "stamp", "emit", "arm", "count", "order", "places", "due",
        "enter", "lines", "delayed", "room", "claims", "held", "attempts",
        "finish", "forget", "bury",
    ]
);

/// One bounded round of recovery.
#[derive(Serialize)]
pub(crate) struct Recover {
    /// What the server's clock shows, as far as the caller knows.
    pub(crate) expected_ms: u64,
    /// By how much the caller may be wrong.
    pub(crate) tolerance_ms: u64,
    pub(crate) limit: usize,
    pub(crate) max_stalls: u32,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Recovered {
    Done {
        now_ms: u64,
        stalled: Vec<String>,
        dead: Vec<String>,
    },
    /// The clock jumped or Redis was away: no lease was judged.
    Unsure { now_ms: u64 },
}

impl Verb for Recover {
    type Answer = Recovered;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Recovered, Trouble> {
        let now_ms = reply.now_ms();
        match reply.tag() {
            "recovered" => Ok(Recovered::Done {
                now_ms,
                stalled: reply.texts()?,
                dead: reply.texts()?,
            }),
            "unsure" => Ok(Recovered::Unsure { now_ms }),
            _ => reply.unexpected_tag(),
        }
    }
}
