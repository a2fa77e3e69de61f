//! Lets claims go on after a pause.

use redis::Cmd;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{NoArguments, Verb, named};

static SCRIPT: Script = script!("resume");

/// Lets claims go on after a pause.
pub(crate) struct Resume;

impl Verb for Resume {
    /// Whether that changed anything.
    type Answer = bool;

    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, &NoArguments {});
    }

    fn answer(mut reply: Reply) -> Result<bool, Trouble> {
        match reply.tag() {
            "resumed" => Ok(reply.number()? == 1),
            _ => reply.unexpected_tag(),
        }
    }
}
