//! A projection of a new version: its table is built beside the old one, and then takes its place.

use sqlx::{PgConnection, PgPool, PgTransaction};

use crate::error::Error;
use crate::events::projection::{Projection, table_to_be, version};
use crate::events::projector::{Moved, Projector, Stuck, check_is_ours, refused};

/// So long the switch waits for readers of the old table. Then it gives up and tries again later, because new readers wait behind it.
const WAIT_FOR_READERS: &str = "SET LOCAL lock_timeout = '2s'";

/// Takes in events, in one transaction.
pub(super) async fn build<P: Projection>(
    projector: &Projector<P>,
    limit: u32,
) -> Result<Moved, Stuck> {
    let mut tx = begin(&projector.pool).await?;
    let table = table_to_be(P::NAME);
    let Some((building, position)) = hold::<P>(&mut tx, false).await? else {
        start(projector, &mut tx, &table).await?;
        commit(tx).await?;
        return Ok(Moved::On);
    };
    check_is_ours::<P>(building)?;
    if building < version::<P>() {
        // What an earlier version has begun is of no use.
        run(&mut tx, &format!("DROP TABLE IF EXISTS {table}")).await?;
        forget::<P>(&mut tx).await?;
        commit(tx).await?;
        return Ok(Moved::On);
    }
    let taken = projector.take_in(&mut tx, &table, false, position, limit);
    let taken = taken.await?;
    commit(tx).await?;
    Ok(match taken {
        0 => Moved::CaughtUp,
        _ => Moved::On,
    })
}

/// Makes the table, if nobody else does, and if it has not been built and serves by now.
async fn start<P: Projection>(
    projector: &Projector<P>,
    tx: &mut PgTransaction<'_>,
    table: &str,
) -> Result<(), Stuck> {
    let serving = hold::<P>(tx, true).await?;
    if serving.is_none_or(|(serving, _)| serving >= version::<P>()) {
        return Ok(());
    }
    let claim = "INSERT INTO oxcart.projection (name, serves, version, position) VALUES ($1, false, $2, 0) ON CONFLICT DO NOTHING";
    let claimed = sqlx::query(claim)
        .bind(P::NAME)
        .bind(version::<P>())
        .execute(&mut **tx)
        .await
        .map_err(failed)?;
    if claimed.rows_affected() > 0 {
        let created = projector.projection.create(&mut *tx, table).await;
        created.map_err(|why| refused::<P>("its new table cannot be made", why))?;
    }
    Ok(())
}

/// The new table takes the place of the old one, as soon as it has come as far.
pub(super) async fn switch<P: Projection>(projector: &Projector<P>) -> Result<Moved, Stuck> {
    let mut tx = begin(&projector.pool).await?;
    let table = table_to_be(P::NAME);
    // First the row of the table that serves, then the other one: so that nobody waits in a circle.
    let serving = hold::<P>(&mut tx, true).await?;
    let building = hold::<P>(&mut tx, false).await?;
    let (Some((_, served)), Some((building, mut position))) = (serving, building) else {
        // Another process was faster.
        return Ok(Moved::On);
    };
    check_is_ours::<P>(building)?;
    if building < version::<P>() {
        return Ok(Moved::On);
    }
    // A reader must not see the table go back.
    while position < served {
        let taken = projector.take_in(&mut tx, &table, false, position, projector.batch);
        if taken.await? == 0 {
            break;
        }
        position = match hold::<P>(&mut tx, false).await? {
            Some((_, position)) => position,
            None => return Ok(Moved::On),
        };
    }
    run(&mut tx, WAIT_FOR_READERS).await?;
    run(&mut tx, &format!("DROP TABLE IF EXISTS {}", P::NAME)).await?;
    run(
        &mut tx,
        &format!("ALTER TABLE {table} RENAME TO {}", P::NAME),
    )
    .await?;
    forget::<P>(&mut tx).await?;
    let serve = "UPDATE oxcart.projection SET version = $2, position = $3, moved_at = now() WHERE name = $1 AND serves";
    sqlx::query(serve)
        .bind(P::NAME)
        .bind(version::<P>())
        .bind(position)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    commit(tx).await?;
    tracing::info!(
        projection = P::NAME,
        version = P::VERSION,
        "a projection of a new version serves"
    );
    Ok(Moved::On)
}

/// The version and the position of a table, and nobody else moves it until the transaction ends.
async fn hold<P: Projection>(
    tx: &mut PgConnection,
    serves: bool,
) -> Result<Option<(i32, i64)>, Error> {
    let hold = "SELECT version, position FROM oxcart.projection WHERE name = $1 AND serves = $2 FOR UPDATE";
    let held = sqlx::query_as(hold).bind(P::NAME).bind(serves);
    held.fetch_optional(tx).await.map_err(failed)
}

async fn forget<P: Projection>(tx: &mut PgConnection) -> Result<(), Error> {
    let forget = "DELETE FROM oxcart.projection WHERE name = $1 AND NOT serves";
    let forgotten = sqlx::query(forget).bind(P::NAME).execute(tx).await;
    forgotten.map(|_| ()).map_err(failed)
}

async fn begin(pool: &PgPool) -> Result<PgTransaction<'static>, Error> {
    pool.begin().await.map_err(failed)
}

async fn commit(tx: PgTransaction<'_>) -> Result<(), Error> {
    tx.commit().await.map_err(failed)
}

async fn run(tx: &mut PgConnection, statement: &str) -> Result<(), Error> {
    let ran = sqlx::query(statement).execute(tx).await;
    ran.map(|_| ()).map_err(failed)
}

fn failed(error: sqlx::Error) -> Error {
    Error::sql("building a projection anew", error)
}
