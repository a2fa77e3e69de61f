//! Removes jobs for good.

use redis::Cmd;

use crate::id::JobId;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{NoArguments, Verb, named};

static SCRIPT: Script = script!("remove" in full);

/// Up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) jobs in one call.
pub(crate) struct Remove<'a> {
    pub(crate) ids: &'a [JobId],
}

#[derive(Debug, PartialEq)]
pub(crate) struct Removed {
    pub(crate) removed: Vec<String>,
    /// Ids of jobs that run, which were left alone.
    pub(crate) active: Vec<String>,
}

impl Verb for Remove<'_> {
    type Answer = Removed;

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

    fn answer(mut reply: Reply) -> Result<Removed, Trouble> {
        match reply.tag() {
            "removed" => Ok(Removed {
                removed: reply.texts()?,
                active: reply.texts()?,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
