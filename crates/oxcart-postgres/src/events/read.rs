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
/// No further event is read with those before it when these have so many bytes together, data and metadata.
const PAGE_BYTES: i64 = 1 << 20;

/// The sizes of events are known without reading what is in them, which is done for those of the page alone.
macro_rules! page {
    ($position:literal, $place:literal, $from:literal) => {
        concat!(
            "SELECT ",
            $position,
            ", stream, version, name, shape, data::text, metadata::text, (extract(epoch FROM recorded_at) * 1000)::int8, ",
            "through >= $4 FROM (SELECT e.*, ",
            $place,
            " AS place, sum(e.bytes) OVER (ORDER BY ",
            $place,
            " ROWS UNBOUNDED PRECEDING)::int8 AS through FROM ",
            $from,
            " ORDER BY ",
            $place,
            " LIMIT $3) AS page WHERE through - bytes < $4 ORDER BY place"
        )
    };
}

const OF_STREAM: &str = page!(
    "(SELECT o.position FROM oxcart.event_order AS o WHERE o.id = page.id)",
    "e.version",
    "oxcart.event AS e WHERE e.stream = $1 AND e.version > $2"
);

/// `$1` is of no use here.
const OF_ALL: &str = page!(
    "place",
    "o.position",
    "oxcart.event_order AS o JOIN oxcart.event AS e USING (id) WHERE $1::text IS NULL AND o.position > $2"
);

/// Events that were read at once.
pub(super) struct Page {
    pub(super) events: Vec<Recorded>,
    /// Whether no further event was there.
    pub(super) is_last: bool,
}

impl EventStore {
    /// Events of one stream, in the order of their versions: those after this version, at most so many (10,000 at most). After 0 are all.
    ///
    /// They may be fewer than are there: those that are read at once have 1 MiB of JSON together, and the last one may go beyond that. So go on after the last
    /// of them until there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if the first of them cannot be read, because something else has written it; the message names it. Those before it are
    /// read first. And if PostgreSQL refuses, or cannot be reached.
    pub async fn read_stream(
        &self,
        connection: &mut PgConnection,
        stream: &str,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Recorded>, Error> {
        let page = of_stream(connection, stream, after, limit).await?;
        Ok(page.events)
    }

    /// Events of all streams, in the global order: those after this position, at most so many (10,000 at most). After 0 are all.
    ///
    /// Positions are 1, 2, 3, .. without a gap. Who has read up to a position and goes on after it misses nothing, whatever transactions were open
    /// when, and sees the events of each stream in the order of their versions. An event has a position as soon as somebody reads after it was
    /// committed. This call gives positions to those that have none, unless the pool leads to a standby.
    ///
    /// They may be fewer than are there, as with [`read_stream`](Self::read_stream).
    ///
    /// # Errors
    ///
    /// As [`read_stream`](Self::read_stream).
    pub async fn read_all(
        &self,
        pool: &PgPool,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Recorded>, Error> {
        let acquired = pool.acquire().await;
        let mut connection = acquired.map_err(|error| Error::sql("reading events", error))?;
        order(&mut connection).await?;
        ordered(&mut connection, after, limit).await
    }

    /// The last position that was given; 0 if none was.
    ///
    /// # Errors
    ///
    /// If PostgreSQL refuses, or cannot be reached.
    pub async fn last_position(&self, pool: &PgPool) -> Result<u64, Error> {
        let failed = |error| Error::sql("reading the last position", error);
        let mut connection = pool.acquire().await.map_err(failed)?;
        order(&mut connection).await?;
        let head: i64 = sqlx::query_scalar("SELECT position FROM oxcart.event_head")
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
        Ok(head.unsigned_abs())
    }
}

/// Events of one stream.
pub(super) async fn of_stream(
    connection: &mut PgConnection,
    stream: &str,
    after: u64,
    limit: u32,
) -> Result<Page, Error> {
    page(connection, OF_STREAM, Some(stream), after, limit).await
}

/// Events that have positions already.
pub(super) async fn ordered(
    connection: &mut PgConnection,
    after: u64,
    limit: u32,
) -> Result<Vec<Recorded>, Error> {
    let page = page(connection, OF_ALL, None, after, limit).await?;
    Ok(page.events)
}

/// The events before one that cannot be read; it is the first of the next page, and is told there.
async fn page(
    connection: &mut PgConnection,
    select: &str,
    stream: Option<&str>,
    after: u64,
    limit: u32,
) -> Result<Page, Error> {
    let limit = limit.min(LIMIT_MAX);
    let rows = sqlx::query(select)
        .bind(stream)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .bind(PAGE_BYTES)
        .fetch_all(connection)
        .await
        .map_err(|error| Error::sql("reading events", error))?;
    let is_full = match rows.last() {
        Some(last) => last.try_get(8).map_err(failed)?,
        None => false,
    };
    let mut events = Vec::with_capacity(rows.len());
    for row in &rows {
        match recorded(row) {
            Ok(event) => events.push(event),
            Err(error) if events.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    let is_whole = events.len() == rows.len() && rows.len() < limit as usize;
    Ok(Page {
        events,
        is_last: is_whole && !is_full,
    })
}

fn recorded(row: &PgRow) -> Result<Recorded, Error> {
    let position: Option<i64> = row.try_get(0).map_err(failed)?;
    let stream: String = row.try_get(1).map_err(failed)?;
    let version: i64 = row.try_get(2).map_err(failed)?;
    let name: String = row.try_get(3).map_err(failed)?;
    let shape: i32 = row.try_get(4).map_err(failed)?;
    let recorded_ms: i64 = row.try_get(7).map_err(failed)?;
    let unreadable = |why: String| {
        let at = position.map_or("no position".to_owned(), |at| format!("position {at}"));
        Error::new(
            ErrorKind::Codec,
            format!(
                "event {version} of the stream `{stream}` ({name}, {at}) cannot be read: {why}"
            ),
        )
    };
    let json = |column, what: &str| -> Result<Value, Error> {
        let text: &str = row.try_get(column).map_err(failed)?;
        serde_json::from_str(text).map_err(|why| unreadable(format!("{what}: {why}")))
    };
    let data = json(5, "its data")?;
    let metadata = json(6, "its metadata")?;
    let shape =
        u16::try_from(shape).map_err(|_| unreadable(format!("its type has no version {shape}")))?;
    Ok(Recorded {
        position: position.map(i64::unsigned_abs),
        version: version.unsigned_abs(),
        event: StoredEvent {
            name,
            version: shape,
            data,
        },
        metadata,
        recorded_at: moment(recorded_ms),
        stream,
    })
}

fn failed(error: sqlx::Error) -> Error {
    Error::sql("reading events", error)
}
