//! Puts dead jobs back in line.

use redis::Cmd;

use crate::id::JobId;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{NoArguments, Verb, named};

static SCRIPT: Script = script!(
    "replay",
    grows,
    [
        "now", "whole", "optional", "meta", "settings", "stamp", "emit", "arm", "count", "order", "places",
        "due", "enter", "attempts", "lists", "find", "shown",
    ],
    rarely ["lines", "delayed", "room"]
);

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
                others: pairs(reply.texts()?),
            }),
            _ => reply.unexpected_tag(),
        }
    }
}

fn pairs(flat: Vec<String>) -> Vec<(String, String)> {
    let mut flat = flat.into_iter();
    std::iter::from_fn(|| Some((flat.next()?, flat.next()?))).collect()
}
