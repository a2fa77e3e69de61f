//! Moves due jobs into line while all workers are busy, so that what is due shows as waiting; and
//! lets a busy worker see that no worker keeps the timer for the next tick.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::maintenance::{Duty, Left};
use crate::service::WorkerShared;
use crate::service::trouble::CallKind;
use crate::store::BATCH_JOBS;
use crate::store::backend::{Connection, Trouble};
use crate::store::promote::Promote;

pub(crate) struct Promotion {
    /// Whether the queue has schedules: the upkeep of schedules reads it here, and need not ask Redis.
    has_schedules: Arc<AtomicBool>,
}

impl Promotion {
    pub(crate) fn new(has_schedules: Arc<AtomicBool>) -> Self {
        Self { has_schedules }
    }
}

impl Duty for Promotion {
    const KIND: CallKind = CallKind::Promotion;

    fn period(&self, _: &WorkerShared) -> Duration {
        Duration::from_secs(30)
    }

    async fn call(
        &mut self,
        shared: &WorkerShared,
        connection: &mut Connection,
    ) -> Result<Left, Trouble> {
        let verb = Promote {
            limit: BATCH_JOBS,
            worker: &shared.id,
            hold: shared.slots.is_claiming(),
        };
        let promoted = connection.call(&verb).await?;
        self.has_schedules
            .store(promoted.schedules, Ordering::Relaxed);
        let clock = shared.clock.heard(promoted.now_ms);
        shared.timers.tick.set_by(clock, promoted.tick_ms);
        if promoted.moved < BATCH_JOBS as u64 {
            return Ok(Left::Nothing);
        }
        Ok(Left::More)
    }
}
