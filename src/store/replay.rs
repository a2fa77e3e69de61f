//! Puts dead jobs back in line.

use redis::Cmd;

use crate::id::JobId;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{NoArguments, Verb, named};

/// In the place of the state of a job: it is dead, and another job has its unique key.
pub(crate) const DUPLICATE: &str = "duplicate";

static SCRIPT: Script = script!("replay" in full);

/// Up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) dead jobs in one call.
pub(crate) struct Replay<'a> {
    pub(crate) ids: &'a [JobId],
}

#[derive(Debug, PartialEq)]
pub(crate) struct Replayed {
    /// The ids that were put back in line.
    pub(crate) replayed: Vec<String>,
    /// Ids of jobs that are in another state, and that state; they were left alone.
    pub(crate) others: Vec<(String, String)>,
}

impl Verb for Replay<'_> {
    type Answer = Replayed;

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

    fn answer(mut reply: Reply) -> Result<Replayed, Trouble> {
        match reply.tag() {
            "replayed" => Ok(Replayed {
                replayed: reply.texts()?,
                others: reply.text_pairs()?,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
