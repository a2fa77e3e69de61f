//! The pump: lanes that settle and claim, each with one call under way.
//!
//! Who owns what: a lane owns its connection, its numbering, and the work of its current call
//! until that is answered. A call whose answer is lost is repeated under the same number until
//! it is answered; nothing is executed twice, and nothing that it claimed is forgotten. While a
//! call is under way, ended attempts pile up for the next: load makes the batches larger by
//! itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::sleep;
use tracing::{error, warn};

use crate::id::incarnation;
use crate::job::outcome::Outcome;
use crate::policy::retention::Retention;
use crate::queue::Queue;
use crate::schedule::builder::Declared;
use crate::store::advance::{Advanced, Claimed};
use crate::store::backend::Store;
use crate::time::{ServerClock, millis};
use crate::worker::alarm::Alarm;
use crate::worker::attempt::{attend, release};
use crate::worker::beginning::Beginning;
use crate::worker::board::{Board, Brought, Work};
use crate::worker::decide::{Rules, unstorable};
use crate::worker::extract::States;
use crate::worker::handler::Handlers;
use crate::worker::hooks::Hooks;
use crate::worker::lane::{Came, Lane, PAUSE_MAX};
use crate::worker::lease::{Lease, Leases};
use crate::worker::trouble::TroubleLog;
use crate::worker::waker::Waker;

/// So often a result has to be refused before its job is dead, unless the server says why.
const PROOFS: u32 = 5;
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
    /// When the server's clock last showed what nobody expected.
    jumped: Mutex<Option<Instant>>,
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
            jumped: Mutex::default(),
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
        let known = self
            .clock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(clock);
        let off_by = known.map_or(0, |known| known.now_ms().abs_diff(now_ms));
        if off_by > millis(CLOCK_TOLERANCE) {
            *self.jumped.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        clock
    }

    /// Whether the server's clock jumped less than this long ago.
    pub(crate) fn clock_jumped_within(&self, time: Duration) -> bool {
        let jumped = *self.jumped.lock().unwrap_or_else(PoisonError::into_inner);
        jumped.is_some_and(|jumped| jumped.elapsed() < time)
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

    /// One lane, until the board is closed. Attempts run on the runtime `application`.
    pub(crate) async fn lane(self: Arc<Self>, number: usize, application: Handle) {
        let mut lane = Lane::new(self.store());
        let mut limit = 0;
        loop {
            if limit != lane.bytes() {
                limit = lane.bytes();
                self.board.limit(number, limit);
            }
            let Some(work) = self.board.work(number).await else {
                return;
            };
            // What is refused goes in smaller parts, the last of these first.
            let (mut parts, mut proofs) = (vec![work], 0);
            while let Some(work) = parts.pop() {
                match lane.call(&self, &work).await {
                    Came::Answer(advanced, sent) => {
                        // What ends at once goes with the next call, together with what ended
                        // meanwhile: twice as many jobs a call.
                        self.absorb(work, advanced, sent, &application)
                            .begun()
                            .await;
                        proofs = 0;
                    }
                    Came::Refused { why, is_certain } => {
                        proofs += if is_certain { PROOFS } else { 1 };
                        parts.extend(self.divide(work, &why, proofs).await);
                    }
                    Came::Lost(why) => {
                        // Somebody else wrote to our keys or our lane. Whether the call did
                        // anything is not known; the fences protect what is sent again.
                        let (id, call) = lane.name();
                        error!(lane = id, call, why, "a call cannot be carried out");
                        lane.leave_behind();
                        self.take_back(work).await;
                    }
                }
            }
        }
    }

    async fn take_back(&self, work: Work) {
        self.board.take_back(work);
        sleep(PAUSE_MAX).await;
        // The reason for the call is not known any more, and may have been a token.
        self.board.look();
    }

    /// A call was refused as it is: what it was to settle goes in two. One result that nobody
    /// takes, however alone it is, is the end of its job: the work is done, and doing it again
    /// would give the same.
    async fn divide(&self, mut work: Work, why: &str, proofs: u32) -> Vec<Work> {
        if let ([one], 0) = (&mut work.settle[..], work.claim) {
            let Outcome::Completed(result) = &one.outcome else {
                self.take_back(work).await;
                return Vec::new();
            };
            if proofs >= PROOFS {
                let error = format!(
                    "the result has {} bytes and cannot be stored: {why}",
                    result.len()
                );
                warn!(queue = self.queue.name(), id = %one.id, error, "a job is dead");
                one.outcome = unstorable(error);
            }
            return vec![work];
        }
        warn!(
            queue = self.queue.name(),
            settle = work.settle.len(),
            why,
            "a call is refused each time; it is divided"
        );
        let was_empty = work.settle.is_empty();
        let parts = self.board.divide(work);
        if was_empty {
            sleep(PAUSE_MAX).await;
        }
        parts
    }

    /// Takes in what a call brought: frees what is settled, starts what is claimed.
    fn absorb(
        self: &Arc<Self>,
        work: Work,
        advanced: Advanced,
        sent: Instant,
        application: &Handle,
    ) -> Beginning {
        let clock = self.heard(advanced.now_ms);
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
            suspect_asked: work.suspect.is_some(),
        });
        let beginning = Beginning::new();
        let mut permit = work.suspect;
        for (claimed, lease) in advanced.claimed.into_iter().zip(leases) {
            if self.board.is_claiming() {
                let permit = if claimed.stalls > 0 {
                    permit.take()
                } else {
                    None
                };
                let attempt = attend(Arc::clone(self), claimed, lease, clock, permit);
                application.spawn(beginning.of(attempt));
            } else {
                // Claimed too late. Nobody else hands it back: its attempt was never handed over.
                lease.hand_back();
                self.board.ended(release(&lease));
            }
        }
        beginning
    }
}
