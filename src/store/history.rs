//! What was counted in some minutes.

use redis::{Cmd, Value};
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("history");

/// Asks for the minutes one after the other.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct History {
    /// How many minutes ago the first of them is.
    pub(crate) from: u64,
    /// So many, not more than `from` and one.
    pub(crate) limit: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) now_ms: u64,
    /// Each as it is stored, or empty. It may be the same minute of an earlier day.
    pub(crate) minutes: Vec<String>,
}

impl Verb for History {
    type Answer = Found;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Found, Trouble> {
        if reply.tag() != "history" {
            return reply.unexpected_tag();
        }
        // Another program may have written what is no text.
        let text = |value: Value| match value {
            Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            _ => String::new(),
        };
        Ok(Found {
            now_ms: reply.now_ms(),
            minutes: reply.list()?.into_iter().map(text).collect(),
        })
    }
}
