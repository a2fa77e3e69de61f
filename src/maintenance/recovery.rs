//! Takes back the jobs of workers that died.

use std::time::Duration;

use tracing::warn;

use crate::id::JobId;
use crate::maintenance::{Duty, Left};
use crate::redis::trouble::Trouble;
use crate::store::BATCH_JOBS;
use crate::store::backend::Line;
use crate::store::recover::{Recover, Recovered};
use crate::time::millis;
use crate::worker::hooks::WorkerEvent;
use crate::worker::pump::{CLOCK_TOLERANCE, Pump};

const PERIOD_MAX: Duration = Duration::from_secs(4);
const PERIOD_MIN: Duration = Duration::from_secs(1);
/// After trouble the living get this long to extend their leases.
const QUIET_AFTER_TROUBLE: Duration = Duration::from_secs(5);

pub(crate) struct Recovery;

impl Duty for Recovery {
    /// With the lease this bounds how long a dead worker's jobs wait.
    fn period(pump: &Pump) -> Duration {
        (pump.config.lease / 2).clamp(PERIOD_MIN, PERIOD_MAX)
    }

    async fn call(&mut self, pump: &Pump, line: &mut Line) -> Result<Left, Trouble> {
        // The living extend their leases every third of them. When the clock has jumped, all
        // look expired until they have.
        let quiet_after_jump = pump.config.lease / 2;
        if pump.trouble.away_within(QUIET_AFTER_TROUBLE)
            || pump.clock_jumped_within(quiet_after_jump)
        {
            return Ok(Left::Nothing);
        }
        let clock = pump.clock();
        let verb = Recover {
            expected_ms: clock.map_or(0, |clock| clock.now_ms()),
            tolerance_ms: millis(CLOCK_TOLERANCE),
            limit: BATCH_JOBS,
            max_stalls: pump.config.max_stalls,
        };
        let (now_ms, found) = match line.call(&verb).await? {
            Recovered::Unsure { now_ms } => {
                if clock.is_some() {
                    warn!("the clock of Redis jumped or Redis was away: no lease is judged");
                }
                (now_ms, 0)
            }
            Recovered::Done {
                now_ms,
                stalled,
                dead,
            } => {
                report(pump, &stalled, &dead);
                (now_ms, stalled.len() + dead.len())
            }
        };
        pump.heard(now_ms);
        Ok(if found == BATCH_JOBS {
            Left::More
        } else {
            Left::Nothing
        })
    }
}

fn report(pump: &Pump, stalled: &[String], dead: &[String]) {
    if stalled.is_empty() && dead.is_empty() {
        return;
    }
    warn!(
        stalled = stalled.len(),
        dead = dead.len(),
        "took back jobs whose worker died"
    );
    let ids = |ids: &[String]| ids.iter().map(|id| JobId::stored(id)).collect();
    pump.hooks.tell(|| WorkerEvent::Recovered {
        stalled: ids(stalled),
        dead: ids(dead),
    });
}
