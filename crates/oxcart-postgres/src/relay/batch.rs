//! Rows that were taken together.

use oxcart::{EncodedJob, Queue};
use sqlx::Row;

use super::Shared;
use crate::error::Error;

const ROWS_AT_MOST: i32 = 1024;
const BYTES_AT_MOST: i64 = 4 * 1024 * 1024;
/// So long a relay has a queue for itself without taking another batch, in seconds.
const HOLD_SECONDS: f64 = 2.0;

/// The next rows to send, in order, with their positions.
pub(super) struct Batch {
    pub(super) jobs: Vec<(u64, EncodedJob)>,
    /// Positions of rows that cannot be sent, and why.
    pub(super) bad: Vec<(u64, String)>,
}

impl Batch {
    /// Takes the next rows of a queue that stands at this position in Redis.
    pub(super) async fn take(
        shared: &Shared,
        queue: &str,
        known: Option<u64>,
    ) -> Result<Self, Error> {
        let rows = sqlx::query(
            "SELECT sent_position, sent_job FROM oxcart.outbox_take($1, $2, $3::uuid, $4 * interval '1 second', $5, $6)",
        )
        .bind(queue)
        .bind(known.unwrap_or(0).cast_signed())
        .bind(&shared.me)
        .bind(HOLD_SECONDS)
        .bind(ROWS_AT_MOST)
        .bind(BYTES_AT_MOST)
        .fetch_all(&shared.pool)
        .await;
        let failed = |error| Error::sql("taking rows of the outbox", error);
        let mut batch = Self {
            jobs: Vec::new(),
            bad: Vec::new(),
        };
        for row in rows.map_err(failed)? {
            let position: i64 = row.try_get("sent_position").map_err(failed)?;
            let job: &[u8] = row.try_get("sent_job").map_err(failed)?;
            match EncodedJob::from_bytes(job) {
                Ok(job) => batch.jobs.push((position.cast_unsigned(), job)),
                Err(error) => batch
                    .bad
                    .push((position.cast_unsigned(), error.to_string())),
            }
        }
        Ok(batch)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.bad.is_empty()
    }

    /// Finds the row that the library has refused, if it is about one; it is not among the jobs then.
    pub(super) fn refused(&mut self, error: &oxcart::Error) -> bool {
        let Some(id) = error
            .job_id()
            .filter(|_| error.is_invalid() || error.is_codec())
        else {
            return false;
        };
        let before = self.jobs.len();
        let (bad, good) = std::mem::take(&mut self.jobs)
            .into_iter()
            .partition(|(_, job)| job.job_id() == id);
        self.jobs = good;
        self.bad
            .extend(Vec::into_iter(bad).map(|(position, _)| (position, error.to_string())));
        self.jobs.len() < before
    }

    /// None of them can be sent.
    pub(super) fn refuse_all(&mut self, error: &oxcart::Error) {
        let jobs = std::mem::take(&mut self.jobs).into_iter();
        self.bad
            .extend(jobs.map(|(position, _)| (position, error.to_string())));
    }

    /// Sets the bad ones aside. `false`: another relay is at the queue by now, and nothing was done.
    pub(super) async fn set_aside(&mut self, shared: &Shared, queue: &str) -> Result<bool, Error> {
        if self.bad.is_empty() {
            return Ok(true);
        }
        let bad = std::mem::take(&mut self.bad);
        let (positions, errors): (Vec<i64>, Vec<String>) = bad
            .iter()
            .map(|(position, error)| (position.cast_signed(), error.clone()))
            .unzip();
        let is_done = sqlx::query_scalar("SELECT oxcart.outbox_set_aside($1, $2::uuid, $3, $4)")
            .bind(queue)
            .bind(&shared.me)
            .bind(positions)
            .bind(errors)
            .fetch_one(&shared.pool)
            .await
            .map_err(|error| Error::sql("setting rows aside that cannot be sent", error))?;
        if is_done {
            for (position, error) in &bad {
                tracing::warn!(queue, position, %error, "a row of the outbox cannot be sent; it is set aside");
            }
            crate::metrics::set_aside(queue, bad.len() as u64);
        }
        Ok(is_done)
    }

    /// Sends them; gives the position at which the queue stands then.
    pub(super) async fn feed(
        &self,
        queue: &Queue,
        source: &str,
        known: Option<u64>,
    ) -> Result<Option<u64>, oxcart::Error> {
        if self.jobs.is_empty() {
            return Ok(known);
        }
        let mut feed = queue.feed_encoded(source, self.jobs.iter().cloned());
        if let Some(known) = known {
            feed = feed.after(known);
        }
        let fed = feed.await?;
        crate::metrics::sent(queue.name(), fed.taken);
        Ok(fed.position)
    }
}
