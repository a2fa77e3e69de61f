//! What a handler knows of the jobs that its job has waited for.

use crate::error::Error;
use crate::job::Job;
use crate::queue::flow::children::Children;
use crate::worker::context::Context;

impl Context {
    /// The children of the job, in a [`Flow`](crate::Flow): how each ended, and what it gave back. None if the job has none.
    ///
    /// Read from Redis, in pages of at most 256 children or 1 MiB, each time it is called.
    ///
    /// # Errors
    ///
    /// If Redis does not answer within about 8 s; [`ErrorKind::Incompatible`](crate::ErrorKind::Incompatible) if a newer version wrote
    /// what cannot be read here.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn children(&self) -> Result<Children, Error> {
        Children::read(self.queue(), self.id()).await
    }

    /// What the job before this one in a [`Chain`](crate::Chain) gave back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no job before it, if that is of another type, or if it ended
    /// without giving anything back (it was cancelled, say); and as [`children`](Self::children).
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn previous<J: Job>(&self) -> Result<J::Output, Error> {
        let children = self.children().await?;
        children.previous::<J>(self.id())
    }
}
