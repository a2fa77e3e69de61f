//! Reading events.

use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};

use crate::error::{Error, ErrorKind};
use crate::events::EventStore;
use crate::events::event::{Recorded, StoredEvent};
use crate::events::order::order;
use crate::inbox::moment;

/// So many events are read at once, at most.
const LIMIT_MAX: u32 = 10_000;

macro_rules! select {
    ($from:literal) => {
        concat!(
            "SELECT o.position, e.stream, e.version, e.name, e.shape, e.data::text, e.metadata::text, ",
            "(extract(epoch FROM e.recorded_at) * 1000)::int8 ",
            $from
        )
    };
}

const OF_STREAM: &str = select!(
    "FROM oxcart.event e LEFT JOIN oxcart.event_order o USING (id) \
     WHERE e.stream = $1 AND e.version > $2 ORDER BY e.version LIMIT $3"
);

const OF_ALL: &str = select!(
    "FROM oxcart.event_order o JOIN oxcart.event e USING (id) WHERE o.position > $1 ORDER BY o.position LIMIT $2"
);

impl EventStore {
    /// Events of one stream, in the order of their versions: those after this version, at most so many (10,000 at most). After 0 are all.
    ///
    /// # Errors
    ///
    /// If PostgreSQL refuses, or cannot be reached.
    pub async fn read_stream(
        &self,
        connection: &mut PgConnection,
        stream: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Recorded>, Error> {
        let rows = sqlx::query(OF_STREAM)
            .bind(stream)
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(i64::from(limit.min(LIMIT_MAX)))
            .fetch_all(connection)
            .await
            .map_err(|error| Error::sql("reading a stream", error))?;
        rows.iter().map(recorded).collect()
    }

    /// Events of all streams, in the global order: those after this position, at most so many (10,000 at most). After 0 are all.
    ///
    /// Positions are 1, 2, 3, .. without a gap. Who has read up to a position and goes on after it misses nothing, whatever transactions were open
    /// when, and sees the events of each stream in the order of their versions. An event has a position as soon as somebody reads after it was
    /// committed. This call gives positions to those that have none, unless the pool leads to a standby.
    ///
    /// # Errors
    ///
    /// If PostgreSQL refuses, or cannot be reached.
    pub async fn read_all(
        &self,
        pool: &PgPool,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Recorded>, Error> {
        order(pool).await?;
        let mut connection = pool
            .acquire()
            .await
            .map_err(|error| Error::sql("reading events", error))?;
        ordered(&mut connection, after, limit).await
    }

    /// The last position that was given; 0 if none was.
    ///
    /// # Errors
    ///
    /// If PostgreSQL refuses, or cannot be reached.
    pub async fn last_position(&self, pool: &PgPool) -> Result<u64, Error> {
        order(pool).await?;
        let head: i64 = sqlx::query_scalar("SELECT position FROM oxcart.event_head")
            .fetch_one(pool)
            .await
            .map_err(|error| Error::sql("reading the last position", error))?;
        Ok(head.unsigned_abs())
    }
}

/// Events that have positions already.
pub(super) async fn ordered(
    connection: &mut PgConnection,
    after: u64,
    limit: u32,
) -> Result<Vec<Recorded>, Error> {
    let rows = sqlx::query(OF_ALL)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::from(limit.min(LIMIT_MAX)))
        .fetch_all(connection)
        .await
        .map_err(|error| Error::sql("reading events", error))?;
    rows.iter().map(recorded).collect()
}

fn recorded(row: &PgRow) -> Result<Recorded, Error> {
    let failed = |error| Error::sql("reading an event", error);
    let position: Option<i64> = row.try_get(0).map_err(failed)?;
    let version: i64 = row.try_get(2).map_err(failed)?;
    let shape: i32 = row.try_get(4).map_err(failed)?;
    let recorded_ms: i64 = row.try_get(7).map_err(failed)?;
    Ok(Recorded {
        position: position.map(i64::unsigned_abs),
        stream: row.try_get(1).map_err(failed)?,
        version: version.unsigned_abs(),
        event: StoredEvent {
            name: row.try_get(3).map_err(failed)?,
            version: u16::try_from(shape).unwrap_or(u16::MAX),
            data: json(row, 5)?,
        },
        metadata: json(row, 6)?,
        recorded_at: moment(recorded_ms),
    })
}

fn json(row: &PgRow, column: usize) -> Result<Value, Error> {
    let text: String = row
        .try_get(column)
        .map_err(|error| Error::sql("reading an event", error))?;
    serde_json::from_str(&text)
        .map_err(|error| Error::new(ErrorKind::Codec, format!("an event is no JSON: {error}")))
}
