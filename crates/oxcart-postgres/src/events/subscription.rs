//! Readers whose position is stored.

use std::fmt;

use sqlx::{PgPool, PgTransaction};

use crate::error::{Error, ErrorKind};
use crate::events::event::Recorded;
use crate::events::order::order;
use crate::events::read::ordered;
use crate::events::transaction::BEGIN;

const NAME_MAX: usize = 512;

/// A reader of all events, whose position is stored: it does something with each of them once. Cheap to clone.
///
/// Events are taken in a transaction, and are taken for good when that is committed. So what is written in it, also the jobs that are
/// enqueued through the [outbox](crate::Outbox), happens once for each event. Readers of one name take turns; each name gets all events.
///
/// ```no_run
/// # use oxcart_postgres::{Error, Subscription};
/// # async fn example(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// let mailer = Subscription::new(&pool, "mailer")?;
/// loop {
///     let (tx, events) = mailer.take(100).await?;
///     for event in &events {
///         println!("{} {}", event.stream, event.event.name);      // or enqueue a job, in this transaction
///     }
///     tx.commit().await?;
///     if events.is_empty() {
///         break;
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Subscription {
    pool: PgPool,
    name: String,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Subscription {
    /// The subscription of this name, which begins before the first event. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a name that is empty, or longer than 512 bytes.
    pub fn new(pool: &PgPool, name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        if name.is_empty() || name.len() > NAME_MAX || name.contains('\0') {
            let message = format!(
                "a subscription needs a name of 1 to {NAME_MAX} bytes, without a zero byte"
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(Self {
            pool: pool.clone(),
            name,
        })
    }

    /// The next events, at most so many (10,000 at most, and 1 MiB as with [`read_all`](crate::EventStore::read_all)), and the transaction that takes them; no
    /// events if nothing is new. They are taken when it is committed, and are next again if it is not. Until it ends, another reader of the same name
    /// waits.
    ///
    /// PostgreSQL ends the transaction when nothing is sent in it for 60 s ([`idle_in_transaction_session_timeout`], unless a shorter one is set): so a process
    /// that is frozen does not hold up the others.
    ///
    /// [`idle_in_transaction_session_timeout`]: https://www.postgresql.org/docs/current/runtime-config-client.html
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if the next event cannot be read, and whatever PostgreSQL says. Nothing is taken then.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, nothing is taken.
    pub async fn take(&self, limit: u32) -> Result<(PgTransaction<'static>, Vec<Recorded>), Error> {
        // Before the transaction: with one connection each, readers do not wait for each other.
        let failed = |error| Error::sql("taking the next events of a subscription", error);
        order(&mut *self.pool.acquire().await.map_err(failed)?).await?;
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(failed)?;
        let hold = "INSERT INTO oxcart.subscription AS known (name, position) VALUES ($1, 0) \
            ON CONFLICT (name) DO UPDATE SET position = known.position RETURNING position";
        let position: i64 = sqlx::query_scalar(hold)
            .bind(&self.name)
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
        let events = ordered(&mut tx, position.unsigned_abs(), limit).await?;
        if let Some(last) = events.last().and_then(|event| event.position) {
            let move_on = "UPDATE oxcart.subscription SET position = $2 WHERE name = $1";
            sqlx::query(move_on)
                .bind(&self.name)
                .bind(i64::try_from(last).unwrap_or(i64::MAX))
                .execute(&mut *tx)
                .await
                .map_err(failed)?;
        }
        Ok((tx, events))
    }

    /// The last event that was taken; 0 if none was.
    ///
    /// # Errors
    ///
    /// Whatever PostgreSQL says.
    pub async fn position(&self) -> Result<u64, Error> {
        let position = "SELECT position FROM oxcart.subscription WHERE name = $1";
        let position: Option<i64> = sqlx::query_scalar(position)
            .bind(&self.name)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| Error::sql("reading how far a subscription has come", error))?;
        Ok(position.unwrap_or(0).unsigned_abs())
    }
}
