//! Asking for the end of a job that is no longer wanted.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use crate::error::Error;
use crate::id::JobId;
use crate::job::history::cut;
use crate::queue::Queue;
use crate::queue::admin::Changed;
use crate::store;

const NO_REASON: &str = "no reason was given";

/// A request to cancel a job ([`Queue::cancel`], [`JobHandle::cancel`](crate::JobHandle::cancel)): say why, then await it.
///
/// # Errors
///
/// If Redis does not answer; see [`Queue`].
///
/// # Cancel safety
///
/// A request that is dropped while it is awaited may or may not be carried out; repeating it is harmless.
#[must_use = "nothing is cancelled until it is awaited"]
pub struct Cancel {
    queue: Queue,
    id: JobId,
    reason: String,
}

impl Cancel {
    pub(crate) fn new(queue: &Queue, id: &JobId) -> Self {
        Self {
            queue: queue.clone(),
            id: id.clone(),
            reason: NO_REASON.to_owned(),
        }
    }

    /// Why the job is no longer wanted: its handler can read it, [`JobInfo::ended`](crate::JobInfo::ended) tells it, and so
    /// does the error that a caller gets who waits for the result. It is cut to 4 KiB. Default: `no reason was given`.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = cut(reason.into());
        self
    }

    async fn send(self) -> Result<Changed, Error> {
        let verb = store::cancel::Cancel {
            ids: std::slice::from_ref(&self.id),
            reason: &self.reason,
        };
        self.queue.inner.asked("cancel", &self.id).await?;
        let answer = self.queue.inner.call(&verb).await;
        let answer = answer.map_err(|error| error.with_job(&self.id))?;
        self.queue.inner.relay_if(answer.has_sent);
        if !answer.running.is_empty() {
            return Ok(Changed::Requested);
        }
        Changed::of(&answer.cancelled, &answer.others)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel")
            .field("queue", &self.queue.name())
            .field("id", &self.id)
            .field("reason", &self.reason)
            .finish()
    }
}

impl IntoFuture for Cancel {
    type Output = Result<Changed, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl Queue {
    /// Cancels a job that is no longer wanted, whatever it does:
    ///
    /// | the job | what happens | answer |
    /// |---|---|---|
    /// | waits, is blocked or delayed, also between two attempts | It ends as cancelled at once. | [`Changed::Done`] |
    /// | runs | A request is stored with it, and its handler's token fires ([`Context::cancellation`](crate::Context::cancellation)), within a second, in whatever process it runs. If the handler then returns an error, panics or runs into its time limit, or its worker dies or gives the job back, the job ends as cancelled, for this reason, and is not tried again. If the handler returns `Ok`, the job is completed. | [`Changed::Requested`] |
    /// | has ended, or is dead | Nothing. | [`Changed::InState`] |
    /// | is not known | Nothing. | [`Changed::NotFound`] |
    ///
    /// A cancelled job is kept as long as it asks for or as is set for the queue. Callers that wait for its result get
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) with the reason, and readers of events get
    /// [`EventKind::Cancelled`](crate::EventKind::Cancelled).
    ///
    /// A handler that does not look at its token is not stopped. If a job is asked to end twice, the first reason counts.
    ///
    /// ```no_run
    /// # async fn run(queue: oxcart::Queue, id: oxcart::JobId) -> Result<(), oxcart::Error> {
    /// use oxcart::Changed;
    ///
    /// match queue.cancel(&id).reason("the customer has left").await? {
    ///     Changed::Done => println!("it will not run"),
    ///     Changed::Requested => println!("it runs, and is told to come to an end"),
    ///     other => println!("nothing to cancel: {other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel(&self, id: &JobId) -> Cancel {
        Cancel::new(self, id)
    }
}
