//! Cancels jobs: those that wait end at once, those that run are asked to end.

use redis::Cmd;

use crate::codec;
use crate::id::JobId;
use crate::job::outcome::Ending;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{NoArguments, Verb, named};

static SCRIPT: Script = script!("cancel" in full);

/// Up to [`BATCH_JOBS`](crate::store::BATCH_JOBS) jobs in one call, for one reason.
pub(crate) struct Cancel<'a> {
    pub(crate) ids: &'a [JobId],
    pub(crate) reason: &'a str,
}

/// Ids in none of the lists are not known to the queue.
#[derive(Debug, PartialEq)]
pub(crate) struct Cancelled {
    pub(crate) cancelled: Vec<String>,
    /// Ids of jobs that run: a request is stored.
    pub(crate) running: Vec<String>,
    /// Ids of jobs that are in another state, and that state; they were left alone.
    pub(crate) others: Vec<(String, String)>,
    /// Messages for other queues were put into the outbox.
    pub(crate) has_sent: bool,
}

impl Cancel<'_> {
    /// What is stored as the outcome of each job.
    pub(crate) fn outcome(&self) -> Vec<u8> {
        codec::encode_plain(&Ending::Cancelled(self.reason.to_owned()))
    }
}

impl Verb for Cancel<'_> {
    type Answer = Cancelled;

    /// A second call says that the job has ended.
    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, &NoArguments {});
        arguments.arg(self.outcome());
        for id in self.ids {
            arguments.arg(id.as_str());
        }
    }

    fn answer(mut reply: Reply) -> Result<Cancelled, Trouble> {
        let has_sent = reply.tag() == "cancelled_sent";
        match reply.tag() {
            "cancelled" | "cancelled_sent" => Ok(Cancelled {
                cancelled: reply.texts()?,
                running: reply.texts()?,
                others: reply.text_pairs()?,
                has_sent,
            }),
            _ => reply.unexpected_tag(),
        }
    }
}
