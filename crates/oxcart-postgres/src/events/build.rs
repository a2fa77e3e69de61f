//! A projection of a new version: its table is built beside the old one, and then takes its place.

use sqlx::{Connection, PgConnection};

use crate::error::Error;
use crate::events::projection::{Projection, table_to_be, version};
use crate::events::projector::{Moved, Projector, Stuck, check_is_ours};
use crate::events::transaction::{BEGIN, set_lock_timeout};

const TRIED: &str = "building a projection anew";

/// So long the switch waits for readers of the old table. Then it gives up and tries again later, because new readers wait behind it.
const WAIT_FOR_READERS: &str = "2s";

/// The grants on the old table, `$1`, as statements that grant the same on the new one, `$2`. A column that is not in the new one has none.
const GRANTS: &str = "WITH granted AS (\
    SELECT acl.*, '' AS part FROM pg_class, aclexplode(relacl) AS acl WHERE oid = to_regclass($1) \
    UNION ALL \
    SELECT acl.*, format(' (%I)', old.attname) FROM pg_attribute AS old \
    JOIN pg_attribute AS new ON new.attrelid = to_regclass($2) AND new.attname = old.attname AND NOT new.attisdropped, \
    aclexplode(old.attacl) AS acl \
    WHERE old.attrelid = to_regclass($1) AND old.attnum > 0 AND NOT old.attisdropped) \
    SELECT format('GRANT %s%s ON TABLE %s TO %s%s', privilege_type, part, to_regclass($2), \
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, \
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) \
    FROM granted WHERE grantee <> (SELECT relowner FROM pg_class WHERE oid = to_regclass($2))";

/// Takes in events, in one transaction.
pub(super) async fn build<P: Projection>(
    projector: &Projector<P>,
    connection: &mut PgConnection,
    limit: u32,
) -> Result<Moved, Stuck> {
    let there = "SELECT EXISTS (SELECT FROM oxcart.projection WHERE name = $1 AND NOT serves)";
    let there = sqlx::query_scalar(there).bind(P::NAME);
    let there = there.fetch_one(&mut *connection);
    let is_there: bool = projector.ask(TRIED, there).await?;
    if !is_there {
        return start(projector, connection).await;
    }
    let mut tx = projector.ask(TRIED, connection.begin_with(BEGIN)).await?;
    let held = hold(projector, &mut tx, false, Taken::Leave).await?;
    let Some((building, position)) = held else {
        projector.ask(TRIED, tx.rollback()).await?;
        return Ok(Moved::Elsewhere);
    };
    check_is_ours::<P>(building)?;
    let table = table_to_be(P::NAME);
    if building < version::<P>() {
        // What an earlier version has begun is of no use.
        run(projector, &mut tx, &format!("DROP TABLE IF EXISTS {table}")).await?;
        forget(projector, &mut tx).await?;
        projector.ask(TRIED, tx.commit()).await?;
        return Ok(Moved::On);
    }
    let taken = projector.take_in(&mut tx, &table, false, position, limit);
    let taken = taken.await?;
    projector.ask(TRIED, tx.commit()).await?;
    Ok(match taken {
        0 => Moved::CaughtUp,
        _ => Moved::On,
    })
}

/// Makes the table, if nobody else does, and if it has not been built and serves by now.
async fn start<P: Projection>(
    projector: &Projector<P>,
    connection: &mut PgConnection,
) -> Result<Moved, Stuck> {
    let mut tx = projector.ask(TRIED, connection.begin_with(BEGIN)).await?;
    let was = set_lock_timeout(&mut tx, projector.lock_timeout());
    let was = projector.ask(TRIED, was).await?;
    let serving = hold(projector, &mut tx, true, Taken::Wait).await?;
    if serving.is_none_or(|(serving, _)| serving >= version::<P>()) {
        projector.ask(TRIED, tx.rollback()).await?;
        return Ok(Moved::On);
    }
    let claim = "INSERT INTO oxcart.projection (name, serves, version, position) VALUES ($1, false, $2, 0) ON CONFLICT DO NOTHING";
    let claim = sqlx::query(claim).bind(P::NAME).bind(version::<P>());
    let claimed = projector.ask(TRIED, claim.execute(&mut *tx)).await?;
    if claimed.rows_affected() > 0 {
        let restored = set_lock_timeout(&mut tx, was);
        projector.ask(TRIED, restored).await?;
        projector.make(&mut tx, &table_to_be(P::NAME)).await?;
    }
    projector.ask(TRIED, tx.commit()).await?;
    Ok(Moved::On)
}

/// The new table takes the place of the old one, as soon as it has come as far.
pub(super) async fn switch<P: Projection>(
    projector: &Projector<P>,
    connection: &mut PgConnection,
) -> Result<Moved, Stuck> {
    let mut tx = projector.ask(TRIED, connection.begin_with(BEGIN)).await?;
    let table = table_to_be(P::NAME);
    let was = set_lock_timeout(&mut tx, projector.lock_timeout());
    let was = projector.ask(TRIED, was).await?;
    // First the row of the table that serves, then the other one: so that nobody waits in a circle.
    let serving = hold(projector, &mut tx, true, Taken::Wait).await?;
    let building = hold(projector, &mut tx, false, Taken::Wait).await?;
    let (Some((_, served)), Some((building, mut position))) = (serving, building) else {
        // Another process was faster.
        return Ok(Moved::On);
    };
    check_is_ours::<P>(building)?;
    if building < version::<P>() {
        return Ok(Moved::On);
    }
    let restored = set_lock_timeout(&mut tx, was);
    projector.ask(TRIED, restored).await?;
    // A reader must not see the table go back.
    while position < served {
        let taken = projector.take_in(&mut tx, &table, false, position, projector.batch);
        if taken.await? == 0 {
            break;
        }
        position = match hold(projector, &mut tx, false, Taken::Wait).await? {
            Some((_, position)) => position,
            None => return Ok(Moved::On),
        };
    }
    let short = set_lock_timeout(&mut tx, WAIT_FOR_READERS.to_owned());
    projector.ask(TRIED, short).await?;
    let grants = sqlx::query_scalar(GRANTS).bind(P::NAME).bind(&table);
    let grants: Vec<String> = projector.ask(TRIED, grants.fetch_all(&mut *tx)).await?;
    for grant in grants {
        run(projector, &mut tx, &grant).await?;
    }
    for statement in [
        format!("DROP TABLE IF EXISTS {}", P::NAME),
        format!("ALTER TABLE {table} RENAME TO {}", P::NAME),
    ] {
        run(projector, &mut tx, &statement).await?;
    }
    forget(projector, &mut tx).await?;
    let serve = "UPDATE oxcart.projection SET version = $2, position = $3, moved_at = now() WHERE name = $1 AND serves";
    let serve = sqlx::query(serve)
        .bind(P::NAME)
        .bind(version::<P>())
        .bind(position);
    projector.ask(TRIED, serve.execute(&mut *tx)).await?;
    projector.ask(TRIED, tx.commit()).await?;
    tracing::info!(
        projection = P::NAME,
        version = P::VERSION,
        "a projection of a new version serves"
    );
    Ok(Moved::On)
}

/// What to do if another process holds the row.
#[derive(PartialEq, Eq)]
enum Taken {
    /// As if there were none.
    Leave,
    Wait,
}

/// The version and the position of a table, and nobody else moves it until the transaction ends.
async fn hold<P: Projection>(
    projector: &Projector<P>,
    tx: &mut PgConnection,
    serves: bool,
    taken: Taken,
) -> Result<Option<(i32, i64)>, Error> {
    let hold = match taken {
        Taken::Wait => {
            "SELECT version, position FROM oxcart.projection WHERE name = $1 AND serves = $2 FOR UPDATE"
        }
        Taken::Leave => {
            "SELECT version, position FROM oxcart.projection WHERE name = $1 AND serves = $2 FOR UPDATE SKIP LOCKED"
        }
    };
    let held = sqlx::query_as(hold).bind(P::NAME).bind(serves);
    projector.ask(TRIED, held.fetch_optional(tx)).await
}

async fn forget<P: Projection>(
    projector: &Projector<P>,
    tx: &mut PgConnection,
) -> Result<(), Error> {
    let forget = "DELETE FROM oxcart.projection WHERE name = $1 AND NOT serves";
    let forget = sqlx::query(forget).bind(P::NAME).execute(tx);
    projector.ask(TRIED, forget).await.map(|_| ())
}

async fn run<P: Projection>(
    projector: &Projector<P>,
    tx: &mut PgConnection,
    statement: &str,
) -> Result<(), Error> {
    let ran = sqlx::query(statement).execute(tx);
    projector.ask(TRIED, ran).await.map(|_| ())
}
