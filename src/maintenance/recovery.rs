//! Takes back the jobs of workers that died.

use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::id::JobId;
use crate::maintenance::{Duty, Left};
use crate::service::WorkerShared;
use crate::service::clock::CLOCK_TOLERANCE;
use crate::service::hooks::WorkerEvent;
use crate::service::trouble::CallKind;
use crate::store::BATCH_JOBS;
use crate::store::backend::{Connection, Trouble};
use crate::store::recover::{Doubt, Recover, Recovered};
use crate::time::millis;

const PERIOD_MAX: Duration = Duration::from_millis(3_600);
const PERIOD_MIN: Duration = Duration::from_secs(1);
/// A worker that has known the server's clock for less does not judge. If the clock jumped before that,
/// the other workers have noticed by the end of this time.
const KNOWN_FOR: Duration = Duration::from_millis(3_500);
/// If no worker has looked for longer, living workers may have had no chance to renew their leases.
const GAP: Duration = Duration::from_secs(10);
/// How long they then get for that, however long their leases are: each worker hears of it when it looks
/// itself, and renews all its leases at once.
const QUIET: Duration = Duration::from_secs(5);

/// Takes back the jobs of dead workers, and hears when no lease is to be judged.
#[derive(Default)]
pub(crate) struct Recovery {
    /// The end of the last quiet period this worker has heard of, by the server's clock.
    quiet_until_ms: u64,
}

impl Duty for Recovery {
    const KIND: CallKind = CallKind::Recovery;

    /// With the lease and the tolerance this bounds how long a dead worker's jobs wait.
    fn period(&self, shared: &WorkerShared) -> Duration {
        (shared.config.lease / 2).clamp(PERIOD_MIN, PERIOD_MAX)
    }

    async fn call(
        &mut self,
        shared: &WorkerShared,
        connection: &mut Connection,
    ) -> Result<Left, Trouble> {
        let (jumped, away) = (shared.clock.take_jump(), shared.trouble.take_away());
        let verb = Recover {
            expected_ms: shared.clock.expected_ms(KNOWN_FOR).unwrap_or(0),
            tolerance_ms: millis(CLOCK_TOLERANCE),
            limit: BATCH_JOBS,
            lease_ms: millis(shared.config.lease),
            gap_ms: millis(GAP),
            quiet_ms: millis(QUIET),
            doubt: match (jumped, away) {
                (true, _) => Doubt::Jumped,
                (false, true) => Doubt::Away,
                (false, false) => Doubt::None,
            },
        };
        let sent = Instant::now();
        let answer = connection.call(&verb).await;
        if answer.is_err() {
            if jumped {
                shared.clock.keep_jump();
            }
            // What kept this worker from looking may have kept others from renewing.
            shared.trouble.was_away();
        }
        let (now_ms, found, to_carry) = match answer? {
            Recovered::Unsure {
                now_ms,
                from_ms,
                pulled,
                to_carry,
            } => {
                if from_ms > now_ms {
                    self.keep_quiet(shared, now_ms, from_ms);
                }
                (now_ms, pulled, to_carry)
            }
            Recovered::Done {
                now_ms,
                stalled,
                dead,
                cancelled,
                to_carry,
            } => {
                report(shared, &stalled, &dead, &cancelled);
                let found = stalled.len() + dead.len() + cancelled.len();
                (now_ms, found, to_carry)
            }
        };
        shared.heard_after(sent, now_ms);
        if to_carry.messages {
            shared.outbox.notify_one();
        }
        if to_carry.events {
            shared.subscribed.notify_one();
        }
        Ok(if found == BATCH_JOBS {
            Left::More
        } else {
            Left::Nothing
        })
    }
}

impl Recovery {
    /// In a quiet period every worker renews all its leases.
    fn keep_quiet(&mut self, shared: &WorkerShared, now_ms: u64, from_ms: u64) {
        let is_new = from_ms > self.quiet_until_ms || self.quiet_until_ms > now_ms + millis(QUIET);
        if is_new {
            self.quiet_until_ms = from_ms;
            debug!(
                queue = shared.queue.name(),
                "no worker is taken for dead for a few seconds, so that all can renew their leases"
            );
            shared.leases.renew_all();
        }
    }
}

fn report(shared: &WorkerShared, stalled: &[String], dead: &[String], cancelled: &[String]) {
    if stalled.len() + dead.len() + cancelled.len() == 0 {
        return;
    }
    warn!(
        queue = shared.queue.name(),
        stalled = stalled.len(),
        dead = dead.len(),
        cancelled = cancelled.len(),
        "took back jobs whose worker died"
    );
    shared
        .metrics
        .stalled(stalled.len() + dead.len() + cancelled.len());
    let ids = |ids: &[String]| ids.iter().map(|id| JobId::stored(id)).collect();
    shared.hooks.tell(|queue| WorkerEvent::Recovered {
        queue,
        stalled: ids(stalled),
        dead: ids(dead),
        cancelled: ids(cancelled),
    });
}
