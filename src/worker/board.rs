//! What is to be done next: ended attempts that wait to be stored, and free slots that want
//! jobs. The lanes take work from here; attempts and the waker put it here.
//!
//! Invariants: `running + reserved` grows only up to `concurrency` (it may be above after
//! `concurrency` was lowered); a slot is reserved while a claim for it is under way; an attempt
//! gives its slot back and leaves its settlement in one step. No lock is held across an await.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::store::advance::{Advance, Settlement};
use crate::store::{BATCH_BYTES, BATCH_JOBS};
use crate::worker::suspect::SuspectTurn;

/// Calls that may be under way at once, so that Redis and the handlers are busy together.
pub(crate) const LANES: usize = 2;
/// Below this a second call under way only makes both of them small.
const TWO_LANES_FROM: usize = 32;
/// A second call is worth its price when this part of the slots has something to store: what is
/// less goes with the next call, which the answer of the first one starts.
const SECOND_CALL_FOR: usize = 2;

/// Work for one call.
pub(crate) struct Work {
    pub(crate) settle: Vec<Settlement>,
    /// Slots reserved for what is claimed.
    pub(crate) claim: usize,
    /// Present if suspects may be among the claimed.
    pub(crate) suspects: Option<SuspectTurn>,
    /// Ask for jobs that others handed back, by the names of the handlers.
    pub(crate) by_name: bool,
    /// The last news of such jobs.
    pub(crate) heard: u64,
    /// Tell all workers of such jobs once more.
    pub(crate) again: bool,
}

impl Work {
    /// A call that only settles.
    pub(crate) fn settling(settle: Vec<Settlement>) -> Self {
        Self {
            settle,
            claim: 0,
            suspects: None,
            by_name: false,
            heard: 0,
            again: false,
        }
    }
}

/// What a call brought.
pub(crate) struct Brought {
    pub(crate) reserved: usize,
    pub(crate) settled: usize,
    pub(crate) claimed: usize,
    /// More could be claimed.
    pub(crate) more: bool,
    /// Suspects wait.
    pub(crate) suspects: bool,
    /// The call asked for them.
    pub(crate) suspects_asked: bool,
    /// The news of jobs that others handed back; 0 if there are none.
    pub(crate) unhandled: u64,
    /// The call asked for those it has handlers for.
    pub(crate) by_name: bool,
    /// The call itself made the news.
    pub(crate) made_news: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Claiming,
    /// Only settles.
    Draining,
    Closed,
}

struct State {
    phase: Phase,
    concurrency: usize,
    /// The application's runtime does not begin what is claimed.
    claims_pause: bool,
    running: usize,
    reserved: usize,
    calls: usize,
    /// How many bytes the next call of each lane may carry.
    limits: [usize; LANES],
    /// Settlements of the calls under way.
    settling: usize,
    inbox: VecDeque<Settlement>,
    /// There may be something to claim.
    look: bool,
    /// Suspects wait, as far as the last answer told.
    suspects: bool,
    /// Taken ahead for the next call, because suspects wait.
    turn: Option<SuspectTurn>,
    /// So many leases can be kept.
    reach: usize,
    /// The lanes that wait for work.
    waiting: [bool; LANES],
    /// The news of jobs that were handed back, a number: what the last answer said; what this worker
    /// has heard last from others; and what it was when this worker had taken all jobs that it has
    /// handlers for.
    unhandled: u64,
    heard: u64,
    looked: u64,
    /// All workers are to hear of them once more.
    again: bool,
}

impl State {
    /// Others handed back jobs, and this worker does not know yet that it has no handler for them.
    fn is_curious(&self) -> bool {
        self.unhandled != 0 && self.unhandled != self.looked
    }

    fn free(&self) -> usize {
        match self.phase {
            Phase::Claiming if self.claims_pause => 0,
            Phase::Claiming => {
                let taken = self.running + self.reserved;
                // Until it is stored, what has ended holds its lease.
                let leases = taken + self.inbox.len() + self.settling;
                let slots = self.concurrency.saturating_sub(taken);
                slots.min(self.reach.saturating_sub(leases))
            }
            Phase::Draining | Phase::Closed => 0,
        }
    }

    /// Whether there is a reason for a call now.
    fn is_ready(&self) -> bool {
        if self.inbox.is_empty() && !self.look {
            return false;
        }
        self.calls == 0 || self.inbox.len() >= self.concurrency.div_ceil(SECOND_CALL_FOR)
    }

    fn is_hungry(&self) -> bool {
        self.free() > 0 && self.calls == 0 && self.inbox.is_empty() && !self.look
    }

    fn lanes(&self) -> usize {
        if self.concurrency >= TWO_LANES_FROM {
            LANES
        } else {
            1
        }
    }
}

pub(crate) struct Board {
    state: Mutex<State>,
    lanes: [Notify; LANES],
    /// Something ended or was stored.
    progress: Notify,
    /// The worker may be hungry.
    hungry: Notify,
}

impl Board {
    pub(crate) fn new(concurrency: usize) -> Self {
        Self {
            state: Mutex::new(State {
                phase: Phase::Claiming,
                concurrency,
                claims_pause: false,
                running: 0,
                reserved: 0,
                calls: 0,
                limits: [BATCH_BYTES; LANES],
                settling: 0,
                inbox: VecDeque::new(),
                look: true,
                suspects: false,
                turn: None,
                reach: usize::MAX,
                waiting: [false; LANES],
                unhandled: 0,
                heard: 0,
                looked: 0,
                again: false,
            }),
            lanes: [const { Notify::const_new() }; LANES],
            progress: Notify::new(),
            hungry: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes a lane that waits, if there is work for it. A wake-up costs the library's thread much, so
    /// none may be in vain. A lane that is busy looks for work itself when its call is over.
    fn signal(&self, state: &mut State) {
        if !state.is_ready() {
            return;
        }
        if let Some(lane) = (0..state.lanes()).find(|lane| state.waiting[*lane]) {
            state.waiting[lane] = false;
            self.lanes[lane].notify_one();
        }
    }

    /// Tells who waits for something to end. Nobody does before the board is drained.
    fn tell_of_progress(&self, state: &State) {
        if state.phase != Phase::Claiming {
            self.progress.notify_waiters();
        }
    }

    /// The next work for this lane; `None` when the board is closed. Cancel safe.
    pub(crate) async fn work(&self, lane: usize) -> Option<Work> {
        loop {
            {
                let mut state = self.lock();
                if state.phase == Phase::Closed {
                    return None;
                }
                if lane < state.lanes()
                    && let Some(work) = take(&mut state, lane)
                {
                    self.signal(&mut state);
                    return Some(work);
                }
                state.waiting[lane] = true;
            }
            self.lanes[lane].notified().await;
        }
    }

    /// A call is answered.
    pub(crate) fn brought(&self, brought: &Brought) {
        let mut state = self.lock();
        state.calls -= 1;
        state.reserved -= brought.reserved;
        state.settling -= brought.settled;
        state.running += brought.claimed;
        state.suspects = brought.suspects;
        state.unhandled = brought.unhandled;
        // News that this worker made itself are passed on once more when it hears them: its own idle
        // slots may have been the first that they woke.
        if !brought.made_news {
            state.heard = brought.unhandled;
        }
        if brought.by_name && !brought.more {
            state.looked = brought.unhandled;
        }
        if state.free() > 0 {
            state.look |= brought.more || state.is_curious();
            if brought.suspects && !brought.suspects_asked && state.turn.is_none() {
                state.turn = SuspectTurn::try_take();
                state.look |= state.turn.is_some();
            }
        }
        self.signal(&mut state);
        // Only now: a wake-up in vain would cost the job that starts next a thread.
        if state.is_hungry() {
            self.hungry.notify_one();
        }
        self.tell_of_progress(&state);
    }

    /// So many bytes the next call of this lane may carry.
    pub(crate) fn limit(&self, lane: usize, bytes: usize) {
        self.lock().limits[lane] = bytes;
    }

    /// A call was not carried out, and never will be with these bytes. What it was to settle goes in two
    /// calls, which claim nothing, and which the same lane makes.
    pub(crate) fn divide(&self, work: Work) -> Vec<Work> {
        let mut first = work.settle;
        let second = first.split_off(first.len().div_ceil(2));
        let parts = [second, first].into_iter();
        let parts = parts.filter(|part| !part.is_empty());
        let parts: Vec<Work> = parts.map(Work::settling).collect();
        let mut state = self.lock();
        state.calls -= 1;
        state.calls += parts.len();
        state.reserved -= work.claim;
        state.look = true;
        state.again |= work.again;
        if state.turn.is_none() && state.free() > 0 {
            state.turn = work.suspects;
        }
        self.signal(&mut state);
        self.tell_of_progress(&state);
        parts
    }

    /// A call was not carried out: what it was to settle waits for the next one.
    pub(crate) fn take_back(&self, work: Work) {
        let mut state = self.lock();
        state.calls -= 1;
        state.reserved -= work.claim;
        state.settling -= work.settle.len();
        state.again |= work.again;
        state.inbox.extend(work.settle);
        self.signal(&mut state);
        self.tell_of_progress(&state);
    }

    /// An attempt has ended.
    pub(crate) fn ended(&self, settlement: Settlement) {
        let mut state = self.lock();
        state.running -= 1;
        state.inbox.push_back(settlement);
        self.signal(&mut state);
        self.tell_of_progress(&state);
    }

    /// There may be something to claim; answered with one call, even without a free slot.
    pub(crate) fn look(&self) {
        let mut state = self.lock();
        state.look = true;
        self.signal(&mut state);
    }

    /// The same, and all workers look once more for jobs that others handed back.
    pub(crate) fn look_again(&self) {
        self.lock().again = true;
        self.look();
    }

    /// Waits until the worker has slots that the last look could not fill. As long as calls
    /// follow one another, each of them looks, and nobody needs to wake the worker. It becomes
    /// hungry only when a call is answered. For one task; cancel safe.
    pub(crate) async fn hungry(&self) {
        while !self.lock().is_hungry() {
            self.hungry.notified().await;
        }
    }

    /// Claims nothing more until [`resume_claims`](Self::resume_claims).
    pub(crate) fn pause_claims(&self) {
        self.lock().claims_pause = true;
    }

    pub(crate) fn resume_claims(&self) {
        let mut state = self.lock();
        if state.claims_pause {
            state.claims_pause = false;
            state.look = true;
            self.signal(&mut state);
        }
    }

    pub(crate) fn is_claiming(&self) -> bool {
        self.lock().phase == Phase::Claiming
    }

    pub(crate) fn running(&self) -> usize {
        self.lock().running
    }

    pub(crate) fn concurrency(&self) -> usize {
        self.lock().concurrency
    }

    pub(crate) fn set_concurrency(&self, concurrency: usize) {
        let mut state = self.lock();
        state.concurrency = concurrency;
        state.look = true;
        self.signal(&mut state);
    }

    /// So many leases can be kept: the worker claims no more jobs than that.
    pub(crate) fn set_reach(&self, leases: usize) {
        let mut state = self.lock();
        let before = state.free();
        state.reach = leases;
        if before == 0 && state.free() > 0 {
            state.look = true;
            self.signal(&mut state);
        }
    }

    /// Claims nothing more.
    pub(crate) fn drain(&self) {
        let mut state = self.lock();
        state.phase = Phase::Draining;
        state.turn = None;
    }

    /// The lanes end.
    pub(crate) fn close(&self) {
        self.lock().phase = Phase::Closed;
        for lane in &self.lanes {
            lane.notify_one();
        }
    }

    /// Waits until no handler runs. Cancel safe.
    pub(crate) async fn idle(&self) {
        self.until(|state| state.running == 0).await;
    }

    /// Waits until everything that ended is stored and no call is under way. Cancel safe.
    pub(crate) async fn settled(&self) {
        self.until(|state| state.inbox.is_empty() && state.calls == 0 && !state.look)
            .await;
    }

    /// How many ended attempts are not known to be stored.
    pub(crate) fn unsettled(&self) -> usize {
        let state = self.lock();
        state.inbox.len() + state.settling
    }

    async fn until(&self, reached: impl Fn(&State) -> bool) {
        loop {
            let mut progress = std::pin::pin!(self.progress.notified());
            progress.as_mut().enable();
            if reached(&self.lock()) {
                return;
            }
            progress.await;
        }
    }
}

/// Everything that fits into one call, if there is a reason for one.
fn take(state: &mut State, lane: usize) -> Option<Work> {
    if !state.is_ready() {
        return None;
    }
    state.look = false;
    let mut settle = Vec::with_capacity(state.inbox.len().min(BATCH_JOBS));
    let mut bytes = 0;
    while let Some(next) = state.inbox.front() {
        bytes += next.bytes();
        if settle.len() == BATCH_JOBS || (bytes > state.limits[lane] && !settle.is_empty()) {
            break;
        }
        settle.extend(state.inbox.pop_front());
    }
    Advance::sort(&mut settle);
    let share = state.concurrency.div_ceil(state.lanes());
    let claim = state.free().min(share).min(BATCH_JOBS);
    state.reserved += claim;
    state.calls += 1;
    state.settling += settle.len();
    // Without a slot to use it, it goes back to the process. A worker that is always busy has
    // none to take it ahead for: it asks for a suspect whenever it can take anything.
    let ahead = state.turn.take();
    let suspects = match claim {
        0 => None,
        _ if state.suspects => ahead.or_else(SuspectTurn::try_take),
        _ => ahead,
    };
    Some(Work {
        settle,
        claim,
        suspects,
        by_name: claim > 0 && state.is_curious(),
        heard: state.heard,
        again: std::mem::take(&mut state.again),
    })
}

#[cfg(test)]
mod tests;
