//! What waits, and for how long.

use std::time::Duration;

use sqlx::{PgConnection, Row};

use super::Outbox;
use crate::error::Error;

/// More rows than this are not counted: who asks is told that there are so many at least.
const COUNTED: i64 = 100_000;

/// What is in the outbox.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// For each queue for which something was ever sent, or waits.
    pub streams: Vec<StreamStatus>,
    /// Rows that were set aside ([`Outbox::failed`]).
    pub failed: u64,
}

/// What is in the outbox for one queue.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamStatus {
    /// The name of the queue.
    pub queue: String,
    /// How many rows wait. 100,000 stands for that, or more.
    pub waiting: u64,
    /// Since when the first of them waits: the lag. `None` if none waits.
    pub oldest: Option<Duration>,
    /// Rows that a relay has taken, and of which it is not known that Redis has them: at most a batch, but while rows are sent again.
    pub under_way: u64,
    /// Why the rows wait, and since when, if they do not get through.
    pub trouble: Option<(String, Duration)>,
}

impl Outbox {
    /// What waits, for each queue, and since when.
    ///
    /// It reads an index, up to 100,000 entries of each queue.
    ///
    /// # Errors
    ///
    /// Those of PostgreSQL.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn status(&self, connection: &mut PgConnection) -> Result<OutboxStatus, Error> {
        let failed = |error| Error::sql("asking what is in the outbox", error);
        let rows = sqlx::query(
            "SELECT names.queue,
               (SELECT count(*) FROM (SELECT FROM oxcart.outbox o WHERE o.queue = names.queue LIMIT $1) AS few) AS waiting,
               (SELECT (extract(epoch FROM clock_timestamp() - o.added_at) * 1000)::int8
                FROM oxcart.outbox o WHERE o.queue = names.queue ORDER BY o.id LIMIT 1) AS oldest_ms,
               (SELECT count(*) FROM (SELECT FROM oxcart.outbox_sent s
                WHERE s.queue = names.queue AND s.position > stream.fed LIMIT $1) AS few) AS under_way,
               stream.trouble, (extract(epoch FROM clock_timestamp() - stream.trouble_since) * 1000)::int8 AS trouble_ms
             FROM (SELECT oxcart.outbox_queues() AS queue UNION SELECT queue FROM oxcart.outbox_stream) AS names
             LEFT JOIN oxcart.outbox_stream AS stream USING (queue) ORDER BY queue",
        )
        .bind(COUNTED)
        .fetch_all(&mut *connection)
        .await;
        let streams = rows.and_then(|rows| rows.iter().map(stream).collect());
        let set_aside: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM (SELECT FROM oxcart.outbox_failed LIMIT $1) AS few",
        )
        .bind(COUNTED)
        .fetch_one(connection)
        .await
        .map_err(failed)?;
        Ok(OutboxStatus {
            streams: streams.map_err(failed)?,
            failed: set_aside.unsigned_abs(),
        })
    }
}

fn stream(row: &sqlx::postgres::PgRow) -> Result<StreamStatus, sqlx::Error> {
    let since = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    let number = |name| row.try_get(name).map(i64::unsigned_abs);
    let oldest: Option<i64> = row.try_get("oldest_ms")?;
    let trouble: Option<String> = row.try_get("trouble")?;
    let trouble_ms: Option<i64> = row.try_get("trouble_ms")?;
    Ok(StreamStatus {
        queue: row.try_get("queue")?,
        waiting: number("waiting")?,
        oldest: oldest.map(since),
        under_way: number("under_way")?,
        trouble: trouble.zip(trouble_ms.map(since)),
    })
}
