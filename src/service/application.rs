//! The application's runtime, on which handlers run: which one it is, and whether it runs.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

/// What one worker knows of the application's runtime.
pub(crate) struct Application {
    runtime: OnceLock<Handle>,
    epoch: Instant,
    /// When it gave its last sign of life; ms since the epoch.
    alive_ms: AtomicU64,
}

impl Default for Application {
    fn default() -> Self {
        Self {
            runtime: OnceLock::new(),
            epoch: Instant::now(),
            alive_ms: AtomicU64::new(0),
        }
    }
}

impl Application {
    /// The worker begins to run on this runtime.
    pub(crate) fn is_on(&self, runtime: Handle) {
        let _ = self.runtime.set(runtime);
        self.is_alive();
    }

    /// The runtime, once the worker runs.
    pub(crate) fn runtime(&self) -> Option<Handle> {
        self.runtime.get().cloned()
    }

    /// The runtime gives a sign of life.
    pub(crate) fn is_alive(&self) {
        let now_ms = self.epoch.elapsed().as_millis() as u64;
        self.alive_ms.store(now_ms, Ordering::Relaxed);
    }

    /// For how long it has given none.
    pub(crate) fn silent_for(&self) -> Duration {
        let alive = Duration::from_millis(self.alive_ms.load(Ordering::Relaxed));
        self.epoch.elapsed().saturating_sub(alive)
    }
}
