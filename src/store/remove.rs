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
    /// If no attempt of them may have left anything since they were read: the counters of each as they were then, empty for none.
    pub(crate) seen: Option<&'a [Vec<u8>]>,
}

impl<'a> Remove<'a> {
    /// These jobs, whatever their state.
    pub(crate) fn of(ids: &'a [JobId]) -> Self {
        Self {
            ids,
            only_in: None,
            seen: None,
        }
    }
}

#[derive(Serialize)]
struct Names {
    #[serde(skip_serializing_if = "Option::is_none")]
    only_in: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    seen: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Removed {
    pub(crate) removed: Vec<String>,
    /// Ids of jobs that run, which were left alone.
    pub(crate) active: Vec<String>,
    /// Ids of jobs that are in another state than they must be, or have run since they were read, and their state.
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
        let seen = self.seen.is_some();
        named(arguments, &Names { only_in, seen });
        for id in self.ids {
            arguments.arg(id.as_str());
        }
        for counters in self.seen.unwrap_or_default() {
            arguments.arg(counters.as_slice());
        }
    }

    fn answer(mut reply: Reply) -> Result<Removed, Trouble> {
        let has_sent = reply.tag() == "removed_sent";
        match reply.tag() {
            "removed" | "removed_sent" => Ok(Removed {
                removed: reply.texts()?,
                active: reply.texts()?,
                others: reply.text_pairs()?,
                has_sent,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
