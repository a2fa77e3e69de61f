//! Puts dead jobs back in line.

use redis::Cmd;

use crate::id::JobId;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{NoArguments, Verb, named};

static SCRIPT: Script = script!("replay");

/// Up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) dead jobs in one call.
pub(crate) struct Replay<'a> {
    pub(crate) ids: &'a [JobId],
}

impl Verb for Replay<'_> {
    /// The ids that were put back; the others are not on the dead-letter list.
    type Answer = Vec<String>;

    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, &NoArguments {});
        for id in self.ids {
            arguments.arg(id.as_str());
        }
    }

    fn answer(mut reply: Reply) -> Result<Vec<String>, Trouble> {
        match reply.tag() {
            "replayed" => reply.texts(),
            _ => reply.unexpected_tag(),
        }
    }
}
