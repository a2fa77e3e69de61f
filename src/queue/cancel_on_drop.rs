//! Cancels a job when the caller that waits for its result is gone.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::error::Error;
use crate::id::JobId;
use crate::policy::pauses::Pauses;
use crate::queue::Queue;
use crate::queue::admin::Changed;
use crate::queue::cancel::Cancel;

const REASON: &str = "the caller that waited for its result is gone";
/// For how long it is tried, if Redis cannot be reached, or the job may still be on its way there.
const TRIED_FOR: Duration = Duration::from_secs(10);
const PAUSES: Pauses = Pauses::between(Duration::from_millis(20), Duration::from_secs(1));

/// Cancels a job when it is dropped, unless the job is known to have ended by then.
#[derive(Default)]
pub(crate) struct CancelOnDrop {
    is_wanted: bool,
    job: Option<Waited>,
}

/// A job whose result a caller waits for.
struct Waited {
    queue: Queue,
    id: JobId,
    /// Whether Redis certainly has it.
    is_added: bool,
}

impl CancelOnDrop {
    /// From here on it does what it is for.
    pub(crate) fn want(&mut self) {
        self.is_wanted = true;
    }

    /// A call is under way that may add the job.
    pub(crate) fn may_be_added(&mut self, queue: &Queue, id: &JobId) {
        self.waits(queue, id, false);
    }

    /// The caller waits for the result of this job.
    pub(crate) fn is_added(&mut self, queue: &Queue, id: &JobId) {
        self.waits(queue, id, true);
    }

    fn waits(&mut self, queue: &Queue, id: &JobId, is_added: bool) {
        if self.is_wanted {
            let (queue, id) = (queue.clone(), id.clone());
            self.job = Some(Waited {
                queue,
                id,
                is_added,
            });
        }
    }

    /// The job has ended, or is not there, or is no job of this caller.
    pub(crate) fn leave_alone(&mut self) {
        self.job = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(waited) = self.job.take() {
            let store = waited.queue.inner.store.clone();
            store.outlive_caller(waited.cancel());
        }
    }
}

impl Waited {
    async fn cancel(self) {
        let cancelled = timeout(TRIED_FOR, self.try_to_cancel()).await;
        let (queue, id) = (self.queue.name(), &self.id);
        match cancelled {
            Ok(Ok(changed)) => debug!(queue, %id, ?changed, REASON),
            Ok(Err(error)) => {
                warn!(queue, %id, %error, "a job that no caller waits for any more cannot be cancelled")
            }
            Err(_) if self.is_added => {
                warn!(queue, %id, "a job that no caller waits for any more could not be cancelled in {TRIED_FOR:?}")
            }
            Err(_) => debug!(queue, %id, "the job never came"),
        }
    }

    /// A call that adds the job may be carried out after the first try.
    async fn try_to_cancel(&self) -> Result<Changed, Error> {
        let mut pauses = PAUSES;
        loop {
            match Cancel::new(&self.queue, &self.id).reason(REASON).await {
                Ok(Changed::NotFound) if !self.is_added => {}
                Err(error) if error.is_retryable() => {}
                told => return told,
            }
            sleep(pauses.next(fastrand::f64())).await;
        }
    }
}
