//! Removes dead jobs for good.

use redis::Cmd;

use crate::id::JobId;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{NoArguments, Verb, named};

static SCRIPT: Script = script!("purge" in full);

/// Up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) jobs in one call; those that are not dead are left alone.
pub(crate) struct Purge<'a> {
    pub(crate) ids: &'a [JobId],
}

#[derive(Debug, PartialEq)]
pub(crate) struct Purged {
    /// The ids of the jobs that were dead, and are gone.
    pub(crate) purged: Vec<String>,
}

impl Verb for Purge<'_> {
    type Answer = Purged;

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

    fn answer(mut reply: Reply) -> Result<Purged, Trouble> {
        match reply.tag() {
            "purged" => Ok(Purged {
                purged: reply.texts()?,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
