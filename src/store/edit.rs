//! Changes a job that waits or is delayed, or the record of a dead one.

use redis::Cmd;
use serde::Serialize;

use crate::id::JobId;
use crate::job::record::NewPayload;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::enqueue::Due;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("edit" in full);

/// What is to become of one job.
pub(crate) struct Edit<'a> {
    pub(crate) id: &'a JobId,
    pub(crate) priority: Option<u16>,
    pub(crate) due: Option<Due>,
    pub(crate) rewrite: Option<Rewrite<'a>>,
}

/// Another record.
pub(crate) struct Rewrite<'a> {
    /// The record as it was read: if it is another one by now, nothing is changed.
    pub(crate) seen: &'a [u8],
    /// What is to stand behind the place.
    pub(crate) rest: &'a [u8],
    pub(crate) payload: &'a NewPayload,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Edited {
    Done,
    /// The record is not as it was read.
    Changed,
    /// It runs or has ended.
    InState(String),
    Missing,
    /// The job has an order, which decides when it runs: its priority stays.
    Ordered,
}

#[derive(Serialize)]
struct Arguments<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u16>,
    due: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_ms: Option<u64>,
    rewrite: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'static str>,
}

impl Verb for Edit<'_> {
    type Answer = Edited;

    /// A second call may find that the record has changed, by the first one.
    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let (delay_ms, at_ms) = match self.due {
            None | Some(Due::Now) => (None, None),
            Some(Due::After { ms }) => (Some(ms), None),
            Some(Due::At { ms }) => (None, Some(ms)),
        };
        let payload = self.rewrite.as_ref().map(|rewrite| rewrite.payload);
        named(
            arguments,
            &Arguments {
                id: self.id.as_str(),
                priority: self.priority,
                due: self.due.is_some(),
                delay_ms,
                at_ms,
                rewrite: self.rewrite.is_some(),
                payload: match payload {
                    None | Some(NewPayload::Unchanged) => None,
                    Some(NewPayload::Inline) => Some("inline"),
                    Some(NewPayload::Apart(_)) => Some("apart"),
                },
            },
        );
        if let Some(rewrite) = &self.rewrite {
            arguments.arg(rewrite.seen).arg(rewrite.rest);
            if let NewPayload::Apart(payload) = rewrite.payload {
                arguments.arg(payload);
            }
        }
    }

    fn answer(mut reply: Reply) -> Result<Edited, Trouble> {
        match reply.tag() {
            "edited" => Ok(Edited::Done),
            "changed" => Ok(Edited::Changed),
            "state" => Ok(Edited::InState(reply.text()?)),
            "missing" => Ok(Edited::Missing),
            "ordered" => Ok(Edited::Ordered),
            _ => reply.unexpected_tag(),
        }
    }
}
