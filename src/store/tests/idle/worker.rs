//! A worker as the queue sees it: the calls that its slots ask for, one lane, one wait for the token, its timers.

use futures_util::FutureExt;

use crate::id::{JobId, Receipt};
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::outcome::Outcome;
use crate::job::traits::EndTraits;
use crate::service::slots::{Brought, NextCall, Slots};
use crate::store::BATCH_BYTES;
use crate::store::advance::{Advance, Advanced, Claimed, Settlement, Suspects};
use crate::store::tests::settlement;

use super::{DAY, LEASE_MS};

/// As the process of a worker knows them (`service/suspect.rs`).
const SUSPECTS_AT_MOST: usize = 4;
const NEWS_AGAIN_AFTER_MS: u64 = 50;
/// For so long a worker waits for the token.
const PATIENCE_MS: u64 = 5_000;

/// A call of the lane.
pub(super) enum Lane {
    Free,
    Sent(NextCall, Suspects),
    Answered(NextCall, Suspects, Box<Advanced>),
}

/// What the wait for the token is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    No,
    /// On its way to the server.
    Sent,
    /// Since this step; until then, ms.
    Blocked(u64, u64),
    /// The moment that the token names; none after a timeout.
    Over(Option<u64>),
}

/// A job that runs.
pub(super) struct Running {
    pub(super) id: JobId,
    pub(super) receipt: Receipt,
    /// Its lease is not renewed.
    pub(super) is_lost: bool,
    traits: EndTraits,
    is_suspect: bool,
}

pub(super) struct Worker {
    pub(super) name: String,
    pub(super) handlers: Vec<&'static str>,
    pub(super) slots: Slots,
    calls: u64,
    pub(super) lane: Lane,
    pub(super) wait: Wait,
    /// When it looks: for what is due, for news to tell once more.
    due_ms: Option<u64>,
    news_ms: Option<u64>,
    pub(super) running: Vec<Running>,
    suspects_run: usize,
    one_is_alone: bool,
    suspects_wait: bool,
    pub(super) stops: bool,
}

impl Worker {
    pub(super) fn new(name: String, slots: usize, handlers: Vec<&'static str>) -> Self {
        Self {
            name,
            handlers,
            slots: Slots::new(slots),
            calls: 0,
            lane: Lane::Free,
            wait: Wait::No,
            due_ms: None,
            news_ms: None,
            running: Vec::new(),
            suspects_run: 0,
            one_is_alone: false,
            suspects_wait: false,
            stops: false,
        }
    }

    /// How many slots are free.
    pub(super) fn free(&self) -> usize {
        match self.stops {
            true => 0,
            false => self
                .slots
                .concurrency()
                .saturating_sub(self.slots.running()),
        }
    }

    /// Which suspects its process can take now.
    pub(super) fn able(&self) -> Suspects {
        let at_most = match self.one_is_alone {
            true => 0,
            false => SUSPECTS_AT_MOST.saturating_sub(self.suspects_run),
        };
        Suspects {
            at_most,
            alone: at_most > 0 && self.suspects_run == 0,
        }
    }

    /// Takes the next call from the slots; whether there is one.
    pub(super) fn send(&mut self) -> bool {
        let Some(next) = self.slots.next_call(0).now_or_never().flatten() else {
            return false;
        };
        let asks = next.claim > 0 && self.suspects_wait;
        let suspects = if asks {
            self.able()
        } else {
            Suspects::default()
        };
        self.calls += 1;
        self.lane = Lane::Sent(next, suspects);
        true
    }

    /// The call that is on its way.
    pub(super) fn advance(&self) -> Option<Advance<'_>> {
        let Lane::Sent(next, suspects) = &self.lane else {
            return None;
        };
        Some(Advance {
            lane: &self.name,
            call: self.calls,
            worker: &self.name,
            settle: &next.settle,
            claim: next.claim,
            claim_bytes: BATCH_BYTES,
            suspects: *suspects,
            lease_ms: LEASE_MS,
            hold: !self.stops,
            handlers: next.by_name.then_some(&self.handlers),
            heard: next.heard,
            again: next.again,
            traits: next.traits,
            ask: false,
        })
    }

    pub(super) fn answered(&mut self, advanced: Advanced) {
        if let Lane::Sent(next, suspects) = std::mem::replace(&mut self.lane, Lane::Free) {
            self.lane = Lane::Answered(next, suspects, Box::new(advanced));
        }
    }

    /// Takes in what the call brought, as `worker/advance.rs` does.
    pub(super) fn absorb(&mut self, now_ms: u64) {
        let Lane::Answered(next, asked, advanced) = std::mem::replace(&mut self.lane, Lane::Free)
        else {
            return;
        };
        earlier(&mut self.due_ms, advanced.next_at_ms);
        let handed_back = next.settle.iter().any(Settlement::is_unhandled);
        if handed_back {
            earlier(&mut self.news_ms, Some(now_ms + NEWS_AGAIN_AFTER_MS));
        }
        self.slots.brought(&Brought {
            reserved: next.claim,
            settled: next.settle.len(),
            claimed: advanced.claimed.len(),
            more: advanced.more,
            traits: advanced.traits,
            traits_asked: next.traits,
            held: advanced.held,
            // The turns of a process are this worker's own here.
            suspects: false,
            suspects_asked: true,
            unhandled: advanced.unhandled,
            by_name: next.by_name && !advanced.repeated,
            made_news: handed_back || next.again,
            woken: next.woken,
        });
        self.suspects_wait = advanced.suspects > 0;
        for claimed in advanced.claimed {
            self.begin(claimed);
        }
        let may = self.suspects_wait && asked.at_most == 0 && !advanced.held;
        if may && self.free() > 0 && self.able().at_most > 0 {
            self.slots.look();
        }
    }

    fn begin(&mut self, claimed: Claimed) {
        let is_suspect = claimed.stalls > 0;
        self.suspects_run += usize::from(is_suspect);
        self.one_is_alone |= claimed.alone;
        let name = claimed.id.as_str().split('-').next().unwrap_or_default();
        let name = name.to_owned();
        self.running.push(Running {
            id: claimed.id,
            receipt: claimed.receipt,
            is_lost: false,
            traits: EndTraits::of(&claimed.record),
            is_suspect,
        });
        let last = self.running.len() - 1;
        if self.stops {
            self.end(last, Outcome::Released);
        } else if !self.handlers.contains(&&*name) {
            let entry = AttemptEntry::new(AttemptKind::UnknownName, String::new());
            let (after, name) = (DAY, Some(name));
            self.end(last, Outcome::Bounced { after, entry, name });
        }
    }

    /// An attempt has ended.
    pub(super) fn end(&mut self, position: usize, outcome: Outcome) {
        let ended = self.running.swap_remove(position);
        self.suspects_run -= usize::from(ended.is_suspect);
        self.one_is_alone &= self.suspects_run > 0;
        let ended = Settlement {
            traits: ended.traits,
            ..settlement(&ended.id, &ended.receipt, outcome)
        };
        self.slots.ended(ended);
    }

    /// It claims nothing more, and gives back what runs.
    pub(super) fn stop(&mut self) {
        self.stops = true;
        self.slots.drain();
        while !self.running.is_empty() {
            self.end(0, Outcome::Released);
        }
        if matches!(self.wait, Wait::Sent | Wait::Blocked(..)) {
            self.wait = Wait::No;
        }
        self.slots.look();
    }

    /// Whether it wants to wait for the token, and does not yet.
    pub(super) fn wants(&self) -> bool {
        self.wait == Wait::No && !self.stops && self.slots.want_jobs().now_or_never().is_some()
    }

    pub(super) fn block(&mut self, step: u64, now_ms: u64) {
        self.wait = Wait::Blocked(step, now_ms + PATIENCE_MS);
    }

    /// The token has come, as `worker/wakeups.rs` sees it.
    pub(super) fn wake(&mut self, now_ms: u64) {
        let Wait::Over(at_ms) = std::mem::replace(&mut self.wait, Wait::No) else {
            return;
        };
        match at_ms.filter(|at_ms| *at_ms > now_ms && !self.stops) {
            Some(at_ms) => earlier(&mut self.due_ms, Some(at_ms)),
            None => self.slots.wake(),
        }
    }

    /// When it does something next by itself.
    pub(super) fn next_ms(&self) -> Option<u64> {
        let patience = match self.wait {
            Wait::Blocked(_, until_ms) => Some(until_ms),
            _ => None,
        };
        let all = [self.due_ms, self.news_ms, patience];
        all.into_iter().flatten().min()
    }

    /// Timers fire whose moment has come.
    pub(super) fn fire(&mut self, now_ms: u64) {
        let is_due = |at_ms: &mut u64| *at_ms <= now_ms;
        if self.due_ms.take_if(is_due).is_some() {
            self.slots.look();
        }
        if self.news_ms.take_if(is_due).is_some() {
            self.slots.look_again();
        }
        if matches!(self.wait, Wait::Blocked(_, until_ms) if until_ms <= now_ms) {
            self.wait = Wait::Over(None);
        }
    }
}

fn earlier(timer: &mut Option<u64>, at_ms: Option<u64>) {
    *timer = timer.iter().copied().chain(at_ms).min();
}
