//! The rate that is set for a queue, as producers of heavy jobs know it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::error::Error;
use crate::policy::limits::Rate;
use crate::policy::settings::SettingsInForce;
use crate::queue::QueueInner;
use crate::store::settings::{Found, Settings};

/// For so long it counts as known.
const KNOWN_FOR: Duration = Duration::from_secs(5);
/// A producer waits no longer for it: without it the job is enqueued, and starts alone.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was read last, and when.
#[derive(Default)]
pub(crate) struct KnownRate {
    last: Mutex<Option<(Instant, Option<Rate>)>>,
}

impl KnownRate {
    fn get(&self) -> Option<Option<Rate>> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = last.filter(|(read, _)| read.elapsed() < KNOWN_FOR);
        fresh.map(|(_, rate)| rate)
    }

    fn set(&self, rate: Option<Rate>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((Instant::now(), rate));
    }
}

impl QueueInner {
    /// Refuses a job that weighs more than may start in a period. Only producers of jobs that weigh more than 1 ask.
    pub(crate) async fn check_weight(&self, weight: u32) -> Result<(), Error> {
        if weight <= 1 {
            return Ok(());
        }
        let rate = match self.known_rate.get() {
            Some(rate) => rate,
            // If Redis does not answer, enqueueing says so.
            None => match timeout(PATIENCE, self.call(&Settings)).await {
                Ok(Ok(found)) => self.heard(&found),
                Ok(Err(_)) | Err(_) => None,
            },
        };
        match rate {
            Some(rate) if weight > rate.starts => Err(Error::invalid(format!(
                "the weight is {weight}; the queue `{}` has a rate of {rate}, so {} is the most",
                self.name, rate.starts
            ))),
            _ => Ok(()),
        }
    }

    fn heard(&self, found: &Found) -> Option<Rate> {
        let rate = SettingsInForce::read(&found.settings, "").and_then(|settings| settings.rate);
        self.known_rate.set(rate);
        rate
    }
}
