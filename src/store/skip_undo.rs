//! The undo of one step of a stuck saga is left out.

use redis::Cmd;
use serde::Serialize;

use crate::id::JobId;
use crate::policy::steps::{StepKind, encode_name};
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("skip_undo");

/// Somebody has undone this step by hand.
pub(crate) struct SkipUndo<'a> {
    pub(crate) id: &'a JobId,
    pub(crate) step: &'a str,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Skipped {
    Yes,
    /// There is no such job.
    Missing,
    /// It is no saga, or has no step of that name.
    NoStep,
    /// It is in this state, and not dead.
    InState(String),
    /// The step is not one that is to be undone.
    Is(StepKind),
}

#[derive(Serialize)]
struct Arguments<'a> {
    id: &'a str,
    name: String,
}

impl Verb for SkipUndo<'_> {
    type Answer = Skipped;

    /// Sent again, it hears that the undo is left out.
    const ANSWERS_AGAIN: bool = true;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let id = self.id.as_str();
        let name = encode_name(self.step);
        named(arguments, &Arguments { id, name });
    }

    fn answer(mut reply: Reply) -> Result<Skipped, Trouble> {
        match reply.tag() {
            "skipped" => Ok(Skipped::Yes),
            "missing" => Ok(Skipped::Missing),
            "no_step" => Ok(Skipped::NoStep),
            "state" => Ok(Skipped::InState(reply.text()?)),
            "kind" => {
                let kind = StepKind::parse(&reply.text()?);
                Ok(kind.map_or(Skipped::NoStep, Skipped::Is))
            }
            _ => reply.unexpected_tag(),
        }
    }
}
