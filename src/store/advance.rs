//! The one call of a busy worker: ends attempts, promotes due jobs, claims new ones.

use redis::{Cmd, Value};
use serde::Serialize;
use serde_bytes::ByteBuf;

use crate::codec;
use crate::id::{Fence, JobId};
use crate::job::outcome::{DeadReason, Ending, Outcome};
use crate::policy::retention::Retention;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};
use crate::time::millis;

static SCRIPT: Script = script!(
    "advance",
    always,
    [
        "now",
        "arguments",
        "whole",
        "optional",
        "meta",
        "stamp",
        "once",
        "emit",
        "arm",
        "count",
        "order",
        "record",
        "enter",
        "promote",
        "lease",
        "attempts",
        "forget",
        "finish",
        "deliver",
        "claim",
        "outcome",
        "settle",
        "tick"
    ]
);

/// An attempt that has ended, to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Settlement {
    pub(crate) id: JobId,
    pub(crate) fence: Fence,
    /// What the job says of its retention; the worker's default where it says nothing.
    pub(crate) keep: Option<Retention>,
    pub(crate) outcome: Outcome,
}

impl Settlement {
    pub(crate) fn bytes(&self) -> usize {
        const OVERHEAD: usize = 64;
        OVERHEAD
            + match &self.outcome {
                Outcome::Completed(result) => result.len(),
                Outcome::Retry { entry, .. } | Outcome::Dead { entry, .. } => entry.error.len(),
                Outcome::Cancelled(reason) => reason.len(),
                Outcome::Released | Outcome::Bounced { .. } => 0,
            }
    }
}

/// One call of one lane of a worker.
pub(crate) struct Advance<'a> {
    pub(crate) lane: &'a str,
    pub(crate) call: u64,
    pub(crate) worker: &'a str,
    pub(crate) settle: &'a [Settlement],
    pub(crate) keep: Retention,
    pub(crate) keep_count: u64,
    pub(crate) claim: usize,
    pub(crate) claim_bytes: usize,
    /// Whether a suspect may be among the claimed.
    pub(crate) suspect: bool,
    pub(crate) lease_ms: u64,
    /// Whether this worker can keep the timer for the next due job.
    pub(crate) hold: bool,
}

/// A job that this worker now holds.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) id: JobId,
    pub(crate) fence: Fence,
    pub(crate) record: Vec<u8>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) counters: Option<Vec<u8>>,
    pub(crate) stalls: u32,
}

#[derive(Debug)]
pub(crate) struct Advanced {
    pub(crate) now_ms: u64,
    /// Positions of the settlements whose fence was stale.
    pub(crate) refused: Vec<usize>,
    pub(crate) claimed: Vec<Claimed>,
    /// More could be claimed right now.
    pub(crate) more: bool,
    /// When this worker has to be back, because there will be work.
    pub(crate) next_at_ms: Option<u64>,
    /// Suspects that wait.
    pub(crate) suspects: u64,
    /// The tick that this worker has to see to.
    pub(crate) tick_ms: Option<u64>,
}

pub(crate) enum Answer {
    Advanced(Advanced),
    Superseded,
}

#[derive(Serialize)]
struct Arguments<'a> {
    lane: &'a str,
    call: u64,
    worker: &'a str,
    settle: Vec<Settle>,
    keep_ms: u64,
    keep_count: u64,
    claim: usize,
    claim_bytes: usize,
    suspect: bool,
    lease_ms: u64,
    hold: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Settle {
    /// The commonest end: just the fence.
    Completed(u64),
    Other(SettleOther),
}

#[derive(Serialize)]
struct SettleOther {
    outcome: &'static str,
    fence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_ms: Option<u64>,
    /// The job itself asks for this retention.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    own_retention: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<DeadReason>,
}

impl Advance<'_> {
    fn settle_argument(&self, settlement: &Settlement) -> Settle {
        let fence = settlement.fence.get();
        let keep = settlement.keep.unwrap_or(self.keep);
        let plain = |outcome| SettleOther {
            outcome,
            fence,
            keep_ms: None,
            own_retention: false,
            after_ms: None,
            reason: None,
        };
        let finished = |outcome| SettleOther {
            keep_ms: Some(keep.as_millis()),
            own_retention: settlement.keep.is_some(),
            ..plain(outcome)
        };
        Settle::Other(match &settlement.outcome {
            Outcome::Completed(_) if settlement.keep.is_none() => return Settle::Completed(fence),
            Outcome::Completed(_) => finished("completed"),
            Outcome::Cancelled(_) => finished("cancelled"),
            Outcome::Retry { after, .. } => SettleOther {
                after_ms: Some(millis(*after)),
                ..plain("retry")
            },
            Outcome::Bounced { after } => SettleOther {
                after_ms: Some(millis(*after)),
                ..plain("bounced")
            },
            Outcome::Dead { reason, .. } => SettleOther {
                reason: Some(*reason),
                ..plain("dead")
            },
            Outcome::Released => plain("released"),
        })
    }
}

fn blob(outcome: &Outcome) -> Vec<u8> {
    match outcome {
        Outcome::Completed(result) => {
            codec::encode_plain(&Ending::Ok(ByteBuf::from(result.as_slice())))
        }
        Outcome::Cancelled(reason) => codec::encode_plain(&Ending::Cancelled(reason.clone())),
        Outcome::Retry { entry, .. } | Outcome::Dead { entry, .. } => codec::encode_plain(entry),
        Outcome::Released | Outcome::Bounced { .. } => Vec::new(),
    }
}

impl Verb for Advance<'_> {
    type Answer = Answer;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn arguments(&self, arguments: &mut Cmd) {
        named(
            arguments,
            &Arguments {
                lane: self.lane,
                call: self.call,
                worker: self.worker,
                settle: self
                    .settle
                    .iter()
                    .map(|s| self.settle_argument(s))
                    .collect(),
                keep_ms: self.keep.as_millis(),
                keep_count: self.keep_count,
                claim: self.claim,
                claim_bytes: self.claim_bytes,
                suspect: self.suspect,
                lease_ms: self.lease_ms,
                hold: self.hold,
            },
        );
        for settlement in self.settle {
            arguments
                .arg(settlement.id.as_str())
                .arg(blob(&settlement.outcome));
        }
    }

    fn answer(mut reply: Reply) -> Result<Answer, Trouble> {
        match reply.tag() {
            "new" | "repeated" => {}
            "superseded" => return Ok(Answer::Superseded),
            _ => return reply.unexpected_tag(),
        }
        let refused = reply.positions()?;
        let claimed = claimed(&mut reply)?;
        Ok(Answer::Advanced(Advanced {
            now_ms: reply.now_ms(),
            refused,
            claimed,
            more: reply.number()? == 1,
            next_at_ms: reply.optional_number()?,
            suspects: reply.number()?,
            tick_ms: reply.optional_number()?,
        }))
    }
}

/// Claims as `lib/deliver.lua` lays them out.
fn claimed(reply: &mut Reply) -> Result<Vec<Claimed>, Trouble> {
    let first_fence = reply.number()?;
    let fences = reply.numbers()?;
    let ids = reply.texts()?;
    let records = reply.byte_strings()?;
    let extras = reply.list()?;
    let fence_of = |position: usize| {
        let consecutive = first_fence + position as u64;
        Fence(fences.get(position).copied().unwrap_or(consecutive))
    };
    let mut claimed: Vec<Claimed> = ids
        .into_iter()
        .zip(records)
        .enumerate()
        .map(|(position, (id, record))| Claimed {
            id: JobId::stored(&id),
            fence: fence_of(position),
            record,
            payload: None,
            counters: None,
            stalls: 0,
        })
        .collect();
    let mut extras = extras.into_iter();
    while let (Some(position), Some(name), Some(value)) =
        (extras.next(), extras.next(), extras.next())
    {
        let (Value::Int(position), Value::BulkString(name), Value::BulkString(value)) =
            (position, name, value)
        else {
            continue;
        };
        let job = usize::try_from(position).ok();
        let Some(job) = job.and_then(|position| claimed.get_mut(position)) else {
            continue;
        };
        match name.as_slice() {
            b"payload" => job.payload = Some(value),
            b"attempts" => job.counters = Some(value),
            b"stalls" => {
                let digits = std::str::from_utf8(&value).unwrap_or_default();
                job.stalls = digits.parse().unwrap_or(0);
            }
            _ => {}
        }
    }
    Ok(claimed)
}
