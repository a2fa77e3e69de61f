//! Connections and transactions that end: whoever does not answer, or does nothing any more, holds up nobody.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};

use crate::error::{Error, ErrorKind};

/// Begins a transaction which PostgreSQL ends when nothing is sent in it for so long: a process that is frozen or cut off must not hold its rows
/// without end. What is set and is shorter holds.
pub(super) const BEGIN: &str = "BEGIN; SELECT CASE WHEN current_setting('idle_in_transaction_session_timeout')::interval \
    BETWEEN interval '1 ms' AND interval '60 s' THEN '' ELSE set_config('idle_in_transaction_session_timeout', '60s', true) END";

/// A connection of a pool. It goes back there if it is known to be sound, and is closed otherwise: what hangs in it would hang in the pool.
pub(super) struct Lent {
    connection: PoolConnection<Postgres>,
    is_sound: bool,
}

impl Lent {
    pub(super) async fn from(pool: &PgPool) -> Result<Self, sqlx::Error> {
        Ok(Self {
            connection: pool.acquire().await?,
            is_sound: false,
        })
    }

    /// What was done with it came to its end, and not because nobody answered.
    pub(super) fn give_back(mut self) {
        self.is_sound = true;
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

/// The answer, unless it takes longer than this. Then the connection is of no use any more.
pub(super) async fn within<T>(
    limit: Duration,
    tried: &str,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::new(
            ErrorKind::Unreachable,
            format!("{tried}: PostgreSQL has not answered for {limit:?}"),
        )),
    }
}

/// For the statements that follow in this transaction; what it was.
pub(super) async fn set_lock_timeout(
    tx: &mut PgConnection,
    wait: String,
) -> Result<String, sqlx::Error> {
    let set = "WITH old AS MATERIALIZED (SELECT current_setting('lock_timeout') AS wait) \
        SELECT wait, set_config('lock_timeout', $1, true) FROM old";
    let (was, _): (String, String) = sqlx::query_as(set).bind(wait).fetch_one(tx).await?;
    Ok(was)
}
