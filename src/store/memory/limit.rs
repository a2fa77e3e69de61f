//! Limits of the queue, and a hold: what may be claimed, and who comes back when more may be.

use crate::id::JobId;
use crate::job::record::weight_of;
use crate::memory::allowance::Allowance;
use crate::memory::state::{Collection, Pause, State};
use crate::policy::limits::RateWindow;
use crate::store::advance::Advance;

/// In place of a worker that keeps the timer: the token is armed for the moment.
const NOBODY: &str = "-";

impl State {
    pub(crate) fn allowance(&self, bytes: usize) -> Allowance {
        Allowance {
            bytes,
            window: self.rate_window(),
            too_heavy: None,
        }
    }

    /// Stores what a claim has started. Returns the weight of the job at which it stopped.
    pub(crate) fn store_starts(&mut self, allowance: Allowance) -> Option<u64> {
        if let Some(started) = allowance.window.and_then(RateWindow::changed) {
            self.started = started;
        }
        allowance.too_heavy
    }

    /// What may start by the rate that is set; `None` if there is none.
    pub(crate) fn rate_window(&self) -> Option<RateWindow> {
        let rate = self.in_force().rate?;
        Some(RateWindow::at(rate, self.now_ms(), &self.started))
    }

    /// How many jobs may run beside those that are active.
    fn free_places(&self) -> usize {
        let most = self.in_force().concurrency;
        let active = self.len(Collection::Active);
        most.map_or(usize::MAX, |most| (most as usize).saturating_sub(active))
    }

    /// How many of `claim` jobs may be claimed now.
    pub(crate) fn within_limits(&self, claim: usize) -> usize {
        let starts = self.rate_window().map_or(usize::MAX, |window| {
            usize::try_from(window.free()).unwrap_or(usize::MAX)
        });
        claim.min(self.free_places()).min(starts)
    }

    pub(crate) fn weight(&self, id: &JobId) -> u64 {
        self.jobs.get(id).map_or(1, |job| weight_of(&job.record))
    }

    /// When the next job may start, if not now and if not only when another has ended: `Some(None)` for that. `weight`: of the
    /// next job, as far as it is known.
    pub(crate) fn opening(&self, weight: u64) -> Option<Option<u64>> {
        if self.free_places() == 0 {
            return Some(None);
        }
        let opens_ms = self.rate_window()?.opens_at(weight);
        (opens_ms > self.now_ms()).then_some(Some(opens_ms))
    }

    /// A new job got in line, and the queue is not paused.
    pub(crate) fn arm_for_new_job(&mut self) {
        let window = self.rate_window();
        let opens_ms = window.map_or(0, |window| window.opens_at(1));
        if opens_ms > self.now_ms() {
            self.leave_timer(opens_ms, None);
        } else {
            self.arm(0);
        }
    }

    /// An idle worker is to come at that moment, unless another than the caller is known to come. A caller with slots may have
    /// popped the token that was armed for it.
    pub(crate) fn leave_timer(&mut self, at_ms: u64, caller: Option<&str>) {
        let holder = self.timer.as_ref().filter(|(held_ms, _)| *held_ms == at_ms);
        let another_comes = match (holder.map(|(_, holder)| holder.as_str()), caller) {
            (None, _) => false,
            (Some(NOBODY), Some(_)) => false,
            (Some(holder), caller) => Some(holder) != caller,
        };
        if !another_comes {
            self.timer = Some((at_ms, NOBODY.to_owned()));
            self.arm(at_ms);
        }
    }

    /// One worker keeps the timer for the next moment at which there will be work; the others need not wake for it.
    pub(crate) fn hold_timer(&mut self, call: &Advance<'_>, at_ms: u64) -> Option<u64> {
        if !call.hold {
            self.arm(at_ms);
            return None;
        }
        if let Some((held_ms, holder)) = &self.timer
            && *held_ms == at_ms
            && holder != call.worker
            && holder != NOBODY
        {
            return None;
        }
        self.timer = Some((at_ms, call.worker.to_owned()));
        Some(at_ms)
    }

    /// The caller keeps no timers, or none any more, because it stops: if it has kept this one, the next caller takes it.
    pub(crate) fn leave_timer_to_others(&mut self, caller: &str) {
        if let Some((_, holder)) = &mut self.timer
            && holder == caller
        {
            NOBODY.clone_into(holder);
        }
    }

    /// Suspects are left: whether the caller, which took so many, wakes another worker for them. Not with every call: workers
    /// that are all busy with a suspect would wake each other for ever.
    pub(crate) fn offers_suspects(&mut self, call: &Advance<'_>, taken: usize) -> bool {
        if taken > 0 || self.is_paused() {
            return taken > 0;
        }
        let now_ms = self.now_ms();
        let is_over = |(at_ms, holder): &(u64, String)| {
            *at_ms <= now_ms && (holder == call.worker || holder == NOBODY)
        };
        if self.timer.take_if(|timer| is_over(timer)).is_some() {
            return true;
        }
        // As the script: also if what is set is that there is no limit.
        let limits = self.in_force().set;
        let is_limited = limits.rate.is_some() || limits.concurrency.is_some();
        call.claim == 0 || is_limited && !call.settle.is_empty()
    }

    /// Nothing is claimed until then, unless an operator has paused the queue, or it is held for longer.
    pub(crate) fn hold_until(&mut self, until_ms: u64) {
        let longer = match self.pause() {
            None => true,
            Some(Pause::Since(_)) => false,
            Some(Pause::Until {
                until_ms: known, ..
            }) => known < until_ms,
        };
        if longer {
            let since_ms = self.now_ms();
            self.paused = Some(Pause::Until { until_ms, since_ms });
            self.emit_value("held", until_ms.to_string().as_bytes());
        }
    }

    /// Forgets a hold that is over.
    pub(crate) fn end_hold(&mut self) {
        if self.paused.is_some() && self.pause().is_none() {
            self.end_pause();
        }
    }

    /// Meanwhile workers were told of no unhandled jobs.
    pub(crate) fn end_pause(&mut self) {
        self.paused = None;
        if self.news_of_unhandled().is_some() {
            self.tell_of_unhandled();
        }
    }

    /// Drops the log of starts when it says nothing any more.
    pub(crate) fn forget_started(&mut self) {
        if self
            .rate_window()
            .is_none_or(|window| window.in_window() == 0)
        {
            self.started.clear();
        }
    }
}
