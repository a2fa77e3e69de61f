//! The server's clock, as one worker knows it: what it shows, and whether it has jumped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::service::drift::Drift;
use crate::time::ServerClock;

/// The server's clock may be off from what is expected by this much.
pub(crate) const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// Watches the clock of the server, by what its answers say of it.
pub(crate) struct ClockWatch {
    known: Mutex<Option<ServerClock>>,
    drift: Mutex<Drift>,
    /// It jumped, and recovery does not know of it yet.
    jumped: AtomicBool,
    /// When it jumped last.
    jumped_at: Mutex<Option<Instant>>,
}

impl Default for ClockWatch {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            drift: Mutex::new(Drift::new(CLOCK_TOLERANCE)),
            jumped: AtomicBool::new(false),
            jumped_at: Mutex::default(),
        }
    }
}

impl ClockWatch {
    /// What is known of it, if anything yet.
    pub(crate) fn known(&self) -> Option<ServerClock> {
        *lock(&self.known)
    }

    /// The server has just said what it shows.
    pub(crate) fn heard(&self, now_ms: u64) -> ServerClock {
        let clock = ServerClock::heard_now(now_ms);
        *lock(&self.known) = Some(clock);
        clock
    }

    /// Whether it has jumped, by the answer to a call that was sent at `sent`.
    pub(super) fn has_jumped(&self, sent: Instant, now_ms: u64) -> bool {
        let jumped = lock(&self.drift).heard(now_ms, sent, Instant::now());
        if jumped {
            self.jumped.store(true, Ordering::Release);
            *lock(&self.jumped_at) = Some(Instant::now());
        }
        jumped
    }

    /// What it should show now, once it has been known for this long.
    pub(crate) fn expected_ms(&self, known_for: Duration) -> Option<u64> {
        lock(&self.drift).expected_ms(known_for, Instant::now())
    }

    /// Whether it jumped less than this long ago.
    pub(crate) fn jumped_within(&self, time: Duration) -> bool {
        lock(&self.jumped_at).is_some_and(|at| at.elapsed() < time)
    }

    /// Whether it has jumped since recovery last asked.
    pub(crate) fn take_jump(&self) -> bool {
        self.jumped.swap(false, Ordering::AcqRel)
    }

    /// Recovery has asked, and could not tell Redis.
    pub(crate) fn keep_jump(&self) {
        self.jumped.store(true, Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
