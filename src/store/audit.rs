//! What operators do: notes an entry, and reads the last ones.

use redis::Cmd;
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("audit");

/// Notes, reads, or both.
pub(crate) struct Audit<'a> {
    /// An entry that is noted.
    pub(crate) note: Option<&'a [u8]>,
    /// How many entries are read at most, the last ones first.
    pub(crate) limit: usize,
    /// Only entries with a lower number, from 1.
    pub(crate) before: Option<u64>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Noted {
    pub(crate) number: u64,
    pub(crate) at_ms: u64,
    pub(crate) entry: Vec<u8>,
}

#[derive(Serialize)]
struct Arguments {
    limit: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<u64>,
}

impl Verb for Audit<'_> {
    type Answer = Vec<Noted>;

    /// A second call would note it twice.
    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        let (limit, before) = (self.limit, self.before);
        named(arguments, &Arguments { limit, before });
        if let Some(note) = self.note {
            arguments.arg(note);
        }
    }

    fn answer(mut reply: Reply) -> Result<Vec<Noted>, Trouble> {
        if reply.tag() != "audit" {
            return reply.unexpected_tag();
        }
        let entries = reply.number()?;
        let entry = |_| {
            Ok(Noted {
                number: reply.number()?,
                at_ms: reply.number()?,
                entry: reply.bytes()?,
            })
        };
        (0..entries).map(entry).collect()
    }
}
