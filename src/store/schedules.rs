//! Schedules as they are stored.

use redis::{Cmd, Value};
use serde::{Deserialize, Serialize};

use crate::job::record::EncodedRecord;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};

static SCRIPT: Script = script!("schedules");

/// Asks for schedules.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Schedules<'a> {
    /// The one of this name.
    Named { name: &'a str },
    /// Those that are due, the longest due first.
    Due {
        due: bool,
        offset: usize,
        limit: usize,
    },
    /// Some of all, about so many.
    Some { cursor: &'a str, limit: usize },
}

impl Schedules<'_> {
    /// The cursor to begin with. As an answer it says that all have been seen.
    pub(crate) const ALL: &'static str = "0";

    pub(crate) fn due(offset: usize, limit: usize) -> Self {
        Self::Due {
            due: true,
            offset,
            limit,
        }
    }
}

/// Some schedules.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) now_ms: u64,
    pub(crate) schedules: Vec<StoredSchedule>,
    /// The first tick of all that is not due.
    pub(crate) next_ms: Option<u64>,
    /// Where to go on, if some of all were asked for.
    pub(crate) cursor: String,
    /// The job of the schedule that was asked for by name.
    pub(crate) job: Option<EncodedRecord>,
}

/// A schedule as Redis holds it.
#[derive(Debug, PartialEq)]
pub(crate) struct StoredSchedule {
    pub(crate) name: String,
    pub(crate) tick_ms: Option<u64>,
    /// It is missing in `ticks`, so it cannot tick: an operator deleted that, or Redis evicted it.
    pub(crate) lost: bool,
    pub(crate) rule: Vec<u8>,
    pub(crate) state: Vec<u8>,
    /// Of one of its jobs.
    pub(crate) job_bytes: u64,
    /// Where its last job is, if it is still there; not of those that are due.
    pub(crate) last_job_state: Option<String>,
}

/// How far a schedule is: a list that scripts keep, see `lua/lib/schedules.lua`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct ScheduleState {
    /// Changes with every change of the schedule; a tick does not change it.
    pub(crate) revision: u64,
    /// 1 if it is paused.
    pub(crate) paused: u8,
    pub(crate) fired: u64,
    pub(crate) missed: u64,
    pub(crate) overlapped: u64,
    /// The last tick that was dealt with, 0 before the first; and what became of it.
    pub(crate) last_ms: u64,
    pub(crate) outcome: String,
    pub(crate) last_job: String,
}

impl Verb for Schedules<'_> {
    type Answer = Found;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(arguments, self);
    }

    fn answer(mut reply: Reply) -> Result<Found, Trouble> {
        if reply.tag() != "schedules" {
            return reply.unexpected_tag();
        }
        let schedules = stored(&mut reply)?;
        let next_ms = reply.optional_number()?;
        let cursor = reply.text()?;
        let record = reply.optional_bytes()?;
        let external_payload = reply.optional_bytes()?;
        Ok(Found {
            now_ms: reply.now_ms(),
            schedules,
            next_ms,
            cursor,
            job: record.map(|record| EncodedRecord::kept(record, external_payload)),
        })
    }
}

fn stored(reply: &mut Reply) -> Result<Vec<StoredSchedule>, Trouble> {
    const FIELDS: usize = 6;
    let flat = reply.list()?;
    let text = |value: &Value| match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    };
    let bytes = |value: &Value| match value {
        Value::BulkString(bytes) => Some(bytes.clone()),
        _ => None,
    };
    let entry = |fields: &[Value]| {
        let [name, tick, rule, state, job_bytes, last] = fields else {
            return None;
        };
        Some(StoredSchedule {
            name: text(name)?,
            // `inf` for none.
            tick_ms: text(tick)?.parse().ok(),
            lost: text(tick)?.is_empty(),
            rule: bytes(rule)?,
            state: bytes(state)?,
            job_bytes: match job_bytes {
                Value::Int(n) => u64::try_from(*n).ok()?,
                _ => return None,
            },
            last_job_state: text(last).filter(|state| !state.is_empty()),
        })
    };
    flat.chunks(FIELDS)
        .map(|fields| {
            entry(fields).ok_or_else(|| {
                Trouble::Garbled("`schedules` answered something that is no schedule".to_owned())
            })
        })
        .collect()
}
