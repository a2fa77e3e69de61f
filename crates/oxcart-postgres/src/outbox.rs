//! Jobs that are enqueued if, and only if, a transaction is committed.

mod failed;
mod request;
mod status;

use oxcart::{EncodedJob, IntoEnqueue, Job, JobId, Queue};
use sqlx::PgConnection;

use crate::error::{Error, ErrorKind};
use crate::inbox::{incarnated, with_incarnation};

pub use failed::FailedRow;
pub use request::{OutboxEnqueue, OutboxEnqueueMany};
pub use status::{OutboxStatus, StreamStatus};

/// Enqueues jobs in transactions of PostgreSQL: they are written to a table, and a [`Relay`](crate::Relay) carries them to Redis once the transaction is
/// committed. If it is rolled back, nothing has happened.
///
/// ```no_run
/// use std::time::Duration;
///
/// use oxcart::{Job, Queue};
/// use oxcart_postgres::Outbox;
/// use serde::{Deserialize, Serialize};
/// use sqlx::PgPool;
///
/// #[derive(Serialize, Deserialize)]
/// struct SendMail {
///     to: String,
/// }
///
/// impl Job for SendMail {
///     const NAME: &'static str = "send-mail";
///     type Output = ();
/// }
///
/// async fn register(pool: &PgPool, mail: &Queue, to: &str) -> Result<(), Box<dyn std::error::Error>> {
///     let outbox = Outbox::new();
///     let mut tx = pool.begin().await?;
///     sqlx::query("INSERT INTO customer (address) VALUES ($1)").bind(to).execute(&mut *tx).await?;
///     outbox.enqueue(&mut tx, mail, SendMail { to: to.to_owned() }).delay(Duration::from_secs(60)).await?;
///     tx.commit().await?;
///     Ok(())
/// }
/// ```
///
/// The queue is asked nothing: a transaction is committed while Redis is down, and its jobs arrive later.
///
/// # Order
///
/// Jobs that are [ordered by](OutboxEnqueue::ordered_by) one key arrive in the order in which their transactions were committed. For that, a transaction that
/// enqueues such a job waits until others that did the same for this key have ended; they would wait for one another in any case if they change the same row. Enqueue
/// late in the transaction, so that others wait for a short while only. Jobs without a key arrive in about that order.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Outbox {}

impl Outbox {
    /// An outbox in the tables that [`migrate`](crate::migrate()) has made.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }

    /// A request to enqueue a job when the transaction of this connection is committed; without a transaction, when the statement has run.
    /// `job` is a job, or a request of the queue with options of its own. Awaiting it runs one statement.
    pub fn enqueue<'c, R: IntoEnqueue>(
        &self,
        connection: &'c mut PgConnection,
        queue: &Queue,
        job: R,
    ) -> OutboxEnqueue<'c, R::Job> {
        OutboxEnqueue::new(connection, job.into_enqueue(queue))
    }

    /// The same for many jobs, in this order, in one statement. They are in memory at once: send a million in parts.
    pub fn enqueue_many<'c, R: IntoEnqueue>(
        &self,
        connection: &'c mut PgConnection,
        queue: &Queue,
        jobs: impl IntoIterator<Item = R>,
    ) -> OutboxEnqueueMany<'c, R::Job> {
        let requests = jobs.into_iter().map(|job| job.into_enqueue(queue));
        OutboxEnqueueMany::new(connection, requests.collect())
    }

    /// The same for requests that were [encoded](oxcart::Enqueue::encode) before: of any types, for any queues.
    ///
    /// # Errors
    ///
    /// As those of [`OutboxEnqueue`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the statement may have run or not: roll the transaction back.
    pub async fn enqueue_encoded(
        &self,
        connection: &mut PgConnection,
        jobs: impl IntoIterator<Item = EncodedJob>,
    ) -> Result<Vec<JobId>, Error> {
        let jobs: Result<Vec<_>, _> = jobs.into_iter().map(incarnated).collect();
        add(connection, &jobs.map_err(not_enqueued)?).await
    }
}

/// Writes them to the table: one statement.
async fn add(connection: &mut PgConnection, jobs: &[EncodedJob]) -> Result<Vec<JobId>, Error> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let queues: Vec<&str> = jobs.iter().map(EncodedJob::queue).collect();
    let bytes: Vec<Vec<u8>> = jobs.iter().map(EncodedJob::to_bytes).collect();
    let ids: Vec<&str> = jobs.iter().map(|job| job.job_id().as_str()).collect();
    let keys: Vec<Option<String>> = jobs.iter().map(EncodedJob::ordered_by).collect();
    if keys.iter().flatten().any(|key| key.contains('\0')) {
        let message = "enqueueing through the outbox: an ordering key has a zero byte, which PostgreSQL cannot hold";
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    sqlx::query("SELECT oxcart.outbox_add($1, $2, $3, $4)")
        .bind(queues)
        .bind(bytes)
        .bind(ids)
        .bind(keys)
        .execute(connection)
        .await
        .map_err(|error| Error::sql("enqueueing through the outbox", error))?;
    Ok(jobs.iter().map(|job| job.job_id().clone()).collect())
}

fn encode<J: Job>(request: oxcart::Enqueue<J>) -> Result<EncodedJob, Error> {
    with_incarnation(request).encode().map_err(not_enqueued)
}

fn not_enqueued(error: oxcart::Error) -> Error {
    Error::queue("enqueueing through the outbox", error)
}
