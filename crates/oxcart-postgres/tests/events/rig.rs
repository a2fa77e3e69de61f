//! Events, and a table that is made of them.

use oxcart_postgres::{
    AppendError, Appended, Event, EventStore, Expected, Projection, ProjectionError, Recorded,
    migrate,
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};

use crate::support::{Database, database};

pub(crate) const STORE: EventStore = EventStore;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Moved {
    By(i64),
    /// By this writer, as its so many-th.
    Written {
        writer: u32,
        number: u32,
    },
}

impl Event for Moved {}

pub(crate) async fn store() -> PgPool {
    store_and_database().await.1
}

pub(crate) async fn store_and_database() -> (Database, PgPool) {
    let database = database().await;
    let pool = database.pool().await;
    migrate(&pool).await.expect("migrated");
    (database, pool)
}

/// In a transaction of its own.
pub(crate) async fn append(
    pool: &PgPool,
    stream: &str,
    expected: Expected,
    events: &[Moved],
) -> Result<Appended, AppendError> {
    let mut connection = pool.acquire().await.expect("a connection");
    STORE
        .append(&mut connection, stream, expected, events)
        .await
}

/// All events, in pages of this size.
pub(crate) async fn all(pool: &PgPool, page: u32) -> Vec<Recorded> {
    let mut all: Vec<Recorded> = Vec::new();
    loop {
        let after = all.last().map_or(0, position);
        let next = STORE.read_all(pool, after, page).await.expect("read");
        if next.is_empty() {
            return all;
        }
        all.extend(next);
    }
}

pub(crate) fn position(event: &Recorded) -> u64 {
    event.position.expect("it was read by positions")
}

/// How far each stream has moved, and by which events. `VERSION` 2 counts double.
pub(crate) struct Balances<const VERSION: u32>;

impl<const VERSION: u32> Projection for Balances<VERSION> {
    const NAME: &'static str = "balance";
    const VERSION: u32 = VERSION;

    async fn create(&self, tx: &mut PgConnection, table: &str) -> Result<(), ProjectionError> {
        let create = format!(
            "CREATE TABLE {table} (stream text PRIMARY KEY, sum bigint NOT NULL, events text NOT NULL)"
        );
        sqlx::query(&create).execute(tx).await?;
        Ok(())
    }

    async fn apply(
        &self,
        tx: &mut PgConnection,
        table: &str,
        event: &Recorded,
    ) -> Result<(), ProjectionError> {
        let by = match event.decode::<Moved>()? {
            Moved::By(by) => by,
            Moved::Written { .. } => return Err("as asked".into()),
        };
        let add = format!(
            "INSERT INTO {table} AS old VALUES ($1, $2, $3) ON CONFLICT (stream) DO UPDATE SET \
             sum = old.sum + excluded.sum, events = old.events || excluded.events"
        );
        sqlx::query(&add)
            .bind(&event.stream)
            .bind(by * i64::from(VERSION))
            .bind(format!(" {}", event.version))
            .execute(tx)
            .await?;
        Ok(())
    }
}

/// The rows of that table.
pub(crate) async fn balances(pool: &PgPool) -> Vec<(String, i64, String)> {
    let rows = "SELECT stream, sum, events FROM balance ORDER BY stream";
    let rows = sqlx::query_as(rows).fetch_all(pool).await;
    rows.expect("the table is there")
}

/// What these rows are if the table is made of nothing but the events, without a database.
pub(crate) fn balances_of(events: &[Recorded], factor: i64) -> Vec<(String, i64, String)> {
    let mut rows = std::collections::BTreeMap::<String, (i64, String)>::new();
    for event in events {
        let row = rows.entry(event.stream.clone()).or_default();
        if let Moved::By(by) = event.decode().expect("it was written by this test") {
            row.0 += by * factor;
        }
        row.1.push_str(&format!(" {}", event.version));
    }
    rows.into_iter()
        .map(|(stream, (sum, events))| (stream, sum, events))
        .collect()
}
