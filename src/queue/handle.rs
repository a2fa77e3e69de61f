//! A handle to one job: waiting for its outcome.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::error::Error;
use crate::id::JobId;
use crate::job::Job;
use crate::queue::Queue;
use crate::queue::awaited::{
    AwaitedJob, LAST_LOOK, LOOK_EVERY, Pause, WAIT_DEFAULT, finished, has_ended, missing, too_late,
};
use crate::queue::cancel::Cancel;
use crate::queue::edit::Edit;
use crate::queue::enqueue::Enqueue;
use crate::queue::info::JobInfo;
use crate::queue::inside::OwnWait;
use crate::store::enqueue::Met;
use crate::store::watch::{Watch, Watched};
use crate::time::{WAIT_MAX, millis};

/// Whether enqueueing made a new job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Enqueued {
    /// The job is new.
    New,
    /// A job of this id was there already; nothing was changed.
    AlreadyThere,
    /// Another job has the unique key: nothing was added, and the handle is for that job. With
    /// [`Unique::for_time`](crate::Unique::for_time) that job may have ended, and is known only as long as it is kept
    /// ([`Enqueue::keep`]).
    Duplicate,
    /// Another job with the same unique key waited, and has got the payload and the options of this one
    /// ([`OnDuplicate`](crate::OnDuplicate)); the handle is for that job.
    Replaced,
}

impl Enqueued {
    /// What became of the job with this id, and which job the handle is for.
    pub(crate) fn of(id: &JobId, met: Option<Met>) -> (JobId, Self) {
        match met {
            None => (id.clone(), Self::New),
            // A flow is refused as a whole before anybody asks what became of one of its jobs.
            Some(Met::Itself | Met::NotWithout(_)) => (id.clone(), Self::AlreadyThere),
            Some(Met::Duplicate(other)) => (other, Self::Duplicate),
            Some(Met::Replaced(other)) => (other, Self::Replaced),
        }
    }
}

/// A handle to one job. It holds nothing in Redis.
pub struct JobHandle<J: Job> {
    queue: Queue,
    id: JobId,
    enqueued: Enqueued,
    /// No other caller has a claim to the job, as far as this one can know.
    is_own: bool,
    job: PhantomData<fn() -> J>,
}

impl<J: Job> JobHandle<J> {
    pub(crate) fn new(queue: Queue, id: JobId, enqueued: Enqueued) -> Self {
        Self {
            queue,
            id,
            enqueued,
            is_own: enqueued == Enqueued::New,
            job: PhantomData,
        }
    }

    pub(crate) fn existing(queue: Queue, id: JobId) -> Self {
        Self::new(queue, id, Enqueued::AlreadyThere).own()
    }

    /// The caller has named this job, or made its id.
    pub(crate) fn own(mut self) -> Self {
        self.is_own = true;
        self
    }

    pub(crate) fn is_own(&self) -> bool {
        self.is_own
    }

    /// The id of the job.
    #[must_use]
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// The queue the job is in.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Whether the call that gave this handle made the job.
    #[must_use]
    pub fn enqueued(&self) -> Enqueued {
        self.enqueued
    }

    /// All that is known of the job; `None` if nothing is (any more).
    ///
    /// # Errors
    ///
    /// As [`Queue::job`].
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn info(&self) -> Result<Option<JobInfo>, Error> {
        self.queue.job(&self.id).await
    }

    /// Cancels the job, whatever it does; see [`Queue::cancel`]. A job that runs has not ended when this is answered: its
    /// [result](Self::result) tells how it ended.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example<J: Job>(export: JobHandle<J>) -> Result<(), Error> {
    /// if export.cancel().reason("the customer has left").await? == Changed::NotFound {
    ///     println!("it ended long ago");
    /// }
    /// match export.result().await {
    ///     Ok(_) => println!("it was completed before its handler heard of it"),
    ///     Err(error) if error.is_cancelled() => println!("it has ended: {error}"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(()) }
    /// ```
    pub fn cancel(&self) -> Cancel {
        self.queue.cancel(&self.id)
    }

    /// Changes the job, as long as it does not run; see [`Queue::edit`].
    pub fn edit(&self) -> Edit {
        self.queue.edit(&self.id)
    }

    /// Waits until the job has ended and gives what its handler gave, in whichever process that
    /// was. At most 60 s; set another limit with [`ResultWait::within`].
    ///
    /// A queue under load may drop a finished job before a caller asks for it. As soon as this is
    /// awaited the outcome is kept for at least 60 s; to be sure from the start, ask when
    /// enqueueing: [`Enqueue::result`].
    #[must_use = "nothing is waited for until it is awaited"]
    pub fn result(&self) -> ResultWait<J> {
        ResultWait {
            awaited: AwaitedJob::of_job(self),
            limit: WAIT_DEFAULT,
        }
    }
}

impl<J: Job> Clone for JobHandle<J> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            id: self.id.clone(),
            ..*self
        }
    }
}

impl<J: Job> fmt::Debug for JobHandle<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobHandle")
            .field("job", &J::NAME)
            .field("id", &self.id)
            .field("queue", &self.queue.name())
            .field("enqueued", &self.enqueued)
            .finish()
    }
}

/// Waits for the outcome of a job.
///
/// Where the job is enqueued first ([`Enqueue::result`]), the limit holds for both together. What an
/// error says of the job then:
///
/// | kind | the job |
/// |---|---|
/// | [`NotSent`](crate::ErrorKind::NotSent), [`Refused`](crate::ErrorKind::Refused) | was not added, and will not be |
/// | [`Unknown`](crate::ErrorKind::Unknown) | may have been added, or may be in a while: it was sent, and no answer came in time |
/// | [`Timeout`](crate::ErrorKind::Timeout) | was added, and is not known to have ended; it goes on |
///
/// If awaiting it by reference fails, awaiting it again goes on with the same job, with the whole limit
/// anew: what became of the enqueue is found out, and no job is enqueued twice. A new request, with an
/// id of its own, could make a second job after `Unknown` and after `Timeout`.
///
/// ```no_run
/// # use oxcart::*;
/// # use serde::{Deserialize, Serialize};
/// # use std::time::Duration;
/// # #[derive(Serialize, Deserialize)] struct Charge { order: u64 }
/// # impl Job for Charge { const NAME: &'static str = "charge"; type Output = String; }
/// # async fn example(queue: Queue) -> Result<(), Error> {
/// let mut charging = queue.enqueue(Charge { order: 42 }).result().within(Duration::from_secs(2));
/// let receipt = loop {
///     match (&mut charging).await {
///         Err(error) if error.is_retryable() => eprintln!("{error}"),
///         other => break other?,
///     }
/// };
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`ErrorKind::Dead`](crate::ErrorKind::Dead) with the last error, [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) or [`ErrorKind::Compensated`](crate::ErrorKind::Compensated) with the reason, [`ErrorKind::Expired`](crate::ErrorKind::Expired),
/// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if the job has not ended in time, [`ErrorKind::NotFound`](crate::ErrorKind::NotFound)
/// if nothing is known of it, [`ErrorKind::Codec`](crate::ErrorKind::Codec) if the result is of another type; and what
/// [`Enqueue`] gives where the request is not sent yet. It ends with one of these at most 1 s after
/// the limit, also if Redis is silent.
///
/// # Cancel safety
///
/// Dropping it ends the waiting; the job goes on, unless it was to be cancelled then ([`cancel_on_drop`](Self::cancel_on_drop)).
#[must_use = "nothing is waited for until it is awaited"]
pub struct ResultWait<J: Job> {
    awaited: AwaitedJob<J>,
    limit: Duration,
}

impl<J: Job> ResultWait<J> {
    pub(crate) fn of_request(request: Enqueue<J>) -> Self {
        Self {
            awaited: AwaitedJob::of_request(request),
            limit: WAIT_DEFAULT,
        }
    }

    /// Wait at most this long, for the enqueue (which ends with the call timeout, if that is
    /// shorter) and the outcome together. Default 60 s.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The caller wants the answer within this time, and nobody wants it later: as [`within`](Self::within), and a job that no worker has taken by then
    /// [expires](Enqueue::expires_in) and never starts. The caller gets [`ErrorKind::Expired`](crate::ErrorKind::Expired) or [`ErrorKind::Timeout`](crate::ErrorKind::Timeout), whichever shows first. A job that runs goes on; see also
    /// [`cancel_on_drop`](Self::cancel_on_drop). Where the job was enqueued before, it is `within` alone.
    ///
    /// The moment until which the job may start counts from when Redis has it, so it may be later than the caller's by as long as the call took.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # use std::time::Duration;
    /// # #[derive(Serialize, Deserialize)] struct Quote { item: u64 }
    /// # impl Job for Quote { const NAME: &'static str = "quote"; type Output = u64; }
    /// # async fn example(prices: Queue) -> Result<(), Error> {
    /// let price = prices.enqueue(Quote { item: 7 }).result().deadline(Duration::from_secs(2)).await?;
    /// # Ok(()) }
    /// ```
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.awaited = self.awaited.expires_in(limit);
        self.within(limit)
    }

    /// Cancels the job if this is dropped before the job is known to have ended: also after a
    /// [`Timeout`](crate::ErrorKind::Timeout), and while the job is still being enqueued. For a job that nobody wants any more when its
    /// caller is gone, such as a job for a request of a web client that hangs up.
    ///
    /// The job is cancelled in the background, as by [`Queue::cancel`]: one call, which is repeated for 10 s at most if Redis cannot
    /// be reached, or if the job may still be on its way there. If the process ends before, the job goes on. Before this is
    /// awaited, nothing is cancelled; and a job that was there before, under an [id of its own](Enqueue::id) or with the same
    /// [unique key](Enqueue::unique), is left alone, because another caller may want it. A job that was asked for by its id ([`Queue::handle`]) is cancelled.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # use std::time::Duration;
    /// # #[derive(Serialize, Deserialize)] struct Preview { page: u64 }
    /// # impl Job for Preview { const NAME: &'static str = "preview"; type Output = String; }
    /// # async fn example(queue: Queue) -> Result<(), Error> {
    /// let preview = queue.enqueue(Preview { page: 42 }).result().cancel_on_drop();
    /// match tokio::time::timeout(Duration::from_secs(5), preview.into_future()).await {
    ///     Ok(preview) => println!("{}", preview?),
    ///     Err(_) => println!("too slow; the job is cancelled"),
    /// }
    /// # Ok(()) }
    /// ```
    pub fn cancel_on_drop(mut self) -> Self {
        self.awaited.on_drop.want();
        self
    }

    async fn wait(&mut self) -> Result<J::Output, Error> {
        let outcome = self.wait_for_end().await;
        if has_ended(&outcome) {
            self.awaited.on_drop.leave_alone();
        }
        outcome
    }

    async fn wait_for_end(&mut self) -> Result<J::Output, Error> {
        let limit = self.limit.min(WAIT_MAX);
        let deadline = Instant::now() + limit;
        let (queue, id) = self.awaited.job(limit).await?;
        let left = || deadline.saturating_duration_since(Instant::now());
        let own = OwnWait::begin(&queue, &id);
        // Registered before the first question, so that no announcement is missed.
        let mut announced = queue.inner.results.listen(&id, left()).await;
        let until = deadline + LAST_LOOK;
        let mut pause = Pause::default();
        loop {
            let verb = Watch {
                id: id.as_str(),
                await_ms: millis(left()),
            };
            let look = timeout_at(until, queue.inner.call(&verb));
            let unsure = match look.await {
                Ok(Ok(Watched::Finished {
                    outcome,
                    last_attempt,
                })) => return finished::<J>(&queue, &id, &outcome, last_attempt.as_deref()),
                Ok(Ok(Watched::Missing)) => return Err(missing(&queue, &id)),
                Ok(Ok(Watched::Pending)) => {
                    if let Some(own) = &own {
                        own.may_end(&id, until).await?;
                    }
                    None
                }
                Ok(Err(error)) if !error.is_retryable() => return Err(error.with_job(&id)),
                Ok(Err(error)) => {
                    tracing::debug!(%error, job = %id, "waiting for a result");
                    Some(error.to_string())
                }
                Err(_) => Some("it did not answer".to_owned()),
            };
            if left().is_zero() {
                return Err(too_late(&queue, &id, limit, unsure));
            }
            let next = deadline.min(Instant::now() + LOOK_EVERY);
            if timeout_at(next, announced.heard()).await.is_ok() {
                pause.after_announcement(deadline).await;
            }
        }
    }
}

impl<J: Job> fmt::Debug for ResultWait<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (queue, id) = self.awaited.known();
        f.debug_struct("ResultWait")
            .field("job", &J::NAME)
            .field("id", id)
            .field("queue", &queue)
            .field("limit", &self.limit)
            .finish()
    }
}

impl<J: Job> IntoFuture for ResultWait<J> {
    type Output = Result<J::Output, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move { self.wait().await })
    }
}

impl<'a, J: Job> IntoFuture for &'a mut ResultWait<J> {
    type Output = Result<J::Output, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.wait())
    }
}
