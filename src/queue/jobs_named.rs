//! All jobs of one name: what an operator stops and lets go on.

use crate::error::Error;
use crate::id::JobId;
use crate::policy::job_names::{PAUSED_AT_MOST, check_job_name};
use crate::policy::key::encode_key;
use crate::queue::Queue;
use crate::store::pause_name::{Answer, PauseName};

/// All jobs of one name in a queue ([`Queue::jobs_named`]).
#[derive(Debug, Clone)]
pub struct JobsNamed {
    queue: Queue,
    name: String,
}

impl Queue {
    /// All jobs of one type, by its [name](crate::Job::NAME). Nothing is asked or changed yet.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(queue: Queue) -> Result<(), Error> {
    /// // The mail server is down: mails wait, all other jobs go on.
    /// queue.jobs_named("mail")?.pause().await?;
    /// assert_eq!(queue.counts().await?.paused_names, ["mail"]);
    /// queue.jobs_named("mail")?.resume().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the name is empty, has more than 256 bytes, or control characters.
    pub fn jobs_named(&self, name: impl Into<String>) -> Result<JobsNamed, Error> {
        let name = name.into();
        check_job_name(&name)?;
        let queue = self.clone();
        Ok(JobsNamed { queue, name })
    }
}

/// The calls fail like those of [`Queue`] that operators make, and can safely be repeated.
impl JobsNamed {
    /// The name of the jobs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The job of this name that has a [unique key](crate::Unique) now; `None` if the key is free. For programs that do not have the type of the
    /// job: the others have [`Queue::job_with_key`], which says more of it.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(queue: Queue) -> Result<(), Error> {
    /// let id: Option<JobId> = queue.jobs_named("export")?.with_key("user-7").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the key is empty or has more than 512 bytes; or if Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn with_key(&self, key: &str) -> Result<Option<JobId>, Error> {
        self.queue.holder_of("`with_key`", &self.name, key).await
    }

    /// Pauses the jobs of this name: no worker claims any of them until [`resume`](Self::resume). Jobs that run go on; enqueueing
    /// goes on; jobs of other names go on. The jobs keep their places in line, count as waiting, and burn no attempt. The pause
    /// stays, however long the queue has no such job. Says whether that changed anything.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if 256 other names of this queue are paused. Or if Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn pause(&self) -> Result<bool, Error> {
        self.change(true).await
    }

    /// Ends the pause: the jobs are claimed in the order of their places, mixed with all others. Says whether that changed
    /// anything.
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn resume(&self) -> Result<bool, Error> {
        self.change(false).await
    }

    async fn change(&self, pause: bool) -> Result<bool, Error> {
        let action = if pause {
            "pause jobs named"
        } else {
            "resume jobs named"
        };
        self.queue.inner.asked(action, &self.name).await?;
        let (name, most) = (&encode_key(&self.name), PAUSED_AT_MOST);
        match self
            .queue
            .inner
            .call(&PauseName { name, pause, most })
            .await?
        {
            Answer::Done { changed } => Ok(changed),
            Answer::Full => Err(Error::invalid(format!(
                "cannot pause the jobs named `{}`: {PAUSED_AT_MOST} names are paused in the queue `{}`, and no more are allowed; \
                 resume some, or use `Queue::pause` for all jobs",
                self.name,
                self.queue.name()
            ))),
        }
    }
}
