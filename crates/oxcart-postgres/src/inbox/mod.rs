//! What a handler, or a consumer of messages, does in PostgreSQL happens once.

mod consumer;
mod in_transaction;
mod job_key;
mod seen;
mod stored;
mod wrapped;

use std::fmt;
use std::time::Duration;

use oxcart::Timestamp;
use sqlx::PgPool;

use crate::error::{Error, ErrorKind};

pub use in_transaction::InTransaction;
pub use job_key::INCARNATION_HEADER;
pub(crate) use job_key::{incarnated, with_incarnation};
pub use wrapped::Settled;

/// So many rows are dropped in one statement.
const BATCH: i64 = 5_000;

/// Remembers which jobs and which messages have had their effect in a database. Cheap to clone.
///
/// | to .. | use |
/// |---|---|
/// | do something in a handler once | [`InTransaction::once`] |
/// | let the commit complete the job | [`InTransaction::complete_in`], in a handler that is [wrapped](Self::wrap) |
/// | take a message from elsewhere once | [`once`](Self::once) |
/// | keep the tables small | [`prune`](Self::prune) |
#[derive(Clone)]
pub struct Inbox {
    pool: PgPool,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

impl Inbox {
    /// In the database of this pool: the one in which handlers do their work. Nothing is asked of it yet.
    #[must_use]
    pub fn new(pool: &PgPool) -> Self {
        Self { pool: pool.clone() }
    }

    /// Forgets what was last used longer ago than this; how many rows that were. Each statement drops 5,000 rows at most, and is a transaction
    /// of its own, so that nobody waits for it. Run it now and then, by a [schedule](oxcart::Schedule) for instance.
    ///
    /// A job or a message that comes again after it was forgotten has its effect again. So keep rows for longer than a job can live: with its retries, in
    /// a paused queue, on the dead-letter list until it is replayed. A week or a month are good choices.
    ///
    /// ```no_run
    /// # use oxcart_postgres::{Error, Inbox};
    /// # use std::time::Duration;
    /// # async fn example(inbox: Inbox) -> Result<(), Error> {
    /// let month = Duration::from_secs(30 * 86_400);
    /// println!("{} rows are forgotten", inbox.prune(month).await?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for less than an hour: attempts that are still under way could be forgotten. Otherwise if PostgreSQL refuses, or
    /// cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends it between two statements, or after one more.
    pub async fn prune(&self, older_than: Duration) -> Result<u64, Error> {
        const SHORTEST: Duration = Duration::from_secs(3_600);
        if older_than < SHORTEST {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "the inbox was asked to forget what is older than {older_than:?}; one hour is the least"
                ),
            ));
        }
        const JOBS: &str = "DELETE FROM oxcart.inbox_job WHERE ctid = ANY (ARRAY(SELECT ctid FROM oxcart.inbox_job \
            WHERE seen_at < now() - make_interval(secs => $1) ORDER BY seen_at LIMIT $2 FOR UPDATE SKIP LOCKED))";
        const MESSAGES: &str = "DELETE FROM oxcart.inbox_message WHERE ctid = ANY (ARRAY(SELECT ctid FROM oxcart.inbox_message \
            WHERE seen_at < now() - make_interval(secs => $1) ORDER BY seen_at LIMIT $2 FOR UPDATE SKIP LOCKED))";
        let mut dropped = 0;
        for statement in [JOBS, MESSAGES] {
            loop {
                let done = sqlx::query(statement)
                    .bind(older_than.as_secs_f64())
                    .bind(BATCH)
                    .execute(&self.pool)
                    .await
                    .map_err(|error| Error::sql("forgetting old rows of the inbox", error))?;
                dropped += done.rows_affected();
                if done.rows_affected() < BATCH.unsigned_abs() {
                    break;
                }
            }
        }
        Ok(dropped)
    }
}

/// A moment that PostgreSQL gave as milliseconds.
pub(crate) fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms.unsigned_abs())
}
