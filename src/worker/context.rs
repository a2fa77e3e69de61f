//! What a handler knows of its attempt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::id::{Fence, JobId};
use crate::queue::Queue;
use crate::store::progress::{Progress, Stored};
use crate::time::Timestamp;
use crate::worker::extract::States;
use crate::worker::lease::Lease;

/// What a handler knows of its attempt, and what it can say about it. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    pub(crate) inner: Arc<ContextInner>,
}

pub(crate) struct ContextInner {
    pub(crate) queue: Queue,
    pub(crate) states: Arc<States>,
    pub(crate) lease: Arc<Lease>,
    pub(crate) attempt: u32,
    pub(crate) attempts: u32,
    pub(crate) stalls: u32,
    pub(crate) enqueued_at: Timestamp,
    pub(crate) headers: Vec<(String, String)>,
}

impl Context {
    /// The id of the job.
    #[must_use]
    pub fn id(&self) -> &JobId {
        &self.inner.lease.id
    }

    /// Which attempt this is, from 1. Stalled attempts do not count.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.inner.attempt
    }

    /// How many attempts the job has.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }

    /// How often a worker died while it ran this job.
    #[must_use]
    pub fn stalls(&self) -> u32 {
        self.inner.stalls
    }

    /// The fence of this attempt: larger than that of every earlier one.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.inner.lease.fence
    }

    /// When Redis got the job.
    #[must_use]
    pub fn enqueued_at(&self) -> Timestamp {
        self.inner.enqueued_at
    }

    /// What was sent along, in the order it was set.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.inner.headers
    }

    /// One header.
    #[must_use]
    pub fn header(&self, key: &str) -> Option<&str> {
        let found = self.inner.headers.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    }

    /// The queue the job came from, to enqueue follow-ups.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.inner.queue
    }

    /// Fires when the handler should come to an end: the worker is shutting down and the grace
    /// period is over (then the handler has 5 s), the lease is lost (750 ms), or it could not be
    /// extended and a sixth of it is left (that sixth). A handler that goes on is stopped at its
    /// next await.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        &self.inner.lease.cancel
    }

    /// Whether the handler should come to an end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.lease.cancel.is_cancelled()
    }

    /// How long this attempt certainly still holds the job. The lease is extended by itself
    /// before half of it is gone. It runs out if Redis cannot be reached, or if the application's
    /// runtime was blocked for ten leases.
    #[must_use]
    pub fn lease_remaining(&self) -> Duration {
        let until = self.inner.lease.until();
        until.saturating_duration_since(Instant::now())
    }

    /// Says how far the job is: any value. It replaces the last one, is seen by whoever asks
    /// for the job ([`Queue::job`]), and is an event. It may hold what a payload may hold (see
    /// [`Job`](crate::Job)), but whether its type reads it back is not tried.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LeaseLost`] if another attempt has the job; [`ErrorKind::Invalid`] for a
    /// value larger than a payload may be; [`ErrorKind::Codec`]; and if Redis does not answer within
    /// about 8 s.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn progress<T: Serialize + Sync + ?Sized>(&self, value: &T) -> Result<(), Error> {
        let value = codec::encode("a job's progress", value)?;
        let max = self.inner.queue.inner.setup.payload_max;
        if value.len() > max {
            return Err(Error::invalid(format!(
                "the progress has {} bytes; {max} are allowed (OxcartBuilder::payload_max)",
                value.len()
            ))
            .with_job(self.id()));
        }
        let verb = Progress {
            id: self.id(),
            receipt: &self.inner.lease.receipt,
            value: &value,
        };
        let stored = self.inner.queue.inner.call(&verb).await;
        if stored.map_err(|error| error.with_job(self.id()))? == Stored::LeaseLost {
            self.inner.lease.lose(Instant::now());
            return Err(Error::new(
                ErrorKind::LeaseLost,
                format!(
                    "progress of job {} was refused: this attempt (fence {}) no longer holds it; \
                     stop working on it",
                    self.id(),
                    self.fence()
                ),
            )
            .with_job(self.id()));
        }
        Ok(())
    }

    pub(crate) fn states(&self) -> &States {
        &self.inner.states
    }
}
