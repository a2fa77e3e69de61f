//! Questions to PostgreSQL that do not wait for ever.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::time::timeout;

use crate::error::{Error, ErrorKind};

/// How long PostgreSQL may take for an answer. A connection that died without a word is as silent as a server that is slow.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A connection of a pool. It goes back there if it is known to be sound, and is closed otherwise: what hangs in it would hang in the pool.
pub(crate) struct Lent {
    connection: PoolConnection<Postgres>,
    is_sound: bool,
}

impl Lent {
    pub(crate) async fn from(pool: &PgPool) -> Result<Self, sqlx::Error> {
        Ok(Self {
            connection: pool.acquire().await?,
            is_sound: false,
        })
    }

    /// What was done with it came to its end, with this error or without any.
    pub(crate) fn give_back(mut self, error: Option<&Error>) {
        self.is_sound = error.is_none_or(|error| error.kind() != ErrorKind::Unreachable);
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.is_sound {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

/// Asks on a connection of the pool; [`ErrorKind::Unreachable`] if that takes longer than [`LIMIT`].
pub(crate) async fn ask<T>(
    pool: &PgPool,
    tried: &str,
    question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Result<T, Error> {
    ask_within(LIMIT, pool, tried, question).await
}

/// The same with another limit.
pub(crate) async fn ask_within<T>(
    limit: Duration,
    pool: &PgPool,
    tried: &str,
    question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
) -> Result<T, Error> {
    let mut lent = within(LIMIT, tried, Lent::from(pool)).await?;
    let answer = within(limit, tried, question(&mut lent)).await;
    lent.give_back(answer.as_ref().err());
    answer
}

/// The answer, unless it takes longer than this. Then the connection is of no use any more.
pub(crate) async fn within<T>(
    limit: Duration,
    tried: &str,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Error> {
    let answer = async { answer.await.map_err(|error| Error::sql(tried, error)) };
    known_within(limit, tried, answer).await
}

/// The same for what has an error of ours.
pub(crate) async fn known_within<T>(
    limit: Duration,
    tried: &str,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, answer).await.unwrap_or_else(|_| {
        let message = format!("{tried}: PostgreSQL did not answer within {limit:?}");
        Err(Error::new(ErrorKind::Unreachable, message))
    })
}
