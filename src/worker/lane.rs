//! One lane of a worker: numbered calls, each of them repeated until it is known what became of it.
//!
//! A call that never gets through (something in it is larger than a server or a proxy takes) would
//! hold up everything. So a question under its number asks whether it ran. If it did not, the question
//! takes the number: the first call never will run, and its work goes in other calls.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::id::incarnation;
use crate::policy::pace::Pace;
use crate::policy::pauses::Pauses;
use crate::redis::trouble::{Refusal, Trouble};
use crate::store::BATCH_BYTES;
use crate::store::advance::{Advance, Advanced, Answer, Settlement};
use crate::store::backend::{ANSWER_PATIENCE, Line, Store};
use crate::time::millis;
use crate::worker::board::Work;
use crate::worker::pump::Pump;

/// Before a call is repeated.
const PAUSES: Pauses = Pauses::between(Duration::from_millis(10), PAUSE_MAX);
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A call of fewer bytes is not what a server or a proxy refuses: if its connection is cut, the
/// network is to blame. And whatever is refused, its size is not the reason.
pub(crate) const LARGE: usize = 32 * 1024;
/// After so many cuts of a large call it is asked whether it ran.
const CUTS: u32 = 3;
/// After so many cuts, even of that question, what was claimed cannot be had.
const CUTS_MAX: u32 = 16;

/// What became of a call.
pub(crate) enum Came {
    /// It was answered. It was sent at this moment, from which on the leases in it count.
    Answer(Advanced, Instant),
    /// It did not run, and never will with these bytes.
    Refused {
        why: String,
        /// The server said so; else it was only cut off each time.
        is_certain: bool,
    },
    /// Nobody can know.
    Lost(String),
}

pub(crate) struct Lane {
    line: Line,
    id: String,
    call: u64,
    pace: Pace,
}

impl Lane {
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            line: store.line(ANSWER_PATIENCE),
            id: incarnation(),
            call: 0,
            pace: Pace::careful(BATCH_BYTES),
        }
    }

    /// For messages: the lane and the number of its last call.
    pub(crate) fn name(&self) -> (&str, u64) {
        (&self.id, self.call)
    }

    /// How many bytes the next call may carry.
    pub(crate) fn bytes(&self) -> usize {
        self.pace.bytes()
    }

    /// Takes another lane. Nothing uses the old one again, so a late call of it can do no harm.
    pub(crate) fn leave_behind(&mut self) {
        self.id = incarnation();
        self.call = 0;
    }

    /// Repeats one call until it is known what became of it.
    pub(crate) async fn call(&mut self, pump: &Pump, work: &Work) -> Came {
        self.call += 1;
        let carried: usize = work.settle.iter().map(Settlement::bytes).sum();
        let (mut pauses, mut cuts, mut may_have_run) = (PAUSES, 0, false);
        let mut why = String::new();
        loop {
            // A call that did run gives its first answer again, however many bytes it asks for now.
            let asked = self.pace.bytes().saturating_sub(carried);
            let asked = if work.claim > 0 { asked } else { 0 };
            let sent = Instant::now();
            let verb = advance(pump, (&self.id, self.call), work, asked);
            let trouble = match self.line.call(&verb).await {
                Ok(Answer::Advanced(advanced)) => {
                    self.learn(carried, &advanced, sent);
                    pump.trouble.clear(&pump.hooks);
                    return Came::Answer(advanced, sent);
                }
                Ok(Answer::Superseded) => return Came::Lost("it is superseded".to_owned()),
                // The answer to the question below was lost.
                Ok(Answer::Asked) => {
                    let is_certain = false;
                    return Came::Refused { why, is_certain };
                }
                Err(Trouble::Garbled(why)) => return Came::Lost(why),
                // What the script wrote before it was stopped stays, and nobody can know what that is. The next
                // call is stopped as well, until somebody has acted.
                Err(trouble @ Trouble::Stopped(..)) => {
                    pump.trouble.note(&trouble, &pump.hooks);
                    sleep(PAUSE_MAX).await;
                    return Came::Lost(trouble.to_string());
                }
                Err(trouble) => trouble,
            };
            may_have_run |= trouble.may_have_run();
            let is_certain = matches!(trouble, Trouble::Refused(Refusal::Unread, _));
            if trouble.is_cut() && carried + asked >= LARGE {
                cuts += 1;
            }
            if !is_certain {
                pump.trouble.note(&trouble, &pump.hooks);
            }
            if trouble.may_have_run() && (cuts > 1 || !trouble.is_cut()) {
                self.pace.unanswered(carried + asked);
            }
            why = trouble.to_string();
            if is_certain && !may_have_run {
                return Came::Refused { why, is_certain };
            }
            if is_certain || (cuts >= CUTS && trouble.is_cut()) {
                match self.ran(pump).await {
                    Ok(Some(advanced)) => return advanced,
                    Ok(None) => return Came::Refused { why, is_certain },
                    Err(trouble) if trouble.is_cut() => cuts += 1,
                    Err(trouble) => pump.trouble.note(&trouble, &pump.hooks),
                }
            }
            if cuts >= CUTS_MAX && work.claim > 0 {
                return Came::Lost(format!("its answer does not come through: {why}"));
            }
            sleep(pauses.next(fastrand::f64())).await;
        }
    }

    /// What the call under the last number was answered, if it ran. Else it never will.
    async fn ran(&mut self, pump: &Pump) -> Result<Option<Came>, Trouble> {
        let nothing = Work::settling(Vec::new());
        let sent = Instant::now();
        let question = Advance {
            hold: false,
            ask: true,
            ..advance(pump, (&self.id, self.call), &nothing, 0)
        };
        let answer = self.line.call(&question).await?;
        // The question takes over no timer (`hold`), so the worker looks for work itself.
        pump.board.look();
        Ok(match answer {
            Answer::Asked => None,
            Answer::Advanced(advanced) => Some(Came::Answer(advanced, sent)),
            Answer::Superseded => Some(Came::Lost("it is superseded".to_owned())),
        })
    }

    /// Measures the line by an answer.
    fn learn(&mut self, carried: usize, advanced: &Advanced, sent: Instant) {
        let payload = |payload: &Option<Vec<u8>>| payload.as_ref().map_or(0, Vec::len);
        let claimed = advanced.claimed.iter();
        let claimed: usize = claimed
            .map(|job| job.record.len() + payload(&job.payload))
            .sum();
        self.pace.answered(carried + claimed, sent.elapsed());
    }
}

/// The call of this lane and number.
fn advance<'a>(
    pump: &'a Pump,
    (lane, call): (&'a str, u64),
    work: &'a Work,
    claim_bytes: usize,
) -> Advance<'a> {
    Advance {
        lane,
        call,
        worker: &pump.id,
        settle: &work.settle,
        claim: work.claim,
        claim_bytes,
        suspects: pump.suspects(work),
        lease_ms: millis(pump.config.lease),
        hold: pump.board.is_claiming(),
        handlers: work.by_name.then_some(&pump.names[..]),
        heard: work.heard,
        again: work.again,
        ask: false,
    }
}
