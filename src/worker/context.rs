//! What a handler knows of its attempt.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::Job;
use crate::job::attempt::Attempt;
use crate::job::cloud_event::{CloudEvent, Described};
use crate::job::history::cut;
use crate::queue::Queue;
use crate::queue::cause::{CAUSATION, Running, correlation_of, header_of};
use crate::runtime;
use crate::service::lease::Lease;
use crate::service::replies::SentReplies;
use crate::store::progress::{Progress, Stored};
use crate::time::Timestamp;
use crate::worker::extract::States;
use crate::worker::job_log::Writer;
use crate::worker::saga::Course;
use crate::worker::steps::{Alone, Steps, Suspension};

/// What a handler knows of its attempt, and what it can say about it. Cheap to clone.
///
/// With the feature `memory`, a test makes one with `Context::builder()`, and calls the handler as the
/// function that it is.
#[derive(Clone)]
pub struct Context {
    pub(crate) inner: Arc<ContextInner>,
    /// Of a job in a batch: it fires with the token of the lease, and when the job's attempt has ended before its handler.
    pub(crate) ends: Option<CancellationToken>,
}

pub(crate) struct ContextInner {
    pub(crate) attempt: Attempt,
    pub(crate) queue: Queue,
    pub(crate) states: Arc<States>,
    pub(crate) lease: Arc<Lease>,
    pub(crate) enqueued_at: Timestamp,
    pub(crate) group: Option<String>,
    /// How many children the job was enqueued with.
    pub(crate) children: u32,
    /// The key that the job is ordered by.
    pub(crate) order: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    /// In a test of a handler alone, the progress is kept here.
    pub(crate) kept: Option<Box<Mutex<Option<Vec<u8>>>>>,
    /// Earlier attempts have stored steps, or a checkpoint.
    pub(crate) has_steps: bool,
    /// The replies, once one is sent, or earlier attempts have sent some.
    pub(crate) replies: OnceLock<Box<SentReplies>>,
    /// The durable steps, once one is called.
    pub(crate) steps: OnceLock<Box<Steps>>,
    /// The course of the saga, if the job is one.
    pub(crate) saga: OnceLock<Box<Course>>,
    /// Tells the worker that the handler does nothing but wait.
    pub(crate) suspension: Suspension,
    /// In a test of a handler alone: its steps.
    pub(crate) alone: Option<Box<Alone>>,
}

/// It is the cause of what its handler enqueues.
impl Running for ContextInner {
    fn id(&self) -> &JobId {
        &self.attempt.id
    }

    fn headers(&self) -> &[(String, String)] {
        &self.headers
    }
}

impl ContextInner {
    /// Sends what the handler says.
    pub(super) fn writer(&self) -> Writer {
        Writer {
            queue: self.queue.clone(),
            lease: Arc::clone(&self.lease),
            attempt: self.attempt.number,
        }
    }
}

impl Context {
    /// The id of the job.
    #[must_use]
    pub fn id(&self) -> &JobId {
        &self.inner.attempt.id
    }

    /// Which job this is, which of its attempts, and its [`Fence`](crate::Fence).
    ///
    /// ```
    /// # use oxcart::{Context, Failure};
    /// # async fn charge(context: Context) -> Result<(), Failure> {
    /// let attempt = context.attempt();
    /// if attempt.number == attempt.attempts {
    ///     println!("the last attempt of {} {}", attempt.name, attempt.id);
    /// }
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn attempt(&self) -> &Attempt {
        &self.inner.attempt
    }

    /// When Redis got the job.
    #[must_use]
    pub fn enqueued_at(&self) -> Timestamp {
        self.inner.enqueued_at
    }

    /// The [group](crate::Enqueue::group) of the job, if it has one. All jobs of a batch that is made
    /// [by group](crate::Batch::by_group) have the same one.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.inner.group.as_deref()
    }

    /// What was sent along, in the order it was set.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.inner.headers
    }

    /// One header.
    #[must_use]
    pub fn header(&self, key: &str) -> Option<&str> {
        header_of(self.headers(), key)
    }

    /// The id of all that came of one first cause: what the job carries as the header `correlationid`, or its own id if it carries none, because it is
    /// the first cause itself. What the handler enqueues or publishes carries the same, by itself.
    ///
    /// Not so what it enqueues in a task of its own (`tokio::spawn`), and what a [batch handler](crate::BatchHandler) enqueues, which has many jobs: there
    /// [`Enqueue::correlation_id`](crate::Enqueue::correlation_id) and [`causation_id`](crate::Enqueue::causation_id) say it.
    #[must_use]
    pub fn correlation_id(&self) -> &str {
        correlation_of(self.id(), self.headers())
    }

    /// The id of the job or event that caused this one, if it is known: the header `causationid`.
    #[must_use]
    pub fn causation_id(&self) -> Option<&str> {
        self.header(CAUSATION)
    }

    /// The job as a [`CloudEvent`], to hand it to another system. All of its fields are there, also [secret](Job::SECRET) ones.
    ///
    /// ```
    /// # use oxcart::{Context, Failure, Job};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct OrderPlaced { order: u64 }
    /// # impl Job for OrderPlaced { const NAME: &'static str = "order-placed"; type Output = (); }
    /// # async fn post(_: String) -> Result<(), std::io::Error> { Ok(()) }
    /// async fn forward(event: OrderPlaced, context: Context) -> Result<(), Failure> {
    ///     let event = serde_json::to_string(&context.cloud_event(event))?;
    ///     Ok(post(event).await?)
    /// }
    /// ```
    #[must_use]
    pub fn cloud_event<J: Job>(&self, job: J) -> CloudEvent<J> {
        let described = Described {
            id: self.id(),
            name: &self.attempt().name,
            source: self.queue().inner.source(),
            headers: self.headers(),
            enqueued_at: self.enqueued_at(),
            version: J::VERSION,
        };
        CloudEvent::of(&described, job)
    }

    /// The queue the job came from, to enqueue follow-ups.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.inner.queue
    }

    /// Fires when the handler should come to an end:
    ///
    /// | why | a handler that goes on |
    /// |---|---|
    /// | the job is no longer wanted ([`Queue::cancel`]; [`cancel_reason`](Self::cancel_reason) says why) | is not stopped |
    /// | the worker is shutting down, and the grace period is over | is stopped after 5 s, at its next await |
    /// | the lease is lost | is stopped after 750 ms |
    /// | the lease could not be extended, and a sixth of it is left | is stopped after that sixth |
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        self.ends.as_ref().unwrap_or(&self.inner.lease.cancel)
    }

    /// Whether the handler should come to an end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancellation().is_cancelled()
    }

    /// Why the job is no longer wanted, once that was asked for ([`Queue::cancel`]). Whatever error the handler returns then, the job
    /// ends as cancelled, for this reason; with `Ok` it is completed.
    ///
    /// ```
    /// # use oxcart::{Context, Failure};
    /// # async fn step(_: u32) {}
    /// async fn export(context: Context) -> Result<(), Failure> {
    ///     for page in 0..1_000 {
    ///         if let Some(reason) = context.cancel_reason() {
    ///             return Err(Failure::cancel(reason));
    ///         }
    ///         step(page).await;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn cancel_reason(&self) -> Option<&str> {
        self.inner.lease.cancel_reason()
    }

    /// How long this attempt certainly still holds the job. The lease is extended by itself
    /// before half of it is gone. It runs out if Redis cannot be reached, or if the application's
    /// runtime was blocked for ten leases.
    #[must_use]
    pub fn lease_remaining(&self) -> Duration {
        let until = self.inner.lease.until();
        until.saturating_duration_since(Instant::now())
    }

    /// Says how far the job is: any value. It replaces the last value, stands in the job's info
    /// ([`Queue::job`]), and is an event. It may hold what a payload may hold (see
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
        if let Some(kept) = &self.inner.kept {
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            return Ok(());
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
                    self.inner.attempt.fence
                ),
            )
            .with_job(self.id()));
        }
        Ok(())
    }

    /// Says something of the job, for the people who look after it: a line of its log, which they read while the job runs and as long as
    /// it is kept ([`Queue::logs`], `oxcart job logs`). Nothing is waited for, and nothing can fail.
    ///
    /// The [newest 100 lines](crate::LogLine::KEPT) of a job are kept, of all of its attempts together, each cut to
    /// [4 KiB](crate::LogLine::BYTES_MAX). The worker sends what was said about half a second later, one call for all lines, and the rest when the
    /// handler has ended; the job ends when that is stored, or after a second. So a worker that dies loses what its handlers said within
    /// the last half second, and a job that another attempt has taken gets no more lines of this one. While Redis is away, the newest 100
    /// lines of the attempt wait.
    ///
    /// What is said is stored and shown as it is: no field of the payload that is [secret](crate::Job::SECRET) is masked in it.
    ///
    /// ```
    /// # use oxcart::{Context, Failure};
    /// # async fn copy(_: u32) -> Result<u32, Failure> { Ok(3) }
    /// async fn import(context: Context) -> Result<(), Failure> {
    ///     for page in 1..=10 {
    ///         let rows = copy(page).await?;
    ///         context.log(format!("page {page}: {rows} rows"));
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn log(&self, line: impl Into<String>) {
        let is_first_of_some = self.inner.lease.log().push(cut(line.into()));
        let is_tested_alone = self.inner.kept.is_some();
        if is_first_of_some && !is_tested_alone {
            runtime::handle().spawn(self.inner.writer().look_after());
        }
    }

    pub(crate) fn states(&self) -> &States {
        &self.inner.states
    }
}

/// Without the values of the headers: what they carry is not for logs.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers = self.headers().iter().map(|(key, _)| key.as_str());
        f.debug_struct("Context")
            .field("attempt", self.attempt())
            .field("enqueued_at", &self.enqueued_at())
            .field("group", &self.group())
            .field("headers", &headers.collect::<Vec<_>>())
            .field("lease_remaining", &self.lease_remaining())
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}
