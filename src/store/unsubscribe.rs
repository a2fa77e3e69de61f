//! Removes a subscription of a topic.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("unsubscribe");

#[derive(Serialize)]
pub(crate) struct Unsubscribe<'a> {
    pub(crate) name: &'a str,
    /// Only if it has this number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<u64>,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) since: u64,
    pub(crate) queue: String,
}

impl Verb for Unsubscribe<'_> {
    type Answer = Option<Removed>;

    // A repeated call finds nothing to remove.
    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Option<Removed>, Trouble> {
        match reply.tag() {
            "unsubscribed" => Ok(Some(Removed {
                since: reply.number()?,
                queue: reply.text()?,
            })),
            "none" => Ok(None),
            _ => reply.unexpected_tag(),
        }
    }
}
