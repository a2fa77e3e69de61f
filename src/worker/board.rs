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
use crate::worker::suspect::SuspectPermit;

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
    /// Present if a suspect may be among the claimed.
    pub(crate) suspect: Option<SuspectPermit>,
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
    /// The call asked for one.
    pub(crate) suspect_asked: bool,
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
    permit: Option<SuspectPermit>,
}

impl State {
    fn free(&self) -> usize {
        match self.phase {
            Phase::Claiming if self.claims_pause => 0,
            Phase::Claiming => self
                .concurrency
                .saturating_sub(self.running + self.reserved),
            Phase::Draining | Phase::Closed => 0,
        }
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
                permit: None,
            }),
            lanes: [const { Notify::const_new() }; LANES],
            progress: Notify::new(),
            hungry: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, state: &State) {
        for lane in &self.lanes[..state.lanes()] {
            lane.notify_one();
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
                    if !state.inbox.is_empty() {
                        self.signal(&state);
                    }
                    return Some(work);
                }
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
        if state.free() > 0 {
            state.look |= brought.more;
            if brought.suspects && !brought.suspect_asked && state.permit.is_none() {
                state.permit = SuspectPermit::try_take();
                state.look |= state.permit.is_some();
            }
        }
        if state.look || !state.inbox.is_empty() {
            self.signal(&state);
        }
        // Only now: a wake-up in vain would cost the job that starts next a thread.
        if state.is_hungry() {
            self.hungry.notify_one();
        }
        self.progress.notify_waiters();
    }

    /// So many bytes the next call of this lane may carry.
    pub(crate) fn limit(&self, lane: usize, bytes: usize) {
        self.lock().limits[lane] = bytes;
    }

    /// A call was not carried out, and will not be as it is. What it was to settle goes in two
    /// calls, which claim nothing, to be made by the same lane.
    pub(crate) fn divide(&self, work: Work) -> Vec<Work> {
        let mut first = work.settle;
        let second = first.split_off(first.len().div_ceil(2));
        let part = |settle: Vec<Settlement>| Work {
            settle,
            claim: 0,
            suspect: None,
        };
        let parts = [second, first].into_iter();
        let parts: Vec<Work> = parts.filter(|part| !part.is_empty()).map(part).collect();
        let mut state = self.lock();
        state.calls -= 1;
        state.calls += parts.len();
        state.reserved -= work.claim;
        state.look = true;
        if state.permit.is_none() && state.free() > 0 {
            state.permit = work.suspect;
        }
        self.signal(&state);
        self.progress.notify_waiters();
        parts
    }

    /// A call was not carried out: what it was to settle waits for the next one.
    pub(crate) fn take_back(&self, work: Work) {
        let mut state = self.lock();
        state.calls -= 1;
        state.reserved -= work.claim;
        state.settling -= work.settle.len();
        state.inbox.extend(work.settle);
        self.signal(&state);
        self.progress.notify_waiters();
    }

    /// An attempt has ended.
    pub(crate) fn ended(&self, settlement: Settlement) {
        let mut state = self.lock();
        state.running -= 1;
        state.inbox.push_back(settlement);
        self.signal(&state);
        self.progress.notify_waiters();
    }

    /// There may be something to claim; answered with one call, even without a free slot.
    pub(crate) fn look(&self) {
        let mut state = self.lock();
        state.look = true;
        self.signal(&state);
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
        state.claims_pause = false;
        state.look = true;
        self.signal(&state);
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
        self.signal(&state);
    }

    /// Claims nothing more.
    pub(crate) fn drain(&self) {
        let mut state = self.lock();
        state.phase = Phase::Draining;
        state.permit = None;
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
    if state.inbox.is_empty() && !state.look {
        return None;
    }
    if state.calls > 0 && state.inbox.len() < state.concurrency.div_ceil(SECOND_CALL_FOR) {
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
    let ahead = state.permit.take();
    let suspect = match claim {
        0 => None,
        _ if state.suspects => ahead.or_else(SuspectPermit::try_take),
        _ => ahead,
    };
    Some(Work {
        settle,
        claim,
        suspect,
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::id::{Fence, JobId, Receipt};
    use crate::job::outcome::Outcome;

    fn settlement(bytes: usize) -> Settlement {
        Settlement {
            id: JobId::generate(),
            fence: Fence(1),
            receipt: Receipt::new("1 2 worker"),
            keep: None,
            outcome: Outcome::Completed(vec![0; bytes]),
        }
    }

    fn answered(board: &Board, work: &Work, claimed: usize) {
        board.brought(&Brought {
            reserved: work.claim,
            settled: work.settle.len(),
            claimed,
            more: false,
            suspects: false,
            suspect_asked: false,
        });
    }

    #[tokio::test]
    async fn never_claims_more_than_the_free_slots() {
        let board = Board::new(100);
        let first = board.work(0).await.unwrap();
        assert_eq!(first.claim, 50);
        answered(&board, &first, 50);
        board.look();
        let second = board.work(0).await.unwrap();
        assert_eq!(second.claim, 50);
        answered(&board, &second, 50);
        board.look();
        assert_eq!(board.work(0).await.unwrap().claim, 0);
    }

    #[tokio::test]
    async fn a_second_call_waits_until_it_is_worth_its_price() {
        let board = Board::new(100);
        let first = board.work(0).await.unwrap();
        answered(&board, &first, 50);
        board.ended(settlement(1));
        let second = board.work(0).await.unwrap();
        assert_eq!((second.settle.len(), second.claim), (1, 50));

        for _ in 0..49 {
            board.ended(settlement(1));
        }
        assert!(board.work(1).now_or_never().is_none());
        answered(&board, &second, 1);
        let third = board.work(1).await.unwrap();
        assert_eq!((third.settle.len(), third.claim), (49, 50));

        board.ended(settlement(1));
        assert!(
            board.work(0).now_or_never().is_none(),
            "the third is under way"
        );
        answered(&board, &third, 50);
        assert_eq!(board.work(0).await.unwrap().settle.len(), 1);
    }

    #[tokio::test]
    async fn g7_settles_a_bounded_batch_and_leaves_the_rest() {
        let board = Board::new(1000);
        let work = board.work(0).await.unwrap();
        answered(&board, &work, work.claim);
        for _ in 0..work.claim {
            board.ended(settlement(600 * 1024));
        }
        let work = board.work(0).await.unwrap();
        assert_eq!(work.settle.len(), 1);
        assert_eq!(work.claim, BATCH_JOBS);
    }

    #[tokio::test]
    async fn a_call_that_is_refused_goes_in_two_and_gives_its_slots_back() {
        let board = Board::new(10);
        let work = board.work(0).await.unwrap();
        answered(&board, &work, 5);
        for _ in 0..3 {
            board.ended(settlement(1));
        }
        let work = board.work(0).await.unwrap();
        assert_eq!((work.settle.len(), work.claim), (3, 8));
        let parts = board.divide(work);
        let sizes = parts.iter().map(|part| (part.settle.len(), part.claim));
        assert_eq!(sizes.collect::<Vec<_>>(), [(1, 0), (2, 0)]);
        assert_eq!(board.unsettled(), 3);
        for part in &parts {
            answered(&board, part, 0);
        }
        assert_eq!(board.unsettled(), 0);
        // What it was to claim is looked for again.
        let next = board.work(0).await.unwrap();
        assert_eq!((next.settle.len(), next.claim), (0, 8));
        // Nothing to settle leaves nothing.
        assert!(board.divide(next).is_empty());
        board.limit(0, 100);
        for _ in 0..2 {
            board.ended(settlement(60));
        }
        assert_eq!(board.work(0).await.unwrap().settle.len(), 1);
    }

    #[tokio::test]
    async fn drains_without_claiming_and_then_closes() {
        let board = Board::new(10);
        let work = board.work(0).await.unwrap();
        answered(&board, &work, 1);
        board.drain();
        board.ended(settlement(1));
        let work = board.work(0).await.unwrap();
        assert_eq!((work.settle.len(), work.claim), (1, 0));
        answered(&board, &work, 0);
        board.settled().await;
        board.close();
        assert!(board.work(0).await.is_none());
    }
}
