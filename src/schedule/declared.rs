//! The schedules that a worker's code declares: stored when it starts. An error in one schedule
//! stops neither the other schedules nor the worker.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use crate::error::{Error, ErrorKind};
use crate::policy::pauses::Pauses;
use crate::schedule::builder::DeclaredSchedule;
use crate::schedule::edit;
use crate::service::WorkerShared;
use crate::service::hooks::WorkerEvent;

/// Before what failed is tried again.
const PAUSES: Pauses = Pauses::between(Duration::from_millis(100), Duration::from_secs(5));

/// Stores them all, and reports stored schedules that this code does not declare any more. Tries again for as long as Redis is
/// in trouble.
pub(crate) async fn store(shared: &WorkerShared, schedules: &[DeclaredSchedule]) {
    if schedules.is_empty() {
        return;
    }
    for schedule in schedules {
        let DeclaredSchedule {
            name, rule, job, ..
        } = schedule;
        match patiently(shared, || edit::upsert(&shared.queue, name, rule, job)).await {
            Ok(_) => schedule.stored.store(true, Ordering::Relaxed),
            Err(error) => refused(shared, name, &error),
        }
    }
    match patiently(shared, || shared.queue.schedules()).await {
        Ok(stored) => {
            let named = |name: &str| schedules.iter().any(|own| own.name == name);
            for schedule in stored {
                if schedule.is_declared() && !named(&schedule.name) {
                    undeclared(shared, schedule.name);
                }
            }
        }
        Err(error) => {
            warn!(queue = shared.queue.name(), %error, "the stored schedules cannot be listed")
        }
    }
}

async fn patiently<T, F>(shared: &WorkerShared, mut call: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pauses = PAUSES;
    loop {
        match call().await {
            Err(error) if passes(&error) => {
                warn!(queue = shared.queue.name(), %error, "storing the declared schedules is held up");
                sleep(pauses.next(fastrand::f64())).await;
            }
            other => return other,
        }
    }
}

/// A wrong user or server does not pass by itself, but an operator may correct it while the worker runs.
fn passes(error: &Error) -> bool {
    error.is_retryable() || error.kind() == ErrorKind::Unsuitable
}

/// A schedule was refused, or cannot be read here.
pub(crate) fn refused(shared: &WorkerShared, name: &str, error: &Error) {
    let queue = shared.queue.name();
    warn!(queue, schedule = name, %error, "a schedule is left as it is");
    shared.hooks.tell(|queue| WorkerEvent::ScheduleRefused {
        queue,
        schedule: name.to_owned(),
        error: error.to_string(),
    });
}

fn undeclared(shared: &WorkerShared, schedule: String) {
    warn!(
        queue = shared.queue.name(),
        schedule, "the code does not name this schedule any more; it goes on until it is removed"
    );
    shared
        .hooks
        .tell(|queue| WorkerEvent::ScheduleUndeclared { queue, schedule });
}
