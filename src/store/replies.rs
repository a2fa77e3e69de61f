//! Reads replies of a job, and how it ended; if it has not, what comes is announced.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::watch::Watched;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("replies");

/// Asks for the replies of one job, from a number on.
#[derive(Serialize)]
pub(crate) struct Replies<'a> {
    pub(crate) id: &'a str,
    /// The number of the first, from 1.
    pub(crate) from: u64,
    /// So many at most.
    pub(crate) most: usize,
    /// About so many bytes at most; one reply comes in any case.
    pub(crate) bytes: usize,
    /// For how long from now the caller waits.
    pub(crate) await_ms: u64,
}

#[derive(Debug, PartialEq)]
pub(crate) struct RepliesPage {
    /// How many replies the job has by now.
    pub(crate) total: u64,
    /// How it ended; none: it has, and there are further replies behind these.
    pub(crate) watched: Option<Watched>,
    /// In their order, without gaps.
    pub(crate) replies: Vec<Vec<u8>>,
}

impl Verb for Replies<'_> {
    type Answer = RepliesPage;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<RepliesPage, Trouble> {
        enum How {
            Finished,
            Pending,
            Missing,
        }
        let how = match reply.tag() {
            "finished" => How::Finished,
            "pending" => How::Pending,
            "missing" => How::Missing,
            _ => return reply.unexpected_tag(),
        };
        let total = reply.number()?;
        let (outcome, last_attempt) = (reply.bytes()?, reply.optional_bytes()?);
        let mut replies = Vec::new();
        while !reply.is_over() {
            replies.push(reply.bytes()?);
        }
        let watched = match how {
            How::Pending => Some(Watched::Pending),
            How::Missing => Some(Watched::Missing),
            How::Finished if outcome.is_empty() => None,
            How::Finished => Some(Watched::Finished {
                outcome,
                last_attempt,
            }),
        };
        Ok(RepliesPage {
            total,
            watched,
            replies,
        })
    }
}
