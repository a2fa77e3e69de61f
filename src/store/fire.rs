//! Fires ticks of schedules.

use redis::{Cmd, Value};
use serde::Serialize;

use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("fire" in full);

/// Ticks to be fired, at most [`BATCH_JOBS`](crate::store::BATCH_JOBS) of them. Without any it
/// only tells when to come again.
#[derive(Serialize)]
pub(crate) struct Fire<'a> {
    pub(crate) worker: &'a str,
    /// Whether this worker can see to the next tick.
    pub(crate) hold: bool,
    pub(crate) entries: &'a [Entry],
    /// The caller saw all schedules that were due by then, and cannot read those that are not in `entries`: they are
    /// passed over for a while, so that they hold up no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) passed_ms: Option<u64>,
}

/// What is to be done about one schedule, if it is still as the caller saw it.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) revision: u64,
    /// Its next tick, as the caller saw it.
    pub(crate) tick_ms: u64,
    /// To be fired, oldest first.
    pub(crate) ticks: Vec<u64>,
    /// When the job of each is due.
    pub(crate) due_ms: Vec<u64>,
    /// How many are given up.
    pub(crate) missed: u64,
    /// The last tick that this deals with.
    pub(crate) last_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_ms: Option<u64>,
    /// No more jobs than this, ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<u64>,
    /// Skip a tick while the last job has not ended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) no_overlap: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<u16>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) front: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Fired {
    pub(crate) now_ms: u64,
    /// For each entry how many jobs it made; `None` for a schedule that was not as the caller saw it.
    pub(crate) verdicts: Vec<Option<u64>>,
    /// The next tick, if this worker has to see to it.
    pub(crate) tick_ms: Option<u64>,
}

impl Verb for Fire<'_> {
    type Answer = Fired;

    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Fired, Trouble> {
        if reply.tag() != "fired" {
            return reply.unexpected_tag();
        }
        let verdict = |value| match value {
            Value::Int(n) => u64::try_from(n).ok(),
            _ => None,
        };
        Ok(Fired {
            now_ms: reply.now_ms(),
            verdicts: reply.list()?.into_iter().map(verdict).collect(),
            tick_ms: reply.optional_number()?,
        })
    }
}
