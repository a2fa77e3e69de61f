//! A job in a batch, and giving it its outcome.

use std::fmt;

use tokio::sync::oneshot;

use crate::job::Job;
use crate::job::failure::Failure;
use crate::worker::context::Context;

/// What a handler gives one job of its batch.
pub(crate) type Given<J> = Result<<J as Job>::Output, Failure>;

/// A job of a batch: what a [`BatchHandler`](crate::BatchHandler) gets several of.
///
/// It is an attempt of its own, with its own number, lease, fence, time limit and cancellation
/// ([`context`](Self::context)). The handler gives it its outcome with [`complete`](Self::complete), [`fail`](Self::fail) or
/// [`end`](Self::end); each of these takes the job away, so that no job gets two outcomes. The outcome is on its way to Redis at
/// once, while the handler goes on with the others.
///
/// A job that is dropped without an outcome gets the error that the handler returns, or its panic; if it returns `Ok`, the
/// attempt fails and says that the handler gave no outcome.
///
/// ```
/// # use oxcart::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Mail { to: String }
/// # impl Job for Mail { const NAME: &'static str = "mail"; type Output = u64; }
/// # struct Smtp;
/// # impl Smtp { async fn send(&self, _: Vec<&str>) -> Result<Vec<Result<u64, String>>, std::io::Error> { Ok(vec![]) } }
/// async fn send(mails: Vec<Batched<Mail>>, smtp: State<Smtp>) -> Result<(), Failure> {
///     let to = mails.iter().map(|mail| mail.job.to.as_str()).collect();
///     let answers = smtp.send(to).await?;                     // an error is one of all jobs
///     for (mail, answer) in mails.into_iter().zip(answers) {
///         mail.end(answer.map_err(Failure::dead));            // one outcome per job
///     }
///     Ok(())
/// }
/// ```
pub struct Batched<J: Job> {
    /// The job itself. To have it without its outcome: [`into_parts`](Self::into_parts).
    pub job: J,
    pending: Pending<J>,
}

impl<J: Job> Batched<J> {
    pub(crate) fn new(job: J, pending: Pending<J>) -> Self {
        Self { job, pending }
    }

    /// What is known of the attempt, and what can be said about it: its number and fence, headers,
    /// [`progress`](Context::progress), the lease, cancellation.
    ///
    /// The token fires when this job should come to an end, or when its attempt has ended: because its time limit is over, or its
    /// lease is lost. The handler goes on with the other jobs, and skips this one. When no job of the batch is left, the handler is
    /// stopped at its next await.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.pending.context
    }

    /// The job has succeeded.
    pub fn complete(self, output: J::Output) {
        self.pending.complete(output);
    }

    /// The job has failed; what is to become of it says the [`Failure`], as for any handler.
    pub fn fail(self, failure: impl Into<Failure>) {
        self.pending.fail(failure);
    }

    /// What a handler of this job alone would return: [`complete`](Self::complete) or [`fail`](Self::fail).
    pub fn end<E: Into<Failure>>(self, result: Result<J::Output, E>) {
        self.pending.end(result);
    }

    /// The job by value, and its outcome, which is still to be given.
    ///
    /// ```
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct Row { text: String }
    /// # impl Job for Row { const NAME: &'static str = "row"; type Output = (); }
    /// # async fn store(_: Vec<Row>) -> Result<(), std::io::Error> { Ok(()) }
    /// async fn insert(rows: Vec<Batched<Row>>) -> Result<(), Failure> {
    ///     let (rows, pending): (Vec<Row>, Vec<Pending<Row>>) = rows.into_iter().map(Batched::into_parts).unzip();
    ///     store(rows).await?;
    ///     pending.into_iter().for_each(|row| row.complete(()));
    ///     Ok(())
    /// }
    /// ```
    pub fn into_parts(self) -> (J, Pending<J>) {
        (self.job, self.pending)
    }
}

impl<J: Job + fmt::Debug> fmt::Debug for Batched<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batched")
            .field("job", &self.job)
            .field("context", self.context())
            .finish()
    }
}

/// The outcome of a [`Batched`] job, which is still to be given; what holds for the job when it is dropped holds for this
/// as well.
#[must_use = "a job that gets no outcome fails"]
pub struct Pending<J: Job> {
    context: Context,
    gives: oneshot::Sender<Given<J>>,
}

impl<J: Job> Pending<J> {
    /// And where its outcome arrives.
    pub(crate) fn new(context: Context) -> (Self, oneshot::Receiver<Given<J>>) {
        let (gives, given) = oneshot::channel();
        (Self { context, gives }, given)
    }

    /// See [`Batched::context`].
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// See [`Batched::complete`].
    pub fn complete(self, output: J::Output) {
        self.give(Ok(output));
    }

    /// See [`Batched::fail`].
    pub fn fail(self, failure: impl Into<Failure>) {
        self.give(Err(failure.into()));
    }

    /// See [`Batched::end`].
    pub fn end<E: Into<Failure>>(self, result: Result<J::Output, E>) {
        self.give(result.map_err(Into::into));
    }

    /// Nobody hears of it if the attempt has ended before.
    fn give(self, given: Given<J>) {
        let _ = self.gives.send(given);
    }
}

impl<J: Job> fmt::Debug for Pending<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("context", self.context())
            .finish_non_exhaustive()
    }
}
