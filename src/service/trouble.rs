//! Whether Redis does what it should, as the whole worker sees it.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{info, warn};

use crate::service::hooks::{Hooks, WorkerEvent};
use crate::store::backend::Trouble;

/// Whether Redis is in trouble, and whether it was away. Says so once when it begins and once when
/// it ends.
pub(crate) struct TroubleLog {
    queue: String,
    ongoing: AtomicBool,
    away: AtomicBool,
}

impl TroubleLog {
    pub(crate) fn new(queue: &str) -> Self {
        Self {
            queue: queue.to_owned(),
            ongoing: AtomicBool::new(false),
            away: AtomicBool::new(false),
        }
    }

    pub(crate) fn note(&self, trouble: &Trouble, hooks: &Hooks) {
        if trouble.is_outage() {
            self.was_away();
        }
        if !self.ongoing.swap(true, Ordering::AcqRel) {
            warn!(queue = self.queue, %trouble, "Redis is in trouble; the worker goes on trying");
            hooks.tell(|| WorkerEvent::RedisTrouble {
                error: trouble.to_string(),
            });
        }
    }

    /// Whether the last call of the worker came to nothing, for whatever reason.
    pub(crate) fn is_ongoing(&self) -> bool {
        self.ongoing.load(Ordering::Acquire)
    }

    pub(crate) fn clear(&self, hooks: &Hooks) {
        if self.ongoing.load(Ordering::Acquire) && self.ongoing.swap(false, Ordering::AcqRel) {
            info!(queue = self.queue, "Redis is well again");
            hooks.tell(|| WorkerEvent::RedisBack);
        }
    }

    /// Leases could not be renewed, for whatever reason; or that could not be told in a call of recovery.
    pub(crate) fn was_away(&self) {
        self.away.store(true, Ordering::Release);
    }

    /// Whether leases could not be renewed since this was last asked.
    pub(crate) fn take_away(&self) -> bool {
        self.away.swap(false, Ordering::AcqRel)
    }
}
