//! Looks after schedules of which something was lost.

use redis::{Cmd, Value};
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("tend");

/// One look at some schedules.
#[derive(Serialize)]
pub(crate) struct Tend<'a> {
    pub(crate) worker: &'a str,
    /// Whether this worker can see to the next tick.
    pub(crate) hold: bool,
    /// The schedules that should be there.
    pub(crate) names: &'a [&'a str],
    /// Where the last look ended; [`Schedules::ALL`](crate::store::schedules::Schedules::ALL) at
    /// first.
    pub(crate) cursor: &'a str,
    /// About how many fields are looked at; a schedule has three or four.
    pub(crate) limit: usize,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Tended {
    pub(crate) now_ms: u64,
    /// The next tick of all was lost, and is known again.
    pub(crate) mended: bool,
    /// The next tick, if this worker has to see to it.
    pub(crate) tick_ms: Option<u64>,
    pub(crate) cursor: String,
    /// There are more schedules than next ticks, for sure.
    pub(crate) short: bool,
    /// The positions of the names of which nothing is there.
    pub(crate) gone: Vec<usize>,
    /// Schedules that are missing in `ticks`.
    pub(crate) lost: Vec<String>,
}

impl Verb for Tend<'_> {
    type Answer = Tended;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Tended, Trouble> {
        if reply.tag() != "tended" {
            return reply.unexpected_tag();
        }
        let position = |value: Value| match value {
            Value::Int(n) => usize::try_from(n).ok(),
            _ => None,
        };
        let name = |value: Value| match value {
            Value::BulkString(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            _ => None,
        };
        Ok(Tended {
            now_ms: reply.now_ms(),
            mended: reply.number()? == 1,
            tick_ms: reply.optional_number()?,
            cursor: reply.text()?,
            short: reply.number()? == 1,
            gone: reply.list()?.into_iter().filter_map(position).collect(),
            lost: reply.list()?.into_iter().filter_map(name).collect(),
        })
    }
}
