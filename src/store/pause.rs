//! Stops claims in the whole queue.

use redis::Cmd;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{NoArguments, Verb, named};

static SCRIPT: Script = script!("pause");

/// Stops claims in the whole queue.
pub(crate) struct Pause;

impl Verb for Pause {
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
            "paused" => Ok(reply.number()? == 1),
            _ => reply.unexpected_tag(),
        }
    }
}
