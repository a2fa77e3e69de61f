//! Says what the worker is, and what it has counted, for those who look after the queue. Nothing else depends on it.

use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::codec;
use crate::maintenance::{Duty, Left};
use crate::policy::about::About;
use crate::service::WorkerShared;
use crate::service::trouble::CallKind;
use crate::store::backend::{Connection, Trouble};
use crate::store::report::Report;
use crate::time::millis;

/// Less than a minute, so that each minute has a report.
const PERIOD: Duration = Duration::from_secs(54);
/// A worker is seen soon after its start.
const FIRST_MAX: Duration = Duration::from_secs(1);
/// A worker that says nothing for so long is taken for dead. It may miss one report.
const TTL: Duration = Duration::from_secs(150);
/// So many workers of a queue are remembered.
const WORKERS_MAX: usize = 10_000;

pub(crate) struct Reporting {
    about: About,
    since: Instant,
    /// The last report was refused, and that was logged.
    refused: bool,
}

impl Reporting {
    /// Of a worker that begins now, with handlers for these jobs.
    pub(crate) fn new<'a>(handlers: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            about: About::new(host(), handlers),
            since: Instant::now(),
            refused: false,
        }
    }
}

/// The name of this machine, or of the container; empty if the system does not tell it.
fn host() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let told = told.or_else(|| std::env::var("HOSTNAME").ok());
    told.map(|name| name.trim().to_owned()).unwrap_or_default()
}

impl Duty for Reporting {
    const KIND: CallKind = CallKind::Reporting;

    fn period(&self, _: &WorkerShared) -> Duration {
        PERIOD
    }

    fn first(&self, _: &WorkerShared) -> Duration {
        FIRST_MAX
    }

    async fn call(
        &mut self,
        shared: &WorkerShared,
        connection: &mut Connection,
    ) -> Result<Left, Trouble> {
        self.about.concurrency = shared.slots.concurrency() as u64;
        let about = codec::encode_plain(&self.about);
        let (number, lines) = shared.counting.next();
        let report = Report {
            age_ms: millis(self.since.elapsed()),
            stops: false,
            about: &about,
            ..farewell(shared, number, &lines)
        };
        match connection.call(&report).await {
            Ok(_) => {
                shared.counting.reported();
                self.refused = false;
                Ok(Left::Nothing)
            }
            // No trouble of the worker: nothing depends on it. Other calls tell that Redis is away.
            Err(trouble) => {
                if !trouble.is_outage() && !std::mem::replace(&mut self.refused, true) {
                    let queue = shared.queue.name();
                    warn!(queue, %trouble, "the worker cannot say that it is there, and is not shown");
                }
                Ok(Left::NoCall)
            }
        }
    }
}

fn farewell<'a>(shared: &'a WorkerShared, number: u64, lines: &'a str) -> Report<'a> {
    Report {
        worker: &shared.id,
        age_ms: 0,
        stops: true,
        ttl_ms: millis(TTL),
        most: WORKERS_MAX,
        about: &[],
        number,
        lines,
    }
}

/// The worker has stopped, and is forgotten. If that cannot be said, the worker is forgotten a little later, and what it has counted since its last
/// report is lost.
pub(crate) async fn leave(shared: &WorkerShared) {
    // What the last report carried may not be answered yet.
    for _ in 0..2 {
        let (number, lines) = shared.counting.next();
        let report = farewell(shared, number, &lines);
        if let Err(trouble) = shared.store().call(&report).await {
            let queue = shared.queue.name();
            debug!(queue, %trouble, "the worker could not say that it stops");
            return;
        }
        if !shared.counting.reported() {
            return;
        }
    }
}
