//! Removes jobs for good.

use redis::Cmd;
use serde::Serialize;

use crate::id::JobId;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("remove" in full);

/// Up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) jobs in one call.
pub(crate) struct Remove<'a> {
    pub(crate) ids: &'a [JobId],
    /// The state in which they must be; `None` for any.
    pub(crate) only_in: Option<&'static str>,
}

impl<'a> Remove<'a> {
    /// These jobs, whatever their state.
    pub(crate) fn of(ids: &'a [JobId]) -> Self {
        Self { ids, only_in: None }
    }
}

#[derive(Serialize)]
struct Names {
    #[serde(skip_serializing_if = "Option::is_none")]
    only_in: Option<&'static str>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Removed {
    pub(crate) removed: Vec<String>,
    /// Ids of jobs that run, which were left alone.
    pub(crate) active: Vec<String>,
    /// Ids of jobs that are in another state than they must be, and that state.
    pub(crate) others: Vec<(String, String)>,
    /// Messages for other queues were put into the outbox.
    pub(crate) has_sent: bool,
}

impl Verb for Remove<'_> {
    type Answer = Removed;

    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let only_in = self.only_in;
        named(arguments, &Names { only_in });
        for id in self.ids {
            arguments.arg(id.as_str());
        }
    }

    fn answer(mut reply: Reply) -> Result<Removed, Trouble> {
        match reply.tag() {
            "removed" => Ok(Removed {
                removed: reply.texts()?,
                active: reply.texts()?,
                others: reply.text_pairs()?,
                has_sent: reply.number()? > 0,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
