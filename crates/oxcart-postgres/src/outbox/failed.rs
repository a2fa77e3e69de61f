//! Rows that could not be sent, and rows that were.

use std::time::{Duration, SystemTime};

use oxcart::EncodedJob;
use sqlx::{PgConnection, Row};

use super::Outbox;
use crate::error::Error;

/// A row that a relay has set aside, because it cannot be sent: it does not hold up others.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FailedRow {
    /// What [`Outbox::retry`] takes.
    pub id: i64,
    /// The queue it is for.
    pub queue: String,
    /// The id of its job.
    pub job_id: String,
    /// Why it cannot be sent.
    pub error: String,
    /// When it was set aside, by the clock of PostgreSQL.
    pub failed_at: SystemTime,
    /// What was to be sent, if it can be read.
    pub job: Option<EncodedJob>,
}

impl Outbox {
    /// Rows that were set aside, the oldest first, `most` of them at most; those behind `after` (the [`id`](FailedRow::id) of a row), 0 for all.
    ///
    /// # Errors
    ///
    /// Those of PostgreSQL.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn failed(
        &self,
        connection: &mut PgConnection,
        after: i64,
        most: u32,
    ) -> Result<Vec<FailedRow>, Error> {
        let rows = sqlx::query(
            "SELECT id, queue, job_id, error, (extract(epoch FROM failed_at) * 1000)::int8 AS failed_ms, job
             FROM oxcart.outbox_failed WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(i64::from(most))
        .fetch_all(connection)
        .await;
        let rows = rows.and_then(|rows| rows.iter().map(row).collect());
        rows.map_err(|error| Error::sql("listing what could not be sent", error))
    }

    /// Puts rows that were set aside behind those that wait, to be sent again; answers how many were there. In a transaction, when it is committed.
    ///
    /// # Errors
    ///
    /// Those of PostgreSQL.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it may have been done or not.
    pub async fn retry(&self, connection: &mut PgConnection, ids: &[i64]) -> Result<u64, Error> {
        let number: i64 = sqlx::query_scalar("SELECT oxcart.outbox_retry($1)")
            .bind(ids)
            .fetch_one(connection)
            .await
            .map_err(|error| Error::sql("sending again what could not be sent", error))?;
        Ok(number.unsigned_abs())
    }

    /// Forgets the rows for this queue that were sent. Do this before the queue is [deleted](oxcart::Queue::delete): a queue that has forgotten what it took looks
    /// as if Redis had lost it, so the relay would send the rows of the last hour again. Answers how many they were.
    ///
    /// # Errors
    ///
    /// Those of PostgreSQL.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it may have been done or not.
    pub async fn forget_sent(
        &self,
        connection: &mut PgConnection,
        queue: &str,
    ) -> Result<u64, Error> {
        let forget = "DELETE FROM oxcart.outbox_sent AS sent USING oxcart.outbox_stream AS stream
                      WHERE stream.queue = $1 AND sent.queue = stream.queue AND sent.position <= stream.fed";
        let forgot = sqlx::query(forget).bind(queue).execute(connection).await;
        let forgot = forgot.map_err(|error| Error::sql("forgetting what was sent", error))?;
        Ok(forgot.rows_affected())
    }
}

fn row(row: &sqlx::postgres::PgRow) -> Result<FailedRow, sqlx::Error> {
    let ms: i64 = row.try_get("failed_ms")?;
    let job: Vec<u8> = row.try_get("job")?;
    Ok(FailedRow {
        id: row.try_get("id")?,
        queue: row.try_get("queue")?,
        job_id: row.try_get("job_id")?,
        error: row.try_get("error")?,
        failed_at: SystemTime::UNIX_EPOCH + Duration::from_millis(ms.unsigned_abs()),
        job: EncodedJob::from_bytes(&job).ok(),
    })
}
