//! The next tick of all schedules, and the worker that sees to it.

use crate::memory::state::State;

/// Whoever is this late with a tick has died.
const PATIENCE_MS: u64 = 1_000;

impl State {
    /// The tick that this worker has to see to, if no other does. One that stops (not `hold`)
    /// hands it on.
    pub(crate) fn hold_tick(&mut self, worker: &str, hold: bool) -> Option<u64> {
        let (tick_ms, holder) = self.tick.clone()?;
        let mine = holder.as_deref() == Some(worker);
        if !hold {
            if mine {
                self.tick = Some((tick_ms, None));
                self.arm(tick_ms);
            }
            return None;
        }
        let in_time = self.now_ms() < tick_ms + PATIENCE_MS;
        if !mine && holder.is_some() && in_time {
            return None;
        }
        self.tick = Some((tick_ms, Some(worker.to_owned())));
        Some(tick_ms)
    }

    /// Keeps the next tick true to the schedules; whoever sees to it stays only if it is the same
    /// moment. Gives it if it has changed.
    pub(crate) fn refresh_tick(&mut self) -> Option<u64> {
        let next_ms = self
            .schedules
            .values()
            .filter_map(|kept| kept.tick_ms)
            .min();
        if self.tick.as_ref().map(|(tick_ms, _)| *tick_ms) == next_ms {
            return None;
        }
        self.tick = next_ms.map(|tick_ms| (tick_ms, None));
        next_ms
    }

    /// The same, by a caller that is no worker: whoever is idle is to see to it.
    pub(crate) fn offer_tick(&mut self) {
        if let Some(changed_ms) = self.refresh_tick() {
            self.arm(changed_ms);
        }
    }
}
