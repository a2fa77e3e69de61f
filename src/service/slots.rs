//! The slots of a worker, and the outcomes that wait to be stored. Lanes take their next call from here;
//! attempts, timers and the wait for work put here what there is to do.
//!
//! Invariants: `running + reserved` grows only up to `concurrency` (it may be above after
//! `concurrency` was lowered); a slot is reserved while a claim for it is under way; an attempt
//! gives its slot back and leaves its settlement in one step. No lock is held across an await.

mod next_call;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::service::suspect::SuspectTurn;
use crate::store::BATCH_BYTES;
use crate::store::advance::Settlement;

pub(crate) use next_call::{LANES, NextCall};

/// What a call brought.
pub(crate) struct Brought {
    pub(crate) reserved: usize,
    pub(crate) settled: usize,
    pub(crate) claimed: usize,
    /// More could be claimed.
    pub(crate) more: bool,
    /// The queue has jobs with traits.
    pub(crate) traits: bool,
    /// The call asked for them.
    pub(crate) traits_asked: bool,
    /// Limits of the queue hold back what waits.
    pub(crate) held: bool,
    /// Suspects wait.
    pub(crate) suspects: bool,
    /// The call asked for them.
    pub(crate) suspects_asked: bool,
    /// The news of jobs that other workers handed back; 0 if there are no such jobs.
    pub(crate) unhandled: u64,
    /// The call asked for such jobs, by the names of the worker's handlers.
    pub(crate) by_name: bool,
    /// The call itself handed a job back, and so changed the news.
    pub(crate) made_news: bool,
    /// The call was made because of the wake-up token.
    pub(crate) woken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Claiming,
    /// Only settles.
    Draining,
    Closed,
}

struct SlotsState {
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
    leases_max: usize,
    /// The lanes that wait for call.
    waiting: [bool; LANES],
    /// The news of jobs that were handed back, a number. `unhandled`: in the last answer, and so the last that this worker
    /// passed on; `heard`: the last for which the token woke this worker; `looked`: when this worker had taken all such jobs
    /// that it has handlers for.
    unhandled: u64,
    heard: u64,
    looked: u64,
    /// The token, or a timeout in its place, woke this worker, and no call was made since.
    woken: bool,
    /// The next call has all workers told once more of jobs that were handed back.
    again: bool,
    /// When an answer last said that the queue has jobs with traits.
    traits_at: Option<Instant>,
}

pub(crate) struct Slots {
    state: Mutex<SlotsState>,
    lanes: [Notify; LANES],
    /// Something ended or was stored.
    progress: Notify,
    /// The worker may want jobs.
    wants_jobs: Notify,
}

impl Slots {
    pub(crate) fn new(concurrency: usize) -> Self {
        Self {
            state: Mutex::new(SlotsState {
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
                leases_max: usize::MAX,
                waiting: [false; LANES],
                unhandled: 0,
                heard: 0,
                looked: 0,
                woken: false,
                again: false,
                traits_at: None,
            }),
            lanes: [const { Notify::const_new() }; LANES],
            progress: Notify::new(),
            wants_jobs: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, SlotsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes a lane that waits, if there is work for it. A wake-up costs the library's thread much, so
    /// a lane is never woken without work. A lane that is busy looks for work itself when its call is over.
    fn signal(&self, state: &mut SlotsState) {
        if !state.is_ready() {
            return;
        }
        if let Some(lane) = (0..state.lanes()).find(|lane| state.waiting[*lane]) {
            state.waiting[lane] = false;
            self.lanes[lane].notify_one();
        }
    }

    /// Wakes the tasks that wait for something to end. There are none before the worker drains.
    fn tell_of_progress(&self, state: &SlotsState) {
        if state.phase != Phase::Claiming {
            self.progress.notify_waiters();
        }
    }

    /// The next call of this lane, as soon as there is a reason for one; `None` when the slots are closed. Cancel
    /// safe.
    pub(crate) async fn next_call(&self, lane: usize) -> Option<NextCall> {
        loop {
            {
                let mut state = self.lock();
                if state.phase == Phase::Closed {
                    return None;
                }
                if lane < state.lanes()
                    && let Some(call) = state.take_call(lane)
                {
                    self.signal(&mut state);
                    return Some(call);
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
        if brought.traits {
            state.traits_at = Some(Instant::now());
        }
        // Each call that brings news for the first time arms the token. This worker may pop that token itself: its own idle
        // slots may have waited longest. So only news for which the token woke it have come to it from another worker, and it
        // passes on all others once more when it is woken.
        if brought.woken && !brought.made_news {
            state.heard = brought.unhandled;
        }
        if brought.by_name && !brought.more && !brought.held {
            state.looked = brought.unhandled;
        }
        // What has expired ends with a call that asks for jobs with traits, also while nothing is claimed.
        if brought.traits && !brought.traits_asked && state.free() > 0 {
            state.look = true;
        }
        // Limits hold back jobs that others handed back, and this worker has not said that it has handlers for them: it says so, for then it is
        // woken when they hold nothing back any more.
        if state.free() > 0 && brought.held && !brought.by_name {
            state.look |= state.may_take_unhandled();
        }
        // What limits hold back is asked for with the next call, which is made when they hold it back no longer.
        if state.free() > 0 && !brought.held {
            state.look |= brought.more || state.may_take_unhandled();
            if brought.suspects && !brought.suspects_asked && state.turn.is_none() {
                state.turn = SuspectTurn::try_take();
                state.look |= state.turn.is_some();
            }
        }
        self.signal(&mut state);
        // Last, when it is known whether jobs are wanted: a needless wake-up would occupy a thread that the next job
        // could use.
        if state.wants_jobs() {
            self.wants_jobs.notify_one();
        }
        self.tell_of_progress(&state);
    }

    /// Sets how many bytes the next call of this lane may carry.
    pub(crate) fn limit(&self, lane: usize, bytes: usize) {
        self.lock().limits[lane] = bytes;
    }

    /// A call was not carried out, and never will be with these bytes. The same lane stores its outcomes in two
    /// calls, which claim nothing.
    pub(crate) fn divide(&self, call: NextCall) -> Vec<NextCall> {
        let mut first = call.settle;
        let second = first.split_off(first.len().div_ceil(2));
        let parts = [second, first].into_iter();
        let parts = parts.filter(|part| !part.is_empty());
        let parts: Vec<NextCall> = parts.map(NextCall::settling).collect();
        let mut state = self.lock();
        state.calls -= 1;
        state.calls += parts.len();
        state.reserved -= call.claim;
        state.look = true;
        state.again |= call.again;
        state.woken |= call.woken;
        if state.turn.is_none() && state.free() > 0 {
            state.turn = call.suspects;
        }
        self.signal(&mut state);
        self.tell_of_progress(&state);
        parts
    }

    /// A call was not carried out: its outcomes wait for the next call.
    pub(crate) fn take_back(&self, call: NextCall) {
        let mut state = self.lock();
        state.calls -= 1;
        state.reserved -= call.claim;
        state.settling -= call.settle.len();
        state.again |= call.again;
        state.woken |= call.woken;
        state.inbox.extend(call.settle);
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

    /// The same, because of the wake-up token, or of a timeout in its place.
    pub(crate) fn wake(&self) {
        self.lock().woken = true;
        self.look();
    }

    /// Looks, and all workers look once more for jobs that were handed back.
    pub(crate) fn look_again(&self) {
        self.lock().again = true;
        self.look();
    }

    /// Waits until the worker has slots that the last call could not fill. As long as calls follow one
    /// another, each of them claims what there is, and the worker needs no wake-up. For one task; cancel safe.
    pub(crate) async fn want_jobs(&self) {
        while !self.lock().wants_jobs() {
            self.wants_jobs.notified().await;
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

    /// Sets how many leases can be kept: the worker claims no more jobs than that.
    pub(crate) fn limit_leases(&self, leases: usize) {
        let mut state = self.lock();
        let before = state.free();
        state.leases_max = leases;
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

    async fn until(&self, reached: impl Fn(&SlotsState) -> bool) {
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

#[cfg(test)]
mod tests;
