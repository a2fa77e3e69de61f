//! The one call of a busy worker: ends attempts, promotes due jobs, claims new ones.

use redis::Cmd;
use serde::Serialize;
use serde_bytes::ByteBuf;

use crate::codec;
use crate::id::{Fence, JobId, Receipt, Runs};
use crate::job::outcome::{DeadReason, Ending, Outcome};
use crate::job::traits::EndTraits;
use crate::policy::retention::Retention;
use crate::redis::reply::Reply;
use crate::redis::script::{Script, script};
use crate::redis::trouble::Trouble;
use crate::store::{Verb, named};
use crate::time::millis;

static SCRIPT: Script = script!("advance");

/// The script for queues whose workers have different handlers, and for jobs with traits. Its further keys would cost
/// every call.
static FULL: Script = script!("advance" with "all");

/// An attempt that has ended, to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Settlement {
    pub(crate) id: JobId,
    pub(crate) fence: Fence,
    pub(crate) receipt: Receipt,
    /// The job's own retention, if it has one.
    pub(crate) keep: Option<Retention>,
    /// The worker knows of a request to cancel the job, which is stored: the call that ends the job has to look for it.
    pub(crate) is_requested: bool,
    pub(crate) outcome: Outcome,
    pub(crate) traits: EndTraits,
}

impl Settlement {
    pub(crate) fn bytes(&self) -> usize {
        const OVERHEAD: usize = 64;
        OVERHEAD
            + match &self.outcome {
                Outcome::Completed(output) => output.size(),
                Outcome::Retry { entry, .. } | Outcome::Dead { entry, .. } => entry.error.len(),
                Outcome::Cancelled(reason) | Outcome::Compensated(reason) => reason.len(),
                Outcome::Bounced { name, .. } => name.as_ref().map_or(0, String::len),
                Outcome::Snoozed { .. }
                | Outcome::Suspended { .. }
                | Outcome::RateLimited { .. }
                | Outcome::Released
                | Outcome::LeaseLost => 0,
            }
    }

    /// The job is handed back to workers that have a handler of its name.
    pub(crate) fn is_unhandled(&self) -> bool {
        matches!(self.outcome, Outcome::Bounced { name: Some(_), .. })
    }

    fn is_suspended(&self) -> bool {
        matches!(self.outcome, Outcome::Suspended { .. })
    }
}

/// One call of one lane of a worker.
pub(crate) struct Advance<'a> {
    pub(crate) lane: &'a str,
    pub(crate) call: u64,
    pub(crate) worker: &'a str,
    pub(crate) settle: &'a [Settlement],
    pub(crate) claim: usize,
    pub(crate) claim_bytes: usize,
    /// Which suspects may be among the claimed.
    pub(crate) suspects: Suspects,
    pub(crate) lease_ms: u64,
    /// Whether this worker can keep the timer for the next due job.
    pub(crate) hold: bool,
    /// The names for which this worker has handlers, if it asks for jobs that others handed back.
    pub(crate) handlers: Option<&'a [&'a str]>,
    /// The last news of such jobs that the worker has heard; 0 if there was none.
    pub(crate) heard: u64,
    /// All workers are to hear that there are such jobs once more.
    pub(crate) again: bool,
    /// Jobs with traits can be claimed, and may be promoted.
    pub(crate) traits: bool,
    /// It only asks whether the call of this number ran: if it did, its answer is given again.
    pub(crate) ask: bool,
}

/// The suspects that a worker may run: jobs whose worker died while they ran.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suspects {
    pub(crate) at_most: usize,
    /// No suspect runs in the worker's process. Only then may it get one that must run alone.
    pub(crate) alone: bool,
}

/// A job that this worker now holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Claimed {
    pub(crate) id: JobId,
    pub(crate) fence: Fence,
    pub(crate) receipt: Receipt,
    pub(crate) record: Vec<u8>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) counters: Option<Vec<u8>>,
    pub(crate) stalls: u32,
    /// It is a suspect that runs alone among the suspects of its process.
    pub(crate) alone: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Advanced {
    /// The answer of an earlier call of this number; what it says of work that is left may be old.
    pub(crate) repeated: bool,
    pub(crate) now_ms: u64,
    /// Positions of the settlements whose fence was stale.
    pub(crate) refused: Vec<usize>,
    /// Positions of the settlements that ended as cancelled although they say otherwise, because that was asked for; and what is
    /// stored as the outcome. A repeated call does not say this again.
    pub(crate) overruled: Vec<(usize, Vec<u8>)>,
    pub(crate) claimed: Vec<Claimed>,
    /// More could be claimed right now.
    pub(crate) more: bool,
    /// The queue has jobs with traits: the next call is to ask for them.
    pub(crate) traits: bool,
    /// Limits of the queue hold back what waits: nothing more can be claimed right now.
    pub(crate) held: bool,
    /// When this worker has to be back, because there will be work.
    pub(crate) next_at_ms: Option<u64>,
    /// The tick that this worker has to see to.
    pub(crate) tick_ms: Option<u64>,
    /// Suspects that wait.
    pub(crate) suspects: u64,
    /// The news of jobs that wait for a worker that has a handler of their name: another number
    /// whenever there may be more of them, 0 if there are none.
    pub(crate) unhandled: u64,
    /// Something was put into the outbox, and waits to be carried. A repeated call does not say this again.
    pub(crate) has_sent: bool,
}

impl Advanced {
    /// Brings what the worker said in line with what is stored.
    pub(crate) fn correct(&self, settled: &mut [Settlement]) {
        for (position, stored) in &self.overruled {
            let ending = codec::decode_plain("a job's outcome", stored);
            if let (Some(settled), Ok(Ending::Cancelled(reason))) =
                (settled.get_mut(*position), ending)
            {
                settled.outcome = Outcome::Cancelled(reason);
            }
        }
    }
}

#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Advanced(Advanced),
    Superseded,
    /// The call of this number did not run, and never will: a question has taken it.
    Asked,
}

#[derive(Serialize)]
struct Arguments<'a> {
    lane: &'a str,
    call: u64,
    worker: &'a str,
    settle: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<(&'a str, usize)>,
    #[serde(skip_serializing_if = "is_none_of_them")]
    with_traits: usize,
    receipts: Runs<'a>,
    others: Vec<Other>,
    claim: usize,
    claim_bytes: usize,
    suspect: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    alone: Option<bool>,
    lease_ms: u64,
    hold: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    handlers: Option<&'a [&'a str]>,
    #[serde(skip_serializing_if = "is_zero")]
    heard: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    again: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    traits: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ask: bool,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_zero(heard: &u64) -> bool {
    *heard == 0
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_none_of_them(settlements: &usize) -> bool {
    *settlements == 0
}

/// The outcome of an attempt that did not simply complete.
#[derive(Serialize)]
struct Other {
    outcome: &'static str,
    /// The job's own retention.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<DeadReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The steps that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<u32>>,
    /// The record has a trait, so the script reads it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    traits: bool,
}

impl Settlement {
    /// Completed, with the retention of the queue, and no request is known: the commonest end, which needs no further argument
    /// but for the groups of these jobs, and how many have other traits.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.outcome, Outcome::Completed(_)) && self.keep.is_none() && !self.is_requested
    }

    /// Where a call names it: plain ones come first, and of these the ones without traits, then those of each group.
    fn rank(&self) -> (bool, Option<&EndTraits>) {
        let is_plain = self.is_plain();
        (!is_plain, is_plain.then_some(&self.traits))
    }

    fn other(&self) -> Other {
        let plain = |outcome| Other {
            outcome,
            keep_ms: None,
            after_ms: None,
            reason: None,
            name: None,
            steps: None,
            traits: self.traits.are_there(),
        };
        let finished = |outcome| Other {
            keep_ms: self.keep.map(Retention::as_millis),
            ..plain(outcome)
        };
        match &self.outcome {
            Outcome::Completed(_) => finished("completed"),
            Outcome::Cancelled(_) => finished("cancelled"),
            Outcome::Compensated(_) => finished("compensated"),
            Outcome::Retry { after, .. } => Other {
                after_ms: Some(millis(*after)),
                ..plain("retry")
            },
            Outcome::Snoozed { after } => Other {
                after_ms: Some(millis(*after)),
                ..plain("snoozed")
            },
            Outcome::Suspended { steps, .. } => Other {
                steps: Some(steps.clone()),
                ..plain("suspended")
            },
            Outcome::Bounced { after, name, .. } => Other {
                after_ms: Some(millis(*after)),
                name: name.clone(),
                ..plain("bounced")
            },
            Outcome::Dead { reason, .. } => Other {
                reason: Some(*reason),
                ..plain("dead")
            },
            // The job goes back, and its group waits, or the whole queue.
            Outcome::RateLimited { after } => Other {
                after_ms: Some(millis(*after)),
                ..plain("rate_limited")
            },
            // The receipt is stale, so the script refuses a lost one. If the lease was not lost after all, the job goes back to
            // its place.
            Outcome::Released | Outcome::LeaseLost => plain("released"),
        }
    }
}

impl Advance<'_> {
    #[cfg(test)]
    pub(crate) fn full_script() -> &'static Script {
        &FULL
    }

    /// Whether this call needs the script with all keys.
    pub(crate) fn is_full(&self) -> bool {
        let ended = || {
            let mut settle = self.settle.iter();
            settle.any(|ended| {
                ended.is_unhandled() || ended.is_suspended() || ended.traits.are_there()
            })
        };
        self.traits || self.handlers.is_some() || self.again || ended()
    }

    /// Brings settlements into the order in which a call names them: the plain ones first.
    /// Positions in the answer are positions in this order.
    pub(crate) fn sort(settle: &mut [Settlement]) {
        settle.sort_by(|a, b| a.rank().cmp(&b.rank()));
    }
}

/// How many jobs in a row have each group, of those that have a group alone.
fn groups<'a>(settle: impl Iterator<Item = &'a Settlement>) -> Vec<(&'a str, usize)> {
    let mut groups: Vec<(&str, usize)> = Vec::new();
    for settlement in settle {
        let EndTraits::Group(group) = &settlement.traits else {
            continue;
        };
        match groups.last_mut() {
            Some((last, jobs)) if *last == &**group => *jobs += 1,
            _ => groups.push((group, 1)),
        }
    }
    groups
}

fn blob(outcome: &Outcome) -> Vec<u8> {
    match outcome {
        Outcome::Completed(output) => {
            codec::encode_plain(&Ending::Ok(ByteBuf::from(output.as_slice())))
        }
        Outcome::Cancelled(reason) => codec::encode_plain(&Ending::Cancelled(reason.clone())),
        Outcome::Compensated(reason) => codec::encode_plain(&Ending::Compensated(reason.clone())),
        Outcome::Retry { entry, .. } | Outcome::Dead { entry, .. } => codec::encode_plain(entry),
        Outcome::Bounced { entry, .. } => entry.shown().into_bytes(),
        Outcome::Snoozed { .. }
        | Outcome::Suspended { .. }
        | Outcome::RateLimited { .. }
        | Outcome::Released
        | Outcome::LeaseLost => Vec::new(),
    }
}

impl Verb for Advance<'_> {
    type Answer = Answer;

    fn script() -> &'static Script {
        &SCRIPT
    }

    fn script_of_call(&self) -> &'static Script {
        if self.is_full() { &FULL } else { &SCRIPT }
    }

    fn arguments(&self, arguments: &mut Cmd) {
        debug_assert!(self.settle.is_sorted_by(|a, b| a.rank() <= b.rank()));
        let others = self.settle.iter().filter(|s| !s.is_plain());
        let plain = || self.settle.iter().filter(|s| s.is_plain());
        let with_traits = plain().filter(|s| s.traits == EndTraits::Others);
        let suspects = (self.suspects.at_most > 0).then_some(self.suspects);
        named(
            arguments,
            &Arguments {
                lane: self.lane,
                call: self.call,
                worker: self.worker,
                settle: self.settle.len(),
                groups: groups(plain()),
                with_traits: with_traits.count(),
                receipts: Receipt::runs(self.settle.iter().map(|s| &s.receipt)),
                others: others.map(Settlement::other).collect(),
                claim: self.claim,
                claim_bytes: self.claim_bytes,
                suspect: self.suspects.at_most,
                alone: suspects.map(|suspects| suspects.alone),
                lease_ms: self.lease_ms,
                hold: self.hold,
                handlers: self.handlers,
                heard: self.heard,
                again: self.again,
                traits: self.is_full(),
                ask: self.ask,
            },
        );
        for settlement in self.settle {
            arguments.arg(settlement.id.as_str());
        }
        for settlement in self.settle {
            arguments.arg(blob(&settlement.outcome));
        }
    }

    fn answer(mut reply: Reply) -> Result<Answer, Trouble> {
        let repeated = match reply.tag() {
            "new" => false,
            "repeated" => true,
            "superseded" => return Ok(Answer::Superseded),
            "asked" => return Ok(Answer::Asked),
            _ => return reply.unexpected_tag(),
        };
        let (told, next_at_ms) = (reply.signed()?, reply.optional_number()?);
        let held = told < 0;
        let told = if held { -1 - told } else { told }.unsigned_abs();
        let (tick_ms, suspects) = (reply.optional_number()?, reply.number()?);
        let (first_fence, receipt) = (reply.number()?, Receipt::new(&reply.text()?));
        let refused = reply.flat_positions()?;
        let fences = reply.flat_numbers()?;
        let fence_of = |position: usize| {
            let consecutive = first_fence + position as u64;
            Fence(fences.get(position).copied().unwrap_or(consecutive))
        };
        let ids = reply.flat_texts()?;
        let mut claimed = Vec::with_capacity(ids.len());
        for (position, id) in ids.iter().enumerate() {
            claimed.push(Claimed {
                id: JobId::stored(id),
                fence: fence_of(position),
                receipt: receipt.clone(),
                record: reply.bytes()?,
                payload: None,
                counters: None,
                stalls: 0,
                alone: false,
            });
        }
        let (mut overruled, mut has_sent) = (Vec::new(), false);
        while let Some((position, name, value)) = reply.extra()? {
            if name == "cancelled" {
                overruled.push((position, value));
                continue;
            }
            if name == "outbox" {
                has_sent = true;
                continue;
            }
            let Some(job) = claimed.get_mut(position) else {
                continue;
            };
            match name.as_str() {
                "payload" => job.payload = Some(value),
                "attempts" => job.counters = Some(value),
                "stalls" => {
                    let digits = std::str::from_utf8(&value).unwrap_or_default();
                    job.stalls = digits.parse().unwrap_or(0);
                }
                "alone" => job.alone = true,
                _ => {}
            }
        }
        Ok(Answer::Advanced(Advanced {
            repeated,
            now_ms: reply.now_ms(),
            refused,
            overruled,
            claimed,
            more: told % 2 == 1,
            traits: told / 2 % 2 == 1,
            held,
            next_at_ms,
            tick_ms,
            suspects,
            unhandled: told / 4,
            has_sent,
        }))
    }
}
