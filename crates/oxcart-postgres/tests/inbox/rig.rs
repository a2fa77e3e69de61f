//! A database with an account in it.

use oxcart::{Context, Failure, JobId};
use oxcart_postgres::{InTransaction, migrate};
use sqlx::{PgConnection, PgPool, PgTransaction};

use crate::support::database;

/// A database with the tables of oxcart, and an account that is empty.
pub(crate) async fn bank() -> PgPool {
    let pool = database().await.pool().await;
    migrate(&pool).await.expect("migrated");
    make_account(&pool).await;
    pool
}

pub(crate) async fn make_account(pool: &PgPool) {
    let make = "CREATE TABLE account (id int PRIMARY KEY, cents bigint NOT NULL); INSERT INTO account VALUES (1, 0)";
    let made = sqlx::raw_sql(make).execute(pool).await;
    made.expect("a table can be made");
}

pub(crate) async fn balance(pool: &PgPool) -> i64 {
    let balance = sqlx::query_scalar("SELECT cents FROM account WHERE id = 1");
    balance.fetch_one(pool).await.expect("the account is there")
}

/// The effect: it adds, and gives the balance.
pub(crate) async fn add(tx: &mut PgConnection, cents: i64) -> Result<i64, Failure> {
    let add = "UPDATE account SET cents = cents + $1 WHERE id = 1 RETURNING cents";
    Ok(sqlx::query_scalar(add).bind(cents).fetch_one(tx).await?)
}

/// An attempt of this job, with this fence.
pub(crate) fn attempt(id: &JobId, fence: u64) -> Context {
    Context::builder().id(id.clone()).fence(fence).build()
}

/// Adds 100, once for the job.
pub(crate) async fn add_once(
    context: &Context,
    tx: &mut PgTransaction<'_>,
) -> Result<i64, Failure> {
    context.once(tx, async |tx| add(tx, 100).await).await
}
