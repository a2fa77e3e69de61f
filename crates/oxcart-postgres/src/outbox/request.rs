//! Requests to enqueue in a transaction.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use oxcart::{Backoff, Enqueue, Job, JobId, Order, Retention, Unique};
use sqlx::PgConnection;

use super::{add, encode};
use crate::error::Error;

type BoxFuture<'c, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'c>>;

/// A request to enqueue one job in a transaction ([`Outbox::enqueue`](crate::Outbox::enqueue)); it has the options of [`oxcart::Enqueue`]. Awaiting it runs one
/// statement and gives the id of the job.
///
/// A [`delay`](Self::delay), and a time until the job [expires](Self::expires_in), count from when Redis has the job; a moment ([`at`](Self::at)) is a moment.
///
/// # Errors
///
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) and [`ErrorKind::Queue`](crate::ErrorKind::Queue) for what the queue would not take (an option out of range, a payload that
/// is too large): nothing was sent to PostgreSQL then, and the transaction goes on. Any error of PostgreSQL ends the transaction:
/// [`ErrorKind::NotMigrated`](crate::ErrorKind::NotMigrated), [`ErrorKind::Aborted`](crate::ErrorKind::Aborted) (it had failed before), [`ErrorKind::Retry`](crate::ErrorKind::Retry) (a deadlock, if two
/// transactions enqueue for the same two ordering keys one after the other), [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly),
/// [`ErrorKind::Refused`](crate::ErrorKind::Refused) (thousands of ordering keys in one transaction need a larger `max_locks_per_transaction`).
///
/// # Cancel safety
///
/// If the future is dropped, the statement may have run or not: roll the transaction back.
#[must_use = "a request does nothing until it is awaited"]
pub struct OutboxEnqueue<'c, J: Job> {
    connection: &'c mut PgConnection,
    request: Enqueue<J>,
}

/// Each option is one of the request that it makes.
macro_rules! options {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {
        impl<J: Job> OutboxEnqueue<'_, J> {
            $(
                #[doc = concat!("As [`Enqueue::", stringify!($name), "`].")]
                pub fn $name(mut self, $($argument: $type),*) -> Self {
                    self.request = self.request.$name($($argument),*);
                    self
                }
            )*
        }
    };
}

options! {
    priority(priority: u16);
    attempts(attempts: u32);
    backoff(backoff: Backoff);
    timeout(timeout: Duration);
    keep(keep: Retention);
    group(key: impl Into<String>);
    ordered_by(order: impl Into<Order>);
    weight(weight: u32);
    unique(unique: impl Into<Unique>);
    expires_in(time: Duration);
    expires_at(time: SystemTime);
    delay(delay: Duration);
    at(time: SystemTime);
    front();
    any_queue();
    named(name: impl Into<String>);
    version(version: u32);
    id(id: JobId);
    header(key: impl Into<String>, value: impl Into<String>);
    correlation_id(id: impl Into<String>);
    causation_id(id: impl Into<String>);
}

impl<'c, J: Job> OutboxEnqueue<'c, J> {
    pub(super) fn new(connection: &'c mut PgConnection, request: Enqueue<J>) -> Self {
        Self {
            connection,
            request,
        }
    }

    /// The id the job will have.
    #[must_use]
    pub fn job_id(&self) -> &JobId {
        self.request.job_id()
    }
}

impl<'c, J: Job> IntoFuture for OutboxEnqueue<'c, J> {
    type Output = Result<JobId, Error>;
    type IntoFuture = BoxFuture<'c, JobId>;

    fn into_future(self) -> Self::IntoFuture {
        let id = self.request.job_id().clone();
        let encoded = encode(self.request);
        Box::pin(async move {
            add(self.connection, &[encoded?]).await?;
            Ok(id)
        })
    }
}

/// Without the payload.
impl<J: Job> fmt::Debug for OutboxEnqueue<'_, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxEnqueue")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// A request to enqueue many jobs in a transaction ([`Outbox::enqueue_many`](crate::Outbox::enqueue_many)). Awaiting it gives their ids, in the same order.
///
/// # Errors
///
/// As [`OutboxEnqueue`]. All are checked before anything is sent to PostgreSQL.
///
/// # Cancel safety
///
/// If the future is dropped, the statement may have run or not: roll the transaction back.
#[must_use = "a request does nothing until it is awaited"]
pub struct OutboxEnqueueMany<'c, J: Job> {
    connection: &'c mut PgConnection,
    requests: Vec<Enqueue<J>>,
}

impl<'c, J: Job> OutboxEnqueueMany<'c, J> {
    pub(super) fn new(connection: &'c mut PgConnection, requests: Vec<Enqueue<J>>) -> Self {
        Self {
            connection,
            requests,
        }
    }
}

impl<'c, J: Job> IntoFuture for OutboxEnqueueMany<'c, J> {
    type Output = Result<Vec<JobId>, Error>;
    type IntoFuture = BoxFuture<'c, Vec<JobId>>;

    fn into_future(self) -> Self::IntoFuture {
        let encoded: Result<Vec<_>, Error> = self.requests.into_iter().map(encode).collect();
        Box::pin(async move { add(self.connection, &encoded?).await })
    }
}

impl<J: Job> fmt::Debug for OutboxEnqueueMany<'_, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxEnqueueMany")
            .field("job", &J::NAME)
            .field("jobs", &self.requests.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    /// Every option of an ordinary request is one here, but for its durability: a row survives the loss of Redis.
    #[test]
    fn every_option_is_there() {
        let library = concat!(
            include_str!("../../../../src/queue/enqueue.rs"),
            include_str!("../../../../src/queue/enqueue/carried.rs"),
            include_str!("../../../../src/queue/enqueue/untyped.rs"),
        );
        let options: Vec<&str> = library
            .lines()
            .filter_map(|line| line.strip_prefix("    pub fn ")?.split_once('('))
            .filter(|(_, rest)| rest.starts_with("self") || rest.starts_with("mut self"))
            .map(|(name, _)| name)
            .filter(|name| !["result", "encode", "durability"].contains(name))
            .collect();
        assert!(options.len() >= 18, "{options:?}");
        let here = include_str!("request.rs");
        for option in options {
            assert!(here.contains(&format!("\n    {option}(")), "{option}");
        }
    }
}
