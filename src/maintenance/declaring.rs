//! Looks whether the settings of the queue are there that the worker's code declares: what was lost
//! (deleted, a Redis emptied under running workers) is stored anew.

use std::time::Duration;

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

    async fn call(&mut self, pump: &Pump, line: &mut Line) -> Result<Left, Trouble> {
        pump.declaration.store(pump, line).await?;
        Ok(Left::Nothing)
    }
}
