//! Looking into a queue and changing it from outside: what a person on call does.

use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::state::State;
use crate::queue::Queue;
use crate::queue::info::{Counts, JobInfo};
use crate::store::get::Get;
use crate::store::pause::Pause;
use crate::store::remove::Remove;
use crate::store::replay::{DUPLICATE, Replay};
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
        found.map(|found| JobInfo::decode(id, found)).transpose()
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

    /// Pauses the queue: no process claims any of its jobs until [`resume`](Self::resume). Jobs
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
        self.inner.asked("pause", "").await?;
        self.inner.call(&Pause).await
    }

    /// Ends the pause, or the wait that a handler has asked for ([`Failure::rate_limited`](crate::Failure::rate_limited)). Says
    /// whether that changed anything.
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn resume(&self) -> Result<bool, Error> {
        self.inner.asked("resume", "").await?;
        self.inner.call(&Resume).await
    }

    /// Puts a dead job back in line, at the back of its priority, with a fresh budget of
    /// attempts. Its history stays. A job in another state is left as it is. If it dies again it is the last one on
    /// the dead-letter list: code that replays many reads the whole list first, or it meets that job again.
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out; repeating it is harmless.
    pub async fn replay(&self, id: &JobId) -> Result<Changed, Error> {
        let ids = std::slice::from_ref(id);
        self.inner.asked("replay", id).await?;
        let answer = self.inner.call(&Replay { ids }).await?;
        Changed::of(&answer.replayed, &answer.others)
    }

    /// Removes a job and everything that is known of it, whatever its state, but not while it
    /// runs: a job that is active is left as it is. Readers of events get
    /// [`EventKind::Removed`](crate::EventKind::Removed), and [`EventKind::Drained`](crate::EventKind::Drained) if it
    /// was the last job that had not ended. A job that is in no list is not found: see [`orphans`](Self::orphans).
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(mail: Queue, id: JobId) -> Result<(), Error> {
    /// match mail.remove(&id).await? {
    ///     Changed::Done => println!("it is gone"),
    ///     Changed::InState(state) => println!("it is {state}; try again when it has ended"),
    ///     _ => println!("there is no such job"),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out; repeating it is harmless.
    pub async fn remove(&self, id: &JobId) -> Result<Changed, Error> {
        let ids = std::slice::from_ref(id);
        self.inner.asked("remove", id).await?;
        let answer = self.inner.call(&Remove::of(ids)).await?;
        self.inner.relay_if(answer.has_sent);
        Ok(if !answer.active.is_empty() {
            Changed::InState(State::Active)
        } else if answer.removed.is_empty() {
            Changed::NotFound
        } else {
            Changed::Done
        })
    }
}

/// What became of a request to change one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "the job may be in a state in which it cannot be changed so"]
#[non_exhaustive]
pub enum Changed {
    /// It is done.
    Done,
    /// The job runs, and was asked to end; only [`Queue::cancel`] answers this. The job has not ended yet: callers that wait for its
    /// result, and events, tell when it has.
    Requested,
    /// Nothing was changed: the job is in this state. `Active` says that a worker runs it.
    InState(State),
    /// Nothing was changed: the job is dead, and another job has its unique key ([`Unique`](crate::Unique)). It can be replayed
    /// once that job has ended. Or the job was to be moved, and the other queue has another job with its id or its unique key.
    Duplicate,
    /// Nothing was changed: nothing is known of the job (any more).
    NotFound,
}

impl Changed {
    /// Whether it is done.
    #[must_use]
    pub fn is_done(self) -> bool {
        self == Self::Done
    }

    /// From the answer to a call for one job. `done`: the ids that were changed; `others`: ids of jobs that were not
    /// changed, each with the job's state.
    pub(crate) fn of(done: &[String], others: &[(String, String)]) -> Result<Self, Error> {
        match others.first() {
            Some((_, name)) if name == DUPLICATE => Ok(Self::Duplicate),
            Some((_, name)) => Self::in_state(name),
            None if done.is_empty() => Ok(Self::NotFound),
            None => Ok(Self::Done),
        }
    }

    /// Nothing was changed: the job is in the state of this name.
    pub(crate) fn in_state(name: &str) -> Result<Self, Error> {
        let state = State::parse(name).ok_or_else(|| {
            let what = format!("the job is in state `{name}`, unknown here");
            Error::new(ErrorKind::Incompatible, what)
        });
        Ok(Self::InState(state?))
    }
}
