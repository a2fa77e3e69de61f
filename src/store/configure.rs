//! Changes what is set for the queue.

use redis::Cmd;
use serde::Serialize;

use crate::policy::settings::Values;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("configure");

/// A change of settings. What is not said stays as it is.
#[derive(Serialize)]
pub(crate) struct Configure<'a> {
    pub(crate) by: By,
    pub(crate) said: &'a Values,
}

/// Who changes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum By {
    Operator,
    /// A worker declares them: only what code did not declare the last time is changed.
    Code,
    /// It declares them again: only what is not known to have been declared, which was lost, is changed.
    Again,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Configured {
    /// The texts that are stored, empty for nothing (`policy/settings.rs` reads them).
    Done {
        before: String,
        after: String,
        declared: String,
    },
    /// What stands there is in a format that this version does not know: nothing was done.
    Unreadable,
}

impl Verb for Configure<'_> {
    type Answer = Configured;

    /// Somebody else may have changed it meanwhile.
    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Configured, Trouble> {
        match reply.tag() {
            "configured" => Ok(Configured::Done {
                before: reply.text()?,
                after: reply.text()?,
                declared: reply.text()?,
            }),
            "unreadable" => Ok(Configured::Unreadable),
            _ => reply.unexpected_tag(),
        }
    }
}
