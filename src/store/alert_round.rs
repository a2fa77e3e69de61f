//! Begins a round in which alerts are judged.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("alert_round");

/// Asks for the next round.
#[derive(Serialize)]
pub(crate) struct AlertRound {
    /// How long a round lasts, unless it is kept for longer.
    pub(crate) every_ms: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// The round of this number, which is the caller's.
    Yes { now_ms: u64, number: u64 },
    /// Another round lasts for so long.
    Later { ms: u64 },
}

impl Verb for AlertRound {
    type Answer = Begun;

    /// A second call finds that a round has begun.
    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Begun, Trouble> {
        let now_ms = reply.now_ms();
        match reply.tag() {
            "begun" => Ok(Begun::Yes {
                now_ms,
                number: reply.number()?,
            }),
            "later" => Ok(Begun::Later {
                ms: reply.number()?,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
