//! The pump: lanes that settle and claim, each with one call under way.
//!
//! Who owns what: a lane owns its connection, its numbering, and the work of its current call
//! until that is answered. A call whose answer is lost is repeated under the same number until
//! it is answered; nothing is executed twice, and nothing that it claimed is forgotten. While a
//! call is under way, ended attempts pile up for the next: load makes the batches larger by
//! itself.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::sleep;
use tracing::{error, warn};

use crate::id::incarnation;
use crate::job::outcome::Outcome;
use crate::policy::pauses::Pauses;
use crate::policy::retention::Retention;
use crate::queue::Queue;
use crate::redis::trouble::Trouble;
use crate::schedule::builder::Declared;
use crate::store::BATCH_BYTES;
use crate::store::advance::{Advance, Advanced, Answer, Claimed, Settlement, Suspects};
use crate::store::backend::{ANSWER_PATIENCE, Line, Store};
use crate::time::{ServerClock, millis};
use crate::worker::alarm::Alarm;
use crate::worker::attempt::attend;
use crate::worker::board::{Board, Brought, Work};
use crate::worker::decide::Rules;
use crate::worker::drift::Drift;
use crate::worker::extract::States;
use crate::worker::handler::Handlers;
use crate::worker::hooks::Hooks;
use crate::worker::lease::{Lease, Leases};
use crate::worker::trouble::TroubleLog;
use crate::worker::waker::Waker;

/// Before a call is repeated.
const PAUSES: Pauses = Pauses::between(Duration::from_millis(10), PAUSE_MAX);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The server's clock may be off from what we expect by this much.
pub(crate) const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// Settings that do not change while the worker runs.
pub(crate) struct Config {
    pub(crate) lease: Duration,
    pub(crate) grace: Duration,
    pub(crate) max_stalls: u32,
    pub(crate) keep: Retention,
    pub(crate) keep_count: u64,
    pub(crate) dead_warning: u64,
}

/// Everything the parts of one worker share.
pub(crate) struct Pump {
    pub(crate) queue: Queue,
    pub(crate) config: Config,
    pub(crate) handlers: Handlers,
    pub(crate) states: Arc<States>,
    pub(crate) rules: Rules,
    pub(crate) hooks: Hooks,
    pub(crate) board: Board,
    pub(crate) leases: Leases,
    pub(crate) waker: Waker,
    /// When this worker has to fire ticks.
    pub(crate) ticks: Alarm,
    /// What its code declares.
    pub(crate) schedules: Vec<Declared>,
    pub(crate) trouble: TroubleLog,
    /// This worker, in this process, in this life.
    pub(crate) id: String,
    clock: Mutex<Option<ServerClock>>,
    drift: Mutex<Drift>,
    /// The server's clock jumped, and recovery does not know of it yet.
    jumped: AtomicBool,
    /// Every lease is to be renewed, whether or not it is time.
    pub(crate) renew: Notify,
    epoch: Instant,
    alive_ms: AtomicU64,
}

impl Pump {
    #[allow(
        clippy::too_many_arguments,
        reason = "what a builder has checked, handed over once"
    )]
    pub(crate) fn new(
        queue: Queue,
        concurrency: usize,
        config: Config,
        handlers: Handlers,
        states: States,
        rules: Rules,
        hooks: Hooks,
        schedules: Vec<Declared>,
    ) -> Self {
        Self {
            queue,
            config,
            handlers,
            states: Arc::new(states),
            rules,
            hooks,
            board: Board::new(concurrency),
            leases: Leases::default(),
            waker: Waker::new(),
            ticks: Alarm::new(),
            schedules,
            trouble: TroubleLog::default(),
            id: incarnation(),
            clock: Mutex::default(),
            drift: Mutex::new(Drift::new(CLOCK_TOLERANCE)),
            jumped: AtomicBool::new(false),
            renew: Notify::new(),
            epoch: Instant::now(),
            alive_ms: AtomicU64::new(0),
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.queue.inner.store
    }

    /// What is known of the server's clock, if anything yet.
    pub(crate) fn clock(&self) -> Option<ServerClock> {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server has just said what its clock shows.
    pub(crate) fn heard(&self, now_ms: u64) -> ServerClock {
        let clock = ServerClock::heard_now(now_ms);
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock);
        clock
    }

    /// The same, in answer to a call that was sent then: whether the clock goes as ours does. If it
    /// has jumped, all leases are renewed at once, and recovery is told.
    pub(crate) fn heard_after(&self, sent: Instant, now_ms: u64) -> ServerClock {
        let jumped = self.drift().heard(now_ms, sent, Instant::now());
        if jumped {
            warn!("the clock of Redis jumped: all leases are renewed, and none is judged");
            self.jumped.store(true, Ordering::Release);
            self.renew.notify_one();
        }
        self.heard(now_ms)
    }

    /// What the server's clock should show now, once it has been known for this long.
    pub(crate) fn expected_ms(&self, known_for: Duration) -> Option<u64> {
        self.drift().expected_ms(known_for, Instant::now())
    }

    fn drift(&self) -> MutexGuard<'_, Drift> {
        self.drift.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server's clock has jumped since this was last asked.
    pub(crate) fn take_jump(&self) -> bool {
        self.jumped.swap(false, Ordering::AcqRel)
    }

    /// Recovery could not be told.
    pub(crate) fn keep_jump(&self) {
        self.jumped.store(true, Ordering::Release);
    }

    /// The application's runtime gives a sign of life.
    pub(crate) fn beat(&self) {
        let now_ms = self.epoch.elapsed().as_millis() as u64;
        self.alive_ms.store(now_ms, Ordering::Relaxed);
    }

    /// For how long it has given none.
    pub(crate) fn silent_for(&self) -> Duration {
        let alive = Duration::from_millis(self.alive_ms.load(Ordering::Relaxed));
        self.epoch.elapsed().saturating_sub(alive)
    }

    /// One lane, until the board is closed.
    pub(crate) async fn lane(self: Arc<Self>, number: usize) {
        let mut line = self.store().line(ANSWER_PATIENCE);
        let mut lane = incarnation();
        let mut call = 0;
        while let Some(work) = self.board.work(number).await {
            call += 1;
            match self.call(&mut line, &lane, call, &work).await {
                Ok((advanced, sent)) => {
                    self.absorb(work, advanced, sent);
                    // What was claimed begins, and what of it ends at once goes with the next
                    // call, together with what ended meanwhile: twice as many jobs a call.
                    yield_now().await;
                }
                Err(why) => {
                    // Somebody else wrote to our keys or our lane. Whether the call did
                    // anything is not known; the fences protect what is sent again.
                    error!(lane, call, why, "a call cannot be carried out");
                    lane = incarnation();
                    call = 0;
                    self.board.take_back(work);
                    sleep(PAUSE_MAX).await;
                    // The reason for the call is not known any more, and may have been a token.
                    self.board.look();
                }
            }
        }
    }

    /// Repeats one call until it is answered. Gives the answer, and when that was asked for,
    /// from which on the leases in it count.
    async fn call(
        &self,
        line: &mut Line,
        lane: &str,
        call: u64,
        work: &Work,
    ) -> Result<(Advanced, Instant), String> {
        let settled_bytes: usize = work.settle.iter().map(Settlement::bytes).sum();
        let mut pauses = PAUSES;
        loop {
            let sent = Instant::now();
            let verb = Advance {
                lane,
                call,
                worker: &self.id,
                settle: &work.settle,
                keep: self.config.keep,
                keep_count: self.config.keep_count,
                claim: work.claim,
                claim_bytes: BATCH_BYTES.saturating_sub(settled_bytes),
                suspects: self.suspects(work),
                lease_ms: millis(self.config.lease),
                hold: self.board.is_claiming(),
            };
            match line.call(&verb).await {
                Ok(Answer::Advanced(advanced)) => {
                    self.trouble.clear(&self.hooks);
                    return Ok((advanced, sent));
                }
                Ok(Answer::Superseded) => return Err("it is superseded".to_owned()),
                Err(Trouble::Garbled(why)) => return Err(why),
                Err(trouble) => {
                    self.trouble.note(&trouble, &self.hooks);
                    sleep(pauses.next(fastrand::f64())).await;
                }
            }
        }
    }

    fn suspects(&self, work: &Work) -> Suspects {
        let turn = work.suspects.as_ref();
        turn.map_or_else(Suspects::default, |turn| {
            turn.suspects(self.config.max_stalls)
        })
    }

    /// Takes in what a call brought: frees what is settled, starts what is claimed.
    fn absorb(self: &Arc<Self>, work: Work, advanced: Advanced, sent: Instant) {
        let clock = self.heard_after(sent, advanced.now_ms);
        self.leases.remove(work.settle.iter().map(|s| s.fence));
        self.hooks.tell_settled(&work.settle, &advanced.refused);
        self.waker.timer.set_by(clock, advanced.next_at_ms);
        self.ticks.set_by(clock, advanced.tick_ms);
        let length = self.config.lease;
        let lease = |claimed: &Claimed| Arc::new(Lease::new(claimed, sent, length));
        let leases: Vec<_> = advanced.claimed.iter().map(lease).collect();
        self.leases.add(leases.iter().cloned());
        self.board.brought(&Brought {
            reserved: work.claim,
            settled: work.settle.len(),
            claimed: leases.len(),
            more: advanced.more,
            suspects: advanced.suspects > 0,
            suspects_asked: work.suspects.is_some(),
        });
        let mut permits = Vec::new();
        if let Some(turn) = work.suspects {
            let stalls = advanced.claimed.iter().map(|claimed| claimed.stalls);
            let stalls: Vec<u32> = stalls.filter(|stalls| *stalls > 0).collect();
            permits = turn.brought(&stalls, self.config.max_stalls);
        }
        for (claimed, lease) in advanced.claimed.into_iter().zip(leases) {
            if self.board.is_claiming() {
                let permit = if claimed.stalls > 0 {
                    permits.pop()
                } else {
                    None
                };
                let attempt = attend(Arc::clone(self), claimed, lease, clock, permit);
                tokio::spawn(attempt);
            } else {
                self.board.ended(release(&claimed));
            }
        }
    }
}

/// Claimed too late: back to its place, untouched.
fn release(claimed: &Claimed) -> Settlement {
    Settlement {
        id: claimed.id.clone(),
        fence: claimed.fence,
        receipt: claimed.receipt.clone(),
        keep: None,
        outcome: Outcome::Released,
    }
}
