//! Ends leases: compares each with our own clock, and stops the handlers that hold none any more, whether or
//! not Redis can be reached.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::service::WorkerShared;

/// Needs no Redis, and goes on until it is dropped.
pub(crate) async fn run(shared: Arc<WorkerShared>) {
    let length = shared.config.lease;
    let tick = (length / 20).clamp(Duration::from_millis(50), Duration::from_millis(250));
    // The handler hears of it while there is still time to react.
    let notice = length / 6;
    loop {
        sleep(tick).await;
        let now = Instant::now();
        for lease in shared.leases.filter(|lease| lease.until() <= now + notice) {
            lease.cancel.cancel();
            // What would end before the next look ends now: ours must end before Redis' does.
            if lease.until() <= now + tick {
                lease.stop.cancel();
            }
        }
    }
}
