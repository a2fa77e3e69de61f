//! Rows that were taken together.

use oxcart::{EncodedJob, Queue};

use super::Shared;
use crate::ask::ask;
use crate::error::Error;

const ROWS_AT_MOST: i32 = 1024;
const BYTES_AT_MOST: i64 = 4 * 1024 * 1024;
/// So long a relay has a queue for itself without taking another batch, in seconds.
const HOLD_SECONDS: f64 = 2.0;

const TAKE: &str = "SELECT upto, noted FROM oxcart.outbox_take($1, $2, $3::uuid, $4, $5 * interval '1 second', $6, $7)";
const READ: &str = "SELECT sent_position, sent_job FROM oxcart.outbox_read($1, $2, $3)";
const SET_ASIDE: &str = "SELECT oxcart.outbox_set_aside($1, $2::uuid, $3, $4)";

/// What there is to do for a queue.
pub(super) enum Taken {
    Rows(Batch),
    /// Nothing, or another relay is at it.
    Nothing,
    /// The queue is known to have stood further.
    Behind {
        noted: u64,
    },
}

/// The next rows to send, in order, with their positions.
pub(super) struct Batch {
    pub(super) jobs: Vec<(u64, EncodedJob)>,
    /// Positions of rows that cannot be sent, and why.
    pub(super) bad: Vec<(u64, String)>,
}

impl Batch {
    /// Takes the next rows of a queue that stands at this position in Redis; `is_lost` says that it has stood further, and has lost that.
    pub(super) async fn take(
        shared: &Shared,
        queue: &str,
        known: Option<u64>,
        is_lost: bool,
    ) -> Result<Taken, Error> {
        let tried = "taking rows of the outbox";
        let after = known.unwrap_or(0).cast_signed();
        let take = sqlx::query_as(TAKE)
            .bind(queue)
            .bind(after)
            .bind(&shared.me)
            .bind(is_lost)
            .bind(HOLD_SECONDS)
            .bind(ROWS_AT_MOST)
            .bind(BYTES_AT_MOST);
        let taken = ask(&shared.pool, tried, async |asked| {
            take.fetch_one(asked).await
        });
        let (upto, noted): (Option<i64>, Option<i64>) = taken.await?;
        let Some(upto) = upto else {
            let noted = noted.map(i64::cast_unsigned);
            return Ok(noted.map_or(Taken::Nothing, |noted| Taken::Behind { noted }));
        };
        let read = sqlx::query_as(READ).bind(queue).bind(after).bind(upto);
        let rows: Vec<(i64, Vec<u8>)> = ask(&shared.pool, tried, async |asked| {
            read.fetch_all(asked).await
        })
        .await?;
        let mut batch = Self {
            jobs: Vec::new(),
            bad: Vec::new(),
        };
        for (position, job) in rows {
            match EncodedJob::from_bytes(&job) {
                Ok(job) => batch.jobs.push((position.cast_unsigned(), job)),
                Err(error) => batch
                    .bad
                    .push((position.cast_unsigned(), error.to_string())),
            }
        }
        // Another relay may have set aside what was taken.
        Ok(match batch.jobs.is_empty() && batch.bad.is_empty() {
            true => Taken::Nothing,
            false => Taken::Rows(batch),
        })
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
        let set_aside = sqlx::query_scalar(SET_ASIDE)
            .bind(queue)
            .bind(&shared.me)
            .bind(positions)
            .bind(errors);
        let tried = "setting rows aside that cannot be sent";
        let is_done = ask(&shared.pool, tried, async |asked| {
            set_aside.fetch_one(asked).await
        })
        .await?;
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
