//! Changes what is set for the queue.

use redis::Cmd;
use serde::Serialize;

use crate::policy::settings::Values;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("configure");

/// A change of settings. Settings that are not given stay as they are.
#[derive(Serialize)]
pub(crate) struct Configure<'a> {
    pub(crate) by: By,
    pub(crate) said: &'a Values,
}

/// On whose behalf they are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum By {
    Operator,
    /// A worker declares them: only what code did not declare the last time is changed.
    Code,
    /// A worker declares them again: only settings that are not stored as declared are changed, because they were lost.
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

    /// Another client may have changed it meanwhile.
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
