//! The task that judges again and again.

use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::warn;

use crate::alerts::Alerts;
use crate::policy::pauses::Pauses;

/// Before a round that failed is tried again.
const PAUSES: Pauses = Pauses::between(Duration::from_millis(500), Duration::from_secs(30));
/// Between two questions whether a round is due.
const SHORTEST: Duration = Duration::from_millis(10);

/// Alerts that are judged; see [`Alerts::start`]. When it is dropped, this process takes part no more, and others go on.
#[must_use = "the alerts are judged until this is dropped"]
#[derive(Debug)]
pub struct RunningAlerts {
    task: AbortHandle,
}

impl RunningAlerts {
    pub(crate) fn start(alerts: Alerts) -> Self {
        let runtime = alerts.queue.inner.store.runtime();
        let task = runtime.spawn(run(alerts)).abort_handle();
        Self { task }
    }
}

impl Drop for RunningAlerts {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(alerts: Alerts) {
    let mut pauses = PAUSES;
    loop {
        let wait = match alerts.judge().await {
            Ok(next) => {
                pauses.reset();
                next.max(SHORTEST)
            }
            Err(error) => {
                if pauses.is_fresh() {
                    let queue = alerts.queue.name();
                    warn!(queue, %error, "alerts are not judged; this goes on being tried");
                }
                pauses.next(fastrand::f64())
            }
        };
        sleep(wait).await;
    }
}
