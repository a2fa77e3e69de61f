//! Sends what handlers say of their jobs: half a second later, and before the job ends. A handler never waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::error::Error;
use crate::queue::Queue;
use crate::service::job_log::JobLog;
use crate::service::lease::Lease;
use crate::store::log::{Log, Logged};

/// What was said within this time goes in one call.
const EVERY: Duration = Duration::from_millis(500);
/// How long the end of an attempt waits for its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// One attempt that says something.
pub(super) struct Writer {
    pub(super) queue: Queue,
    pub(super) lease: Arc<Lease>,
    /// Which attempt it is.
    pub(super) attempt: u32,
}

impl Writer {
    async fn send(&self, log: &JobLog) -> Result<(), Error> {
        let _turn = log.turn.lock().await;
        let Some((first, lines)) = log.waiting() else {
            return Ok(());
        };
        let verb = Log {
            id: &self.lease.id,
            receipt: &self.lease.receipt,
            attempt: self.attempt,
            fence: self.lease.fence,
            first,
            lines: &lines,
        };
        match self.queue.inner.call(&verb).await? {
            Logged::Yes => log.sent(first + lines.len() as u64 - 1),
            Logged::LeaseLost => {
                log.close();
                self.lease.lose(Instant::now());
            }
        }
        Ok(())
    }

    /// Sends what waits, until nothing does or the attempt has ended.
    pub(super) async fn look_after(self) {
        loop {
            sleep(EVERY).await;
            let log = self.lease.log();
            if let Err(error) = self.send(log).await {
                let (queue, id) = (self.queue.name(), &self.lease.id);
                debug!(queue, %id, %error, "the log of a job waits");
            }
            if log.rests() || self.lease.is_lost() {
                return;
            }
        }
    }

    /// The handler has ended. Its job still runs, so its last lines can be stored now, and no later.
    pub(super) async fn last_lines(self) {
        let log = self.lease.log();
        if log.close() == 0 || self.lease.is_lost() {
            return;
        }
        let sent = timeout(LAST_LINES, self.send(log)).await;
        let why = match sent {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        let (queue, id) = (self.queue.name(), &self.lease.id);
        warn!(queue, %id, why, "the last lines of the log of a job are lost");
    }
}
