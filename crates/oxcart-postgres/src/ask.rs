//! Questions to PostgreSQL that do not wait for ever.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::time::timeout;

use crate::error::{Error, ErrorKind};

/// How long PostgreSQL may take for an answer. A connection that died without a word is as silent as a server that is slow.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A connection that is closed, and not given back to the pool, if its answer is not waited for: the pool would wait for it.
struct Line {
    connection: PoolConnection<Postgres>,
    has_answered: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.has_answered {
            self.connection.close_on_drop();
        }
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
    let connection = within(LIMIT, tried, pool.acquire()).await?;
    let mut line = Line {
        connection,
        has_answered: false,
    };
    let answer = within(limit, tried, question(&mut line.connection)).await;
    line.has_answered = match &answer {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::Unreachable,
    };
    answer
}

/// What comes from a connection, if it comes within the limit.
pub(crate) async fn within<T>(
    limit: Duration,
    tried: &str,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Error> {
    let Ok(answer) = timeout(limit, answer).await else {
        let message = format!("{tried}: PostgreSQL did not answer within {limit:?}");
        return Err(Error::new(ErrorKind::Unreachable, message));
    };
    answer.map_err(|error| Error::sql(tried, error))
}
