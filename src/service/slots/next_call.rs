//! When a call is made, and what it carries: decided by the state of the slots alone.

use std::time::Duration;

use super::{Phase, SlotsState};
use crate::service::suspect::SuspectTurn;
use crate::store::BATCH_JOBS;
use crate::store::advance::{Advance, Settlement};

/// Calls that may be under way at once, so that Redis and the handlers are busy together.
pub(crate) const LANES: usize = 2;
/// Below this a second call under way only makes both of them small.
const TWO_LANES_FROM: usize = 32;
/// A second call is worth its price when this part of the slots has an outcome to store. Fewer outcomes wait for
/// the next call, which follows the answer to the first.
const SECOND_CALL_FOR: usize = 2;

/// For so long after the last sign of a job with traits, calls ask for such jobs. A call that does not ask and meets one is
/// made in vain; a call that asks and meets none takes some microseconds more.
const TRAITS_EXPECTED: Duration = Duration::from_secs(10);

/// What the next call of a lane carries and asks for.
pub(crate) struct NextCall {
    /// In the order of [`Advance::sort`], in which an answer counts them.
    pub(crate) settle: Vec<Settlement>,
    /// Slots reserved for what is claimed.
    pub(crate) claim: usize,
    /// Present if suspects may be among the claimed.
    pub(crate) suspects: Option<SuspectTurn>,
    /// Ask for jobs that other workers handed back, by the names of the handlers.
    pub(crate) by_name: bool,
    /// The last news of such jobs that the worker need not pass on.
    pub(crate) heard: u64,
    /// The call is made because of the wake-up token.
    pub(crate) woken: bool,
    /// Tell all workers of such jobs once more.
    pub(crate) again: bool,
    /// Ask for jobs with traits, too.
    pub(crate) traits: bool,
}

impl NextCall {
    /// A call that only settles. Every other call is made from such a call, so the settlements are always in order.
    pub(crate) fn settling(mut settle: Vec<Settlement>) -> Self {
        Advance::sort(&mut settle);
        Self {
            settle,
            claim: 0,
            suspects: None,
            by_name: false,
            heard: 0,
            woken: false,
            again: false,
            traits: false,
        }
    }
}

impl SlotsState {
    /// Other workers handed back jobs, and this worker has not looked yet whether it has handlers for them.
    pub(super) fn may_take_unhandled(&self) -> bool {
        self.unhandled != 0 && self.unhandled != self.looked
    }

    /// The queue had jobs with traits a moment ago.
    fn meets_traits(&self) -> bool {
        self.traits_at
            .is_some_and(|at| at.elapsed() < TRAITS_EXPECTED)
    }

    /// How many jobs may be claimed now.
    pub(super) fn free(&self) -> usize {
        match self.phase {
            Phase::Claiming if self.claims_pause => 0,
            Phase::Claiming => {
                let taken = self.running + self.reserved;
                // An attempt that has ended holds its lease until its outcome is stored.
                let leases = taken + self.inbox.len() + self.settling;
                let slots = self.concurrency.saturating_sub(taken);
                slots.min(self.leases_max.saturating_sub(leases))
            }
            Phase::Draining | Phase::Closed => 0,
        }
    }

    /// Whether there is a reason for a call now.
    pub(super) fn is_ready(&self) -> bool {
        if self.inbox.is_empty() && !self.look {
            return false;
        }
        self.calls == 0 || self.inbox.len() >= self.concurrency.div_ceil(SECOND_CALL_FOR)
    }

    /// Whether there are slots that the last call could not fill.
    pub(super) fn wants_jobs(&self) -> bool {
        self.free() > 0 && self.calls == 0 && self.inbox.is_empty() && !self.look
    }

    /// How many lanes make calls.
    pub(super) fn lanes(&self) -> usize {
        if self.concurrency >= TWO_LANES_FROM {
            LANES
        } else {
            1
        }
    }

    /// Everything that fits into one call, if there is a reason for one.
    pub(super) fn take_call(&mut self, lane: usize) -> Option<NextCall> {
        if !self.is_ready() {
            return None;
        }
        self.look = false;
        let mut settle = Vec::with_capacity(self.inbox.len().min(BATCH_JOBS));
        let mut bytes = 0;
        while let Some(next) = self.inbox.front() {
            bytes += next.bytes();
            if settle.len() == BATCH_JOBS || (bytes > self.limits[lane] && !settle.is_empty()) {
                break;
            }
            settle.extend(self.inbox.pop_front());
        }
        let share = self.concurrency.div_ceil(self.lanes());
        let claim = self.free().min(share).min(BATCH_JOBS);
        self.reserved += claim;
        self.calls += 1;
        self.settling += settle.len();
        // The turn to ask for suspects. If this call claims nothing, the turn goes back to the process. A worker that
        // is always busy asks for a suspect whenever it claims.
        let ahead = self.turn.take();
        let suspects = match claim {
            0 => None,
            _ if self.suspects => ahead.or_else(SuspectTurn::try_take),
            _ => ahead,
        };
        let woken = std::mem::take(&mut self.woken);
        Some(NextCall {
            claim,
            suspects,
            by_name: claim > 0 && self.may_take_unhandled(),
            heard: if woken { self.heard } else { self.unhandled },
            woken,
            again: std::mem::take(&mut self.again),
            traits: self.meets_traits(),
            ..NextCall::settling(settle)
        })
    }
}
