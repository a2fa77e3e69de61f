//! Something that is done again and again, beside everything else.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};

/// It is at work once at a time, in a task of its own, which ends when this is dropped.
pub(super) struct Duty<T> {
    every: Duration,
    at: Instant,
    task: JoinSet<Result<T, Error>>,
}

impl<T: Send + 'static> Duty<T> {
    /// The first time at once.
    pub(super) fn every(every: Duration) -> Self {
        Self {
            every,
            at: Instant::now(),
            task: JoinSet::new(),
        }
    }

    pub(super) fn begin_if_due<F>(&mut self, work: impl FnOnce() -> F)
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let now = Instant::now();
        if self.task.is_empty() && now >= self.at {
            self.at = now + self.every;
            self.task.spawn(work());
        }
    }

    /// When it is due; none while it is at work.
    pub(super) fn next(&self) -> Option<Instant> {
        self.task.is_empty().then_some(self.at)
    }

    /// How it went; none if it is not at work. May be dropped, and called again.
    pub(super) async fn ended(&mut self) -> Option<Result<T, Error>> {
        let ended = self.task.join_next().await?;
        // A panic is a bug; it is tried again.
        Some(ended.unwrap_or_else(|error| Err(Error::new(ErrorKind::Database, error.to_string()))))
    }
}
