//! What keeps the tables small, and tells the metrics what waits.

use std::time::Duration;

use sqlx::{Connection, Executor, PgPool};
use tokio::time::sleep;

use crate::ask::{ask, ask_within};
use crate::error::Error;
use crate::outbox::Outbox;

/// So many dead rows are worth cleaning.
const DEAD_ROWS: i64 = 20_000;
const CLEAN_LIMIT: Duration = Duration::from_secs(600);
/// While an old transaction may still read dead rows, these stay.
const CLEAN_PAUSE: Duration = Duration::from_secs(60);

const ARE_MANY_DEAD: &str = "SELECT pg_stat_get_dead_tuples('oxcart.outbox'::regclass) > $1";
const CLEAN: &str = "VACUUM (SKIP_LOCKED) oxcart.outbox";
const ROTATE: &str = "SELECT oxcart.outbox_rotate($1 * interval '1 second')";
/// Whatever the default of this database is.
const READ_COMMITTED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

pub(super) async fn keep_up(pool: PgPool, keep: Duration) -> Result<(), Error> {
    rotate(&pool, keep).await?;
    measure(&pool).await
}

async fn rotate(pool: &PgPool, keep: Duration) -> Result<(), Error> {
    ask(pool, "dropping rows that were sent", async |asked| {
        let mut tx = asked.begin_with(READ_COMMITTED).await?;
        let rotate = sqlx::query(ROTATE).bind(keep.as_secs_f64());
        rotate.execute(&mut *tx).await?;
        tx.commit().await
    })
    .await
}

/// What waits, for the metrics.
async fn measure(pool: &PgPool) -> Result<(), Error> {
    if !crate::metrics::IS_ON {
        return Ok(());
    }
    let asked = ask(pool, "asking what is in the outbox", async |asked| {
        Ok(Outbox::new().status(asked).await)
    });
    crate::metrics::status(&asked.await??);
    Ok(())
}

/// The server cleans tables once a minute, when a busy one has a million dead rows. Where this user may not do it, the server does it alone.
pub(super) async fn clean(pool: PgPool) -> Result<(), Error> {
    if !are_many_dead(&pool).await? {
        return Ok(());
    }
    let cleaned = ask_within(CLEAN_LIMIT, &pool, "cleaning the outbox", async |asked| {
        asked.execute(CLEAN).await
    });
    if let Err(error) = cleaned.await {
        tracing::debug!(%error, "the table of the outbox was not cleaned");
    }
    if are_many_dead(&pool).await? {
        sleep(CLEAN_PAUSE).await;
    }
    Ok(())
}

async fn are_many_dead(pool: &PgPool) -> Result<bool, Error> {
    let many = ask(pool, "asking how many rows are dead", async |asked| {
        let many = sqlx::query_scalar(ARE_MANY_DEAD).bind(DEAD_ROWS);
        many.fetch_one(asked).await
    });
    many.await
}
