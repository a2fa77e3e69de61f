//! Looking at a worker and changing it while it runs.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::service::WorkerShared;
use crate::worker::builder::check_concurrency;

/// A handle to a running worker. Cheap to clone; holds no jobs.
#[derive(Clone)]
pub struct WorkerControl {
    shared: Arc<WorkerShared>,
}

impl fmt::Debug for WorkerControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerControl")
            .field("id", &self.id())
            .field("concurrency", &self.concurrency())
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}

impl WorkerControl {
    pub(crate) fn new(shared: Arc<WorkerShared>) -> Self {
        Self { shared }
    }

    /// How many handlers may run at once.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.shared.slots.concurrency()
    }

    /// Changes how many handlers may run at once. If more run already, they finish and fewer
    /// follow.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for zero or more than 65,536.
    pub fn set_concurrency(&self, concurrency: usize) -> Result<(), Error> {
        check_concurrency(concurrency)?;
        self.shared.slots.set_concurrency(concurrency);
        self.shared.inside.set_slots(concurrency);
        Ok(())
    }

    /// The id of this worker, as [`JobInfo::worker`](crate::JobInfo::worker) names it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.shared.id
    }

    /// How many handlers run now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.shared.slots.running()
    }
}
