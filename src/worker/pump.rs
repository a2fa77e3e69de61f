//! The pump: lanes that settle and claim, each with one call under way.
//!
//! Who owns what: a lane owns its connection, its numbering, and the work of its current call
//! until that is answered. A call whose answer is lost is repeated under the same number until
//! it is answered; nothing is executed twice, and nothing that it claimed is forgotten. While a
//! call is under way, ended attempts pile up for the next: load makes the batches larger by
//! itself.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{error, warn};

use crate::id::incarnation;
use crate::job::outcome::Outcome;
use crate::policy::settings::QueueSettings;
use crate::queue::Queue;
use crate::runtime;
use crate::schedule::builder::Declared;
use crate::store::advance::{Advanced, Claimed, Settlement, Suspects};
use crate::store::backend::Store;
use crate::time::ServerClock;
use crate::worker::alarm::Alarm;
use crate::worker::attempt::{attend, release};
use crate::worker::beginning::{Beginning, Ticket};
use crate::worker::board::{Board, Brought, Work};
use crate::worker::decide::{Rules, finds_its_worker, unstorable};
use crate::worker::drift::Drift;
use crate::worker::extract::States;
use crate::worker::handler::Handlers;
use crate::worker::hooks::Hooks;
use crate::worker::lane::{Came, LARGE, Lane, PAUSE_MAX};
use crate::worker::lease::{Lease, Leases};
use crate::worker::settings::Declaration;
use crate::worker::suspect::SuspectTurn;
use crate::worker::trouble::TroubleLog;
use crate::worker::waker::Waker;

/// A result has to be refused so often before its job is dead, unless the server says why it refuses.
const PROOFS: u32 = 5;
/// A worker that was about to go idle may miss the news of a job that another one handed back: after
/// this time all hear them once more.
const NEWS_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// The server's clock may be off from what we expect by this much.
pub(crate) const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// Settings that do not change while the worker runs.
pub(crate) struct Config {
    pub(crate) lease: Duration,
    pub(crate) grace: Duration,
    pub(crate) dead_warning: u64,
    /// Of the queue, as far as the code declares any.
    pub(crate) queue_settings: Option<QueueSettings>,
}

/// Everything the parts of one worker share.
pub(crate) struct Pump {
    pub(crate) queue: Queue,
    pub(crate) config: Config,
    pub(crate) handlers: Handlers,
    /// The names of these.
    pub(crate) names: Vec<&'static str>,
    pub(crate) states: Arc<States>,
    pub(crate) rules: Rules,
    pub(crate) hooks: Hooks,
    pub(crate) board: Board,
    pub(crate) leases: Leases,
    pub(crate) waker: Waker,
    /// When this worker has to fire ticks.
    pub(crate) ticks: Alarm,
    pub(crate) declaration: Declaration,
    /// What its code declares.
    pub(crate) schedules: Vec<Declared>,
    pub(crate) trouble: TroubleLog,
    /// This worker, in this process, in this life.
    pub(crate) id: String,
    clock: Mutex<Option<ServerClock>>,
    drift: Mutex<Drift>,
    /// The server's clock jumped, and recovery does not know of it yet.
    jumped: AtomicBool,
    /// When it jumped last.
    jumped_at: Mutex<Option<Instant>>,
    /// Every lease is to be renewed, whether or not it is time.
    pub(crate) renew: Notify,
    /// The application's runtime, once the worker runs.
    pub(crate) application: OnceLock<Handle>,
    epoch: Instant,
    alive_ms: AtomicU64,
}

/// What is the application's (states, handlers, hooks) is never dropped on the library's thread, where
/// it might wait for something, and find no runtime of the application's.
impl Drop for Pump {
    fn drop(&mut self) {
        if runtime::is_here() {
            let handlers = mem::take(&mut self.handlers);
            let states = mem::take(&mut self.states);
            let strategies = mem::take(&mut self.rules.strategies);
            let hooks = self.hooks.take();
            let theirs = (handlers, states, strategies, hooks);
            runtime::drop_elsewhere(theirs, self.application.take());
        }
    }
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
        let mut names = handlers.names();
        names.retain(|name| finds_its_worker(name));
        names.sort_unstable();
        let trouble = TroubleLog::new(queue.name());
        Self {
            queue,
            declaration: Declaration::new(config.queue_settings),
            config,
            handlers,
            names,
            states: Arc::new(states),
            rules,
            hooks,
            board: Board::new(concurrency),
            leases: Leases::default(),
            waker: Waker::new(),
            ticks: Alarm::new(),
            schedules,
            trouble,
            id: incarnation(),
            clock: Mutex::default(),
            drift: Mutex::new(Drift::new(CLOCK_TOLERANCE)),
            jumped: AtomicBool::new(false),
            jumped_at: Mutex::default(),
            renew: Notify::new(),
            application: OnceLock::new(),
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

    /// The same, in answer to a call that was sent at `sent`. Also checks whether the clock goes as fast
    /// as ours: if it has jumped, all leases are renewed at once, and recovery is told.
    pub(crate) fn heard_after(&self, sent: Instant, now_ms: u64) -> ServerClock {
        let jumped = self.drift().heard(now_ms, sent, Instant::now());
        if jumped {
            warn!(
                queue = self.queue.name(),
                "the clock of Redis jumped: all leases are renewed, and none is judged"
            );
            self.jumped.store(true, Ordering::Release);
            *self.jumped_at() = Some(Instant::now());
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

    fn jumped_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.jumped_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server's clock jumped less than this long ago.
    pub(crate) fn clock_jumped_within(&self, time: Duration) -> bool {
        self.jumped_at().is_some_and(|at| at.elapsed() < time)
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

    /// One lane, until the board is closed. Attempts run on the runtime `application`.
    pub(crate) async fn lane(self: Arc<Self>, number: usize, application: Handle) {
        self.declaration.begin(&self).await;
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
            // A call that is refused is divided into parts; the last part is sent first.
            let (mut parts, mut proofs) = (vec![work], 0);
            while let Some(work) = parts.pop() {
                match lane.call(&self, &work).await {
                    Came::Answer(advanced, sent) => {
                        // Attempts that end at once go with the next call, together with those that
                        // ended meanwhile: so a call carries twice as many jobs.
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
                        error!(
                            queue = self.queue.name(),
                            lane = id,
                            call,
                            why,
                            "a call cannot be carried out"
                        );
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

    /// A call was refused, and would be refused again: it is divided into two. A single result that is
    /// refused is the end of its job: the work is done, and doing it again would give the same result. But
    /// a small one is never too large: the reason is another one, and may pass.
    async fn divide(&self, mut work: Work, why: &str, proofs: u32) -> Vec<Work> {
        if let ([one], 0) = (&mut work.settle[..], work.claim) {
            let Outcome::Completed(result) = &one.outcome else {
                self.take_back(work).await;
                return Vec::new();
            };
            if result.size() < LARGE {
                warn!(queue = self.queue.name(), id = %one.id, why, "a small result is refused; it is sent again");
                self.take_back(work).await;
                return Vec::new();
            }
            if proofs >= PROOFS {
                let error = format!(
                    "the result has {} bytes and cannot be stored: {why}",
                    result.size()
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

    /// The suspects that this call may bring.
    pub(crate) fn suspects(&self, work: &Work) -> Suspects {
        let turn = work.suspects.as_ref();
        turn.map_or_else(Suspects::default, SuspectTurn::suspects)
    }

    /// Takes in what a call brought: frees what is settled, starts what is claimed.
    fn absorb(
        self: &Arc<Self>,
        mut work: Work,
        advanced: Advanced,
        sent: Instant,
        application: &Handle,
    ) -> Beginning {
        let clock = self.heard_after(sent, advanced.now_ms);
        self.leases.remove(work.settle.iter().map(|s| s.fence));
        self.hooks.tell_settled(&mut work.settle, &advanced.refused);
        self.waker.timer.set_by(clock, advanced.next_at_ms);
        self.ticks.set_by(clock, advanced.tick_ms);
        let handed_back = self.tell_again_of(&work.settle);
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
            unhandled: advanced.unhandled,
            by_name: work.by_name && !advanced.repeated,
            made_news: handed_back || work.again,
        });
        let beginning = Beginning::new();
        let mut permits = Vec::new();
        if let Some(turn) = work.suspects {
            let suspects = advanced.claimed.iter().filter(|claimed| claimed.stalls > 0);
            let lonely = suspects.clone().any(|claimed| claimed.alone);
            permits = turn.brought(suspects.count(), lonely);
        }
        let mut attempts = Vec::with_capacity(leases.len());
        for (claimed, lease) in advanced.claimed.into_iter().zip(leases) {
            if self.board.is_claiming() {
                let permit = if claimed.stalls > 0 {
                    permits.pop()
                } else {
                    None
                };
                attempts.push((claimed, lease, permit, beginning.ticket()));
            } else {
                // Claimed too late. No other code gives it back: its attempt was never handed over.
                lease.give_back();
                self.board.ended(release(&lease));
            }
        }
        if let Some(last) = attempts.pop() {
            let pump = Arc::clone(self);
            let attend = move |(claimed, lease, permit, ticket): (_, _, _, Ticket)| {
                ticket.of(attend(Arc::clone(&pump), claimed, lease, clock, permit))
            };
            // One task for all: each alone would wake the application's threads again and again. It
            // becomes the attempt of one of them.
            application.spawn(async move {
                for one in attempts {
                    tokio::spawn(attend(one));
                }
                attend(last).await;
            });
        }
        beginning
    }
}

impl Pump {
    /// Whether any of these jobs was handed back by its name. If so, all workers hear of it once more in a
    /// moment, and again when the job may be too old.
    fn tell_again_of(&self, settled: &[Settlement]) -> bool {
        let mut handed_back = false;
        for settlement in settled {
            if let Outcome::Bounced { after, name, .. } = &settlement.outcome
                && name.is_some()
            {
                handed_back = true;
                let now = Instant::now();
                self.waker.news.set(now + NEWS_AGAIN_AFTER);
                self.waker.overdue.set(now + *after);
            }
        }
        handed_back
    }
}
