//! The next tick of all schedules, and the worker that sees to it.

use crate::memory::state::State;

/// A worker that is this late with a tick has died.
const PATIENCE_MS: u64 = 1_000;
/// After this time some worker looks again at schedules that were passed over.
const LOOK_AGAIN_MS: u64 = 20_000;

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

    /// Brings the next tick up to date with the schedules; the worker that keeps its timer stays only if the moment is the
    /// same. Returns the next tick if it has changed. Schedules that are due at `passed_ms` are passed over for a while.
    pub(crate) fn refresh_tick(&mut self, passed_ms: Option<u64>) -> Option<u64> {
        let ticks = || self.schedules.values().filter_map(|kept| kept.tick_ms);
        let next_ms = match (ticks().min(), passed_ms) {
            (Some(first), Some(passed)) if first <= passed => {
                let others = ticks().filter(|tick| *tick > passed).min();
                let again = passed + LOOK_AGAIN_MS;
                Some(others.map_or(again, |other| other.min(again)))
            }
            (first, _) => first,
        };
        if self.tick.as_ref().map(|(tick_ms, _)| *tick_ms) == next_ms {
            return None;
        }
        self.tick = next_ms.map(|tick_ms| (tick_ms, None));
        next_ms
    }

    /// The same, by a caller that is no worker: an idle worker is to see to it.
    pub(crate) fn offer_tick(&mut self) {
        if let Some(changed_ms) = self.refresh_tick(None) {
            self.arm(changed_ms);
        }
    }

    /// Mends a next tick that is lost, or later than any call can have set it. Returns whether that was so.
    pub(crate) fn mend_tick(&mut self) -> bool {
        let ticks = self.schedules.values().filter_map(|kept| kept.tick_ms);
        let Some(first_ms) = ticks.min() else {
            return false;
        };
        let latest_ms = first_ms.max(self.now_ms() + LOOK_AGAIN_MS);
        let known = self.tick.as_ref();
        if known.is_some_and(|(tick_ms, _)| *tick_ms <= latest_ms) {
            return false;
        }
        self.offer_tick();
        true
    }
}
