//! What one claim may take still.

use crate::policy::limits::RateWindow;

/// Bytes, and starts by the rate of the queue.
#[derive(Debug)]
pub(crate) struct Allowance {
    pub(crate) bytes: usize,
    /// `None` if there is no rate.
    pub(crate) window: Option<RateWindow>,
    /// The weight of the job at which the claim stopped, because the rate does not allow it yet.
    pub(crate) too_heavy: Option<u64>,
}

impl Allowance {
    /// Starts a job of this weight, if it may start now.
    pub(crate) fn start(&mut self, weight: u64) -> bool {
        let window = self.window.as_mut();
        let starts = window.is_none_or(|window| window.start(weight));
        self.too_heavy = (!starts).then_some(weight);
        starts
    }

    /// The job counted as started, and its gate held it back.
    pub(crate) fn take_back(&mut self, weight: u64) {
        if let Some(window) = &mut self.window {
            window.take_back(weight);
        }
    }
}
