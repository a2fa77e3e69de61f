//! Stores or changes a schedule.

use redis::Cmd;
use serde::Serialize;

use crate::job::record::EncodedRecord;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("schedule");

/// A change of one schedule, if it is still as the caller saw it.
pub(crate) struct Schedule<'a> {
    pub(crate) name: &'a str,
    /// The revision that the caller saw; 0 if there was no schedule.
    pub(crate) revision: u64,
    pub(crate) paused: bool,
    pub(crate) tick: NextTick,
    /// Its next tick as the caller saw it, if that is to be compared: one that is due by now is to
    /// be fired first. Without it, no tick is stored that is not later than the last one.
    pub(crate) seen: Option<SeenTick>,
    pub(crate) define: Option<Definition<'a>>,
}

/// What becomes of a schedule's next tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextTick {
    /// It stays as it is; if the schedule has no next tick any more, it counts as changed.
    Keep,
    At {
        ms: u64,
    },
    None,
}

/// The next tick of a schedule, as the caller saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeenTick {
    At { ms: u64 },
    None,
}

/// What a schedule does.
#[derive(Clone, Copy)]
pub(crate) struct Definition<'a> {
    /// Only clients read it.
    pub(crate) rule: &'a [u8],
    pub(crate) job: &'a EncodedRecord,
}

#[derive(Serialize)]
struct Arguments<'a> {
    name: &'a str,
    revision: u64,
    paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tick_ms: Option<u64>,
    keep_tick: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_ms: Option<i64>,
    define: bool,
}

impl Verb for Schedule<'_> {
    /// Whether it was stored. If not, it has changed since the caller saw it.
    type Answer = bool;

    const ANSWERS_AGAIN: bool = false;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(
            arguments,
            &Arguments {
                name: self.name,
                revision: self.revision,
                paused: self.paused,
                tick_ms: match self.tick {
                    NextTick::At { ms } => Some(ms),
                    NextTick::Keep | NextTick::None => None,
                },
                keep_tick: self.tick == NextTick::Keep,
                seen_ms: self.seen.map(|seen| match seen {
                    SeenTick::At { ms } => i64::try_from(ms).unwrap_or(i64::MAX),
                    SeenTick::None => -1,
                }),
                define: self.define.is_some(),
            },
        );
        if let Some(Definition { rule, job }) = self.define {
            let payload = job.external_payload.as_deref().unwrap_or_default();
            arguments.arg(rule).arg(&job.record).arg(payload);
        }
    }

    fn answer(reply: Reply) -> Result<bool, Trouble> {
        match reply.tag() {
            "stored" => Ok(true),
            "changed" => Ok(false),
            _ => reply.unexpected_tag(),
        }
    }
}
