//! Looks whether the settings of the queue are there that the worker's code declares: what was lost
//! (deleted, a Redis emptied under running workers) is stored anew.

use std::time::Duration;

use tracing::warn;

use crate::maintenance::{Duty, Left};
use crate::redis::trouble::Trouble;
use crate::store::backend::Line;
use crate::worker::pump::Pump;

/// A worker that declares none makes no calls for this.
pub(crate) struct Declaring;

impl Duty for Declaring {
    fn period(_: &Pump) -> Duration {
        Duration::from_secs(30)
    }

    async fn call(&mut self, pump: &Pump, _: &mut Line) -> Result<Left, Trouble> {
        if let Err(error) = pump.declaration.store(pump).await {
            warn!(queue = pump.queue.name(), %error, "the declared settings cannot be looked after");
        }
        Ok(Left::Nothing)
    }
}
