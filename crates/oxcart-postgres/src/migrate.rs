//! The tables, in a schema of their own.

use sqlx::{Executor, PgConnection, PgPool};

use crate::error::{Error, ErrorKind};

/// A process that changes the tables holds this advisory lock: the letters `oxcart`, as a number.
const LOCK: i64 = 0x6f78_6361_7274;

const OLDEST_SERVER: i32 = 140_000;

/// Each has its number, and ends with a row of its own in `oxcart.migration`. One that was released is never changed.
const MIGRATIONS: &[(i32, &str)] = &[
    (1, include_str!("../migrations/0001_schema.sql")),
    (2, include_str!("../migrations/0002_outbox.sql")),
    (3, include_str!("../migrations/0003_inbox.sql")),
    (4, include_str!("../migrations/0004_events.sql")),
];

/// Makes the tables, in the schema `oxcart`, or brings older ones up to date.
///
/// It may be run at each start, and by several processes at once: one of them does the work, in one transaction, and the others wait for it. Where nothing
/// is to be done it only reads, so the user of the program need not be allowed to make tables. The same as plain SQL are the files in the
/// folder `migrations` of this crate: run those that are missing, in their order.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = sqlx::PgPool::connect("postgres://localhost/shop").await?;
/// oxcart_postgres::migrate(&pool).await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`ErrorKind::NewerSchema`] if a newer version of this crate made the tables; nothing is changed then. [`ErrorKind::Unsuitable`] if the server is older than
/// PostgreSQL 14, or this user may not make a schema. [`ErrorKind::ReadOnly`] on a standby that lacks tables. Otherwise if PostgreSQL cannot be reached.
///
/// # Cancel safety
///
/// Dropping the future changes nothing, or everything.
pub async fn migrate(pool: &PgPool) -> Result<(), Error> {
    const TRIED: &str = "making the tables of oxcart";
    let failed = |error| Error::sql(TRIED, error);
    let mut connection = pool.acquire().await.map_err(failed)?;
    check_server(&mut connection).await?;
    if version(&mut connection).await?.is_some_and(is_newest) {
        return Ok(());
    }
    // A pool may have one connection.
    drop(connection);
    let mut transaction = pool.begin().await.map_err(failed)?;
    // In a higher isolation level, what another process did while this one waited for the lock would not be seen.
    let sees_others = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED";
    let sees_others = (&mut *transaction).execute(sees_others);
    sees_others.await.map_err(failed)?;
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK);
    lock.execute(&mut *transaction).await.map_err(failed)?;
    // Another process may have done it meanwhile.
    let there = version(&mut transaction).await?;
    check_is_known(there)?;
    for (version, sql) in MIGRATIONS {
        if there.is_none_or(|there| *version > there) {
            // A text without arguments may have many statements.
            let run = (&mut *transaction).execute(*sql);
            run.await.map_err(failed)?;
        }
    }
    transaction.commit().await.map_err(failed)
}

/// Whether the tables are those of this version.
///
/// # Errors
///
/// [`ErrorKind::NotMigrated`] and [`ErrorKind::NewerSchema`], with what is to be done.
pub(crate) async fn check(connection: &mut PgConnection) -> Result<(), Error> {
    let there = version(connection).await?;
    check_is_known(there)?;
    match there {
        Some(version) if is_newest(version) => Ok(()),
        there => Err(Error::new(
            ErrorKind::NotMigrated,
            format!(
                "the tables of oxcart are {}: run `oxcart_postgres::migrate(&pool)` first",
                there.map_or("not there".to_owned(), |there| format!(
                    "of version {there}, and {} is needed",
                    newest()
                ))
            ),
        )),
    }
}

fn newest() -> i32 {
    MIGRATIONS.last().map_or(0, |(version, _)| *version)
}

fn is_newest(version: i32) -> bool {
    version == newest()
}

fn check_is_known(there: Option<i32>) -> Result<(), Error> {
    match there {
        Some(version) if version > newest() => Err(Error::new(
            ErrorKind::NewerSchema,
            format!(
                "the tables of oxcart are of version {version}, and this program knows only {}: update it",
                newest()
            ),
        )),
        _ => Ok(()),
    }
}

/// The version of the tables; none if there are none.
async fn version(connection: &mut PgConnection) -> Result<Option<i32>, Error> {
    let failed = |error| Error::sql("looking for the tables of oxcart", error);
    // The catalog is read as any table, which sees what was committed before. `to_regclass` may answer with what this connection has seen earlier.
    let there = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
        WHERE n.nspname = 'oxcart' AND c.relname = 'migration')";
    let there: bool = sqlx::query_scalar(there)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if !there {
        return Ok(None);
    }
    let version = sqlx::query_scalar("SELECT max(version) FROM oxcart.migration");
    version.fetch_one(connection).await.map_err(failed)
}

async fn check_server(connection: &mut PgConnection) -> Result<(), Error> {
    let number = "SELECT current_setting('server_version_num')::int4";
    let number: i32 = sqlx::query_scalar(number)
        .fetch_one(connection)
        .await
        .map_err(|error| Error::sql("asking PostgreSQL for its version", error))?;
    match number < OLDEST_SERVER {
        true => Err(Error::new(
            ErrorKind::Unsuitable,
            format!(
                "this is PostgreSQL {}, and 14 is the oldest that will do",
                number / 10_000
            ),
        )),
        false => Ok(()),
    }
}
