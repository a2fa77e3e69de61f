//! Stops claims of all jobs of one name, or lets them go on.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("pause_name");

/// Stops claims of all jobs of one name, or lets them go on.
#[derive(Serialize)]
pub(crate) struct PauseName<'a> {
    /// Encoded as keys are.
    pub(crate) name: &'a str,
    /// Whether its jobs are to be paused.
    pub(crate) pause: bool,
    /// So many names may be paused.
    pub(crate) most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Done {
        changed: bool,
    },
    /// Too many names are paused already.
    Full,
}

impl Verb for PauseName<'_> {
    type Answer = Answer;

    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Answer, Trouble> {
        match reply.tag() {
            "done" => Ok(Answer::Done {
                changed: reply.number()? == 1,
            }),
            "full" => Ok(Answer::Full),
            _ => reply.unexpected_tag(),
        }
    }
}
