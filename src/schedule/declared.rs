//! The schedules that a worker's code declares: stored when it starts. What is wrong with one
//! stops neither the others nor the worker.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use crate::error::{Error, ErrorKind};
use crate::policy::pauses::Pauses;
use crate::schedule::builder::Declared;
use crate::schedule::edit;
use crate::worker::hooks::WorkerEvent;
use crate::worker::pump::Pump;

/// Before what failed is tried again.
const PAUSES: Pauses = Pauses::between(Duration::from_millis(100), Duration::from_secs(5));

/// Stores them all, and says which ones no code names any more. Tries again for as long as Redis is
/// in trouble.
pub(crate) async fn store(pump: &Pump) {
    if pump.schedules.is_empty() {
        return;
    }
    for schedule in &pump.schedules {
        let Declared {
            name, rule, job, ..
        } = schedule;
        match patiently(pump, || edit::upsert(&pump.queue, name, rule, job)).await {
            Ok(_) => schedule.stored.store(true, Ordering::Relaxed),
            Err(error) => refused(pump, name, &error),
        }
    }
    match patiently(pump, || pump.queue.schedules()).await {
        Ok(stored) => {
            let named = |name: &str| pump.schedules.iter().any(|own| own.name == name);
            for schedule in stored {
                if schedule.is_declared() && !named(&schedule.name) {
                    undeclared(pump, schedule.name);
                }
            }
        }
        Err(error) => {
            warn!(queue = pump.queue.name(), %error, "the stored schedules cannot be listed")
        }
    }
}

async fn patiently<T, F>(pump: &Pump, mut call: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pauses = PAUSES;
    loop {
        match call().await {
            Err(error) if passes(&error) => {
                warn!(queue = pump.queue.name(), %error, "storing the declared schedules is held up");
                sleep(pauses.next(fastrand::f64())).await;
            }
            other => return other,
        }
    }
}

/// Another user or another server does not pass by itself, but it may be mended without a restart.
fn passes(error: &Error) -> bool {
    error.is_retryable() || error.kind() == ErrorKind::Unsuitable
}

/// A schedule was refused, or cannot be read here.
pub(crate) fn refused(pump: &Pump, name: &str, error: &Error) {
    let queue = pump.queue.name();
    warn!(queue, schedule = name, %error, "a schedule is left as it is");
    pump.hooks.tell(|queue| WorkerEvent::ScheduleRefused {
        queue,
        schedule: name.to_owned(),
        error: error.to_string(),
    });
}

fn undeclared(pump: &Pump, schedule: String) {
    warn!(
        queue = pump.queue.name(),
        schedule, "the code does not name this schedule any more; it goes on until it is removed"
    );
    pump.hooks
        .tell(|queue| WorkerEvent::ScheduleUndeclared { queue, schedule });
}
