//! Stores replies of a job that runs, and tells the callers that wait for it.

use redis::Cmd;
use serde::Serialize;

use crate::id::{JobId, Receipt};
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("send_replies");

/// A job has no more replies than this, because they go with the job, and a call may delete many jobs. `lua/lib/job_replies.lua` has the same number.
pub(crate) const REPLIES_MAX: u64 = 1_000;

/// Replies of one job, in a row.
pub(crate) struct SendReplies<'a> {
    pub(crate) id: &'a JobId,
    pub(crate) receipt: &'a Receipt,
    /// The number of the first one within the job, from 1.
    pub(crate) first: u64,
    pub(crate) replies: &'a [Vec<u8>],
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Yes,
    LeaseLost,
    /// There would be more than a job may have.
    Full,
    /// The one before the first is not there: the job has so many.
    Gap(u64),
}

#[derive(Serialize)]
struct Arguments<'a> {
    id: &'a str,
    receipt: &'a str,
    first: u64,
}

impl Verb for SendReplies<'_> {
    type Answer = Sent;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let named_arguments = Arguments {
            id: self.id.as_str(),
            receipt: self.receipt.as_str(),
            first: self.first,
        };
        named(arguments, &named_arguments);
        for reply in self.replies {
            arguments.arg(reply);
        }
    }

    fn answer(mut reply: Reply) -> Result<Sent, Trouble> {
        match reply.tag() {
            "stored" => Ok(Sent::Yes),
            "lost" => Ok(Sent::LeaseLost),
            "full" => Ok(Sent::Full),
            "gap" => Ok(Sent::Gap(reply.number()?)),
            _ => reply.unexpected_tag(),
        }
    }
}
