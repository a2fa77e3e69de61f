//! Requests of programs that do not know the type of the job.

use std::borrow::Cow;

use crate::error::Error;
use crate::job::Job;
use crate::job::options::JobOptions;
use crate::queue::Queue;
use crate::queue::enqueue::Enqueue;

impl<J: Job> Enqueue<J> {
    /// With this payload, as it is stored.
    pub(crate) fn encoded(queue: &Queue, payload: Vec<u8>) -> Self {
        Self::to(Ok((queue.clone(), payload)), J::options())
    }

    /// It fails when it is awaited.
    pub(crate) fn failed(error: Error) -> Self {
        Self::to(Err(error), JobOptions::new())
    }

    /// Under this name, though the type of the job has another one ([`Job::NAME`]). For a program that enqueues jobs whose types
    /// it does not know: it has one type for all of them, such as this one.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize)]
    /// #[serde(transparent)]
    /// struct AnyJob(serde_json::Value);
    ///
    /// impl Job for AnyJob {
    ///     const NAME: &'static str = "any";
    ///     type Output = serde_json::Value;
    /// }
    /// # async fn example(queue: Queue, name: String, payload: serde_json::Value) -> Result<(), Error> {
    ///
    /// queue.enqueue(AnyJob(payload)).named(name).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Nobody checks that the payload is what jobs of that name have. If it is not, no handler can read the job: it is bounced,
    /// and dead in the end.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Cow::Owned(name.into());
        self
    }

    /// The payload is of this version, though its type has another one ([`Job::VERSION`]): for a program that enqueues jobs whose types it
    /// does not know; see [`named`](Self::named). 1 to 1,000.
    pub fn version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }
}
