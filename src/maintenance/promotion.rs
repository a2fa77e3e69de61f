//! Moves due jobs into line while all workers are busy, so that what is due shows as waiting.

use std::time::Duration;

use crate::maintenance::{Duty, Left};
use crate::redis::trouble::Trouble;
use crate::store::BATCH_JOBS;
use crate::store::backend::Line;
use crate::store::promote::Promote;
use crate::worker::pump::Pump;

pub(crate) struct Promotion;

impl Duty for Promotion {
    fn period(_: &Pump) -> Duration {
        Duration::from_secs(30)
    }

    async fn call(&mut self, _: &Pump, line: &mut Line) -> Result<Left, Trouble> {
        let promoted = line.call(&Promote { limit: BATCH_JOBS }).await?;
        if promoted < BATCH_JOBS as u64 {
            return Ok(Left::Nothing);
        }
        Ok(Left::More)
    }
}
