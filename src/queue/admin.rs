//! Looking into a queue and changing it from outside: what a person on call does.

use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::history::cut;
use crate::job::state::State;
use crate::queue::Queue;
use crate::queue::info::{Counts, JobInfo};
use crate::store::BATCH_JOBS;
use crate::store::cancel::Cancel;
use crate::store::get::Get;
use crate::store::list::List;
use crate::store::pause::Pause;
use crate::store::remove::Remove;
use crate::store::replay::Replay;
use crate::store::resume::Resume;

/// All of these fail with [`ErrorKind::Unreachable`] or [`ErrorKind::Unknown`] when Redis does not answer, within
/// about 8 s, and with [`ErrorKind::Refused`] or [`ErrorKind::Unsuitable`] when it says no. They can safely be
/// repeated.
impl Queue {
    /// All that is known of one job; `None` if nothing is (any more).
    ///
    /// # Errors
    ///
    /// If Redis does not answer; [`ErrorKind::Incompatible`] or [`ErrorKind::Codec`] if a newer
    /// version wrote what is stored.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn job(&self, id: &JobId) -> Result<Option<JobInfo>, Error> {
        let found = self.inner.call(&Get { id: id.as_str() }).await?;
        let decoded = found.map(|found| JobInfo::decode(id, found)).transpose();
        decoded.map_err(|error| error.with_job(id))
    }

    /// Up to `limit` (at most 256) ids of the jobs in `state`, from the `offset`-th on: in the
    /// order in which they would be claimed (suspects after the others), become due (the most urgent
    /// priority first), lose their lease, or died. Of those completed, the ones that ended first come first,
    /// and then those that are kept apart, in the order in which they will be dropped ([`QueueSettings`](crate::QueueSettings)).
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn list(&self, state: State, offset: u64, limit: usize) -> Result<Vec<JobId>, Error> {
        let verb = List {
            state: state.as_str(),
            offset,
            limit: limit.min(BATCH_JOBS),
        };
        let ids = self.inner.call(&verb).await?;
        Ok(ids.iter().map(|id| JobId::stored(id)).collect())
    }

    /// How many jobs are in each state, and the totals so far.
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn counts(&self) -> Result<Counts, Error> {
        let counted = self.inner.call(&crate::store::counts::Counts).await?;
        Ok(Counts::from_counted(&counted))
    }

    /// Stops claims in the whole queue, in every process, until [`resume`](Self::resume). Jobs
    /// that run go on; enqueueing goes on. Says whether that changed anything.
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn pause(&self) -> Result<bool, Error> {
        self.inner.call(&Pause).await
    }

    /// Lets claims go on. Says whether that changed anything.
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn resume(&self) -> Result<bool, Error> {
        self.inner.call(&Resume).await
    }

    /// Puts a dead job back in line, at the back of its priority, with a fresh budget of
    /// attempts. Its history stays.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if the job is not on the dead-letter list; or if Redis does not
    /// answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out; repeating it is harmless.
    pub async fn replay(&self, id: &JobId) -> Result<(), Error> {
        let ids = std::slice::from_ref(id);
        if self.inner.call(&Replay { ids }).await?.is_empty() {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "job {id} is not on the dead-letter list of `{}`; only dead jobs are replayed",
                    self.name()
                ),
            )
            .with_job(id));
        }
        Ok(())
    }

    /// Removes a job and everything that is known of it, whatever its state, but not while it
    /// runs. Says whether there was such a job. Readers of events get
    /// [`EventKind::Removed`](crate::EventKind::Removed), and [`EventKind::Drained`](crate::EventKind::Drained) if it
    /// was the last job that had not ended. A job that is in no list is not found: see [`orphans`](Self::orphans).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Refused`] if the job runs; or if Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out; repeating it is harmless.
    pub async fn remove(&self, id: &JobId) -> Result<bool, Error> {
        let ids = std::slice::from_ref(id);
        let answer = self.inner.call(&Remove { ids }).await?;
        if !answer.active.is_empty() {
            return Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "job {id} in `{}` is running; it can be removed when it has ended",
                    self.name()
                ),
            )
            .with_job(id));
        }
        Ok(!answer.removed.is_empty())
    }

    /// Cancels a job that has not begun: it waits, or is delayed. It ends as cancelled, for this reason (cut to 4 KiB), as
    /// if its handler had discarded it with [`Failure::discard`](crate::Failure::discard). So it is kept as long as it asks for or as is
    /// set for the queue, callers that wait for its result get [`ErrorKind::Cancelled`] with the reason, and readers of
    /// events get [`EventKind::Cancelled`](crate::EventKind::Cancelled). A job that runs is left alone: the answer says so.
    ///
    /// ```no_run
    /// # async fn run(queue: oxcart::Queue, id: oxcart::JobId) -> Result<(), oxcart::Error> {
    /// use oxcart::Cancellation;
    ///
    /// match queue.cancel(&id, "the customer has left").await? {
    ///     Cancellation::Done => println!("it will not run"),
    ///     other => println!("nothing to cancel: {other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out; repeating it is harmless.
    pub async fn cancel(
        &self,
        id: &JobId,
        reason: impl Into<String>,
    ) -> Result<Cancellation, Error> {
        let (ids, reason) = (std::slice::from_ref(id), &cut(reason.into()));
        let answer = self.inner.call(&Cancel { ids, reason }).await?;
        Ok(match answer {
            answer if !answer.cancelled.is_empty() => Cancellation::Done,
            answer if !answer.active.is_empty() => Cancellation::Running,
            answer if !answer.ended.is_empty() => Cancellation::Ended,
            _ => Cancellation::Unknown,
        })
    }
}

/// What became of a job that was to be cancelled ([`Queue::cancel`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cancellation {
    /// It is cancelled, and will not run.
    Done,
    /// It runs: only its handler can end it. Nothing was changed.
    Running,
    /// It had ended before. Nothing was changed.
    Ended,
    /// The queue has no such job (any more).
    Unknown,
}
