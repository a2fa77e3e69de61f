//! Whether Redis does what it should, as the whole worker sees it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::redis::trouble::Trouble;
use crate::worker::hooks::{Hooks, WorkerEvent};

/// Whether Redis is in trouble, and when it last was away. Says so once when it begins and once
/// when it ends.
#[derive(Default)]
pub(crate) struct TroubleLog {
    ongoing: AtomicBool,
    last: Mutex<Option<Instant>>,
}

impl TroubleLog {
    pub(crate) fn note(&self, trouble: &Trouble, hooks: &Hooks) {
        if trouble.is_outage() {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        if !self.ongoing.swap(true, Ordering::AcqRel) {
            warn!(%trouble, "Redis is in trouble; the worker goes on trying");
            hooks.tell(|| WorkerEvent::RedisTrouble {
                error: trouble.to_string(),
            });
        }
    }

    pub(crate) fn clear(&self, hooks: &Hooks) {
        if self.ongoing.load(Ordering::Acquire) && self.ongoing.swap(false, Ordering::AcqRel) {
            info!("Redis is well again");
            hooks.tell(|| WorkerEvent::RedisBack);
        }
    }

    /// Whether Redis was away less than this long ago.
    pub(crate) fn away_within(&self, time: Duration) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < time)
    }
}
