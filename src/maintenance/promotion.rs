//! Moves due jobs into line while all workers are busy, so that what is due shows as waiting.

use std::time::Duration;

use crate::maintenance::{CALLS_PER_ROUND, Duty, Next};
use crate::redis::connection::Link;
use crate::redis::trouble::Trouble;
use crate::store::BATCH_JOBS;
use crate::store::promote::Promote;
use crate::worker::pump::Pump;

const PERIOD: Duration = Duration::from_secs(30);

pub(crate) struct Promotion;

impl Duty for Promotion {
    fn period(&self) -> Duration {
        PERIOD
    }

    async fn round(&mut self, pump: &Pump, link: &mut Link) -> Result<Next, Trouble> {
        let verb = Promote { limit: BATCH_JOBS };
        for _ in 0..CALLS_PER_ROUND {
            if pump.store().call(link, &verb).await? < BATCH_JOBS as u64 {
                return Ok(Next::Later);
            }
        }
        Ok(Next::AtOnce)
    }
}
