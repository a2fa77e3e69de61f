//! Appending, if the stream is where the writer believes it is.

use std::error::Error as StdError;
use std::fmt;

use serde_json::Value;
use sqlx::PgConnection;

use crate::error::{Error, ErrorKind};
use crate::events::EventStore;
use crate::events::event::{Event, encode, has_zero_byte, read_back};

/// So many events may be appended at once.
const EVENTS_MAX: usize = 1_000;
/// So many bytes the name of a stream may have.
const NAME_MAX: usize = 512;

/// The stream is held before an event gets its id. So the ids within a stream grow with its versions.
macro_rules! append {
    ($claim:literal) => {
        concat!(
            "WITH claimed AS (",
            $claim,
            " RETURNING version), added AS (",
            "INSERT INTO oxcart.event (stream, version, name, shape, data, metadata) ",
            "SELECT $1, claimed.version - $2 + added.at, added.name, $4, added.data::jsonb, $7::jsonb ",
            "FROM claimed, unnest($5::text[], $6::text[]) WITH ORDINALITY AS added (name, data, at) ORDER BY added.at ",
            "RETURNING id), unordered AS (INSERT INTO oxcart.event_unordered (id) SELECT id FROM added) ",
            "SELECT version FROM claimed"
        )
    };
}

/// `$3` is less than zero if any version will do.
const TO_ANY_OR_EMPTY: &str = append!(
    "INSERT INTO oxcart.stream AS known (name, version) VALUES ($1, $2) \
     ON CONFLICT (name) DO UPDATE SET version = known.version + $2 WHERE $3::int8 < 0"
);

const TO_VERSION: &str = append!(
    "UPDATE oxcart.stream SET version = version + $2 WHERE name = $1 AND version = $3::int8"
);

/// Where the writer believes the stream to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It does not matter: the events do not depend on others of the stream.
    Any,
    /// There is no such stream.
    Empty,
    /// This is its last version.
    Version(u64),
}

impl Expected {
    /// After this version; 0 stands for a stream that is not there.
    #[must_use]
    pub fn after(version: u64) -> Self {
        match version {
            0 => Self::Empty,
            version => Self::Version(version),
        }
    }
}

/// The versions of the events that were appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// Of the first one.
    pub first: u64,
    /// Of the last one: the version of the stream now.
    pub last: u64,
}

/// Somebody else has appended to the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The stream.
    pub stream: String,
    /// What the writer believed.
    pub expected: Expected,
    /// The version of the stream; 0 if there is none.
    pub found: u64,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stream `{}` ", self.stream)?;
        match self.found {
            0 => f.write_str("is not there")?,
            found => write!(f, "is at version {found}")?,
        }
        match self.expected {
            Expected::Version(version) => write!(f, ", and not at {version}")?,
            Expected::Empty => f.write_str(", and was expected not to be there")?,
            Expected::Any => {}
        }
        f.write_str(": read it again, decide again, and append then")
    }
}

/// Why nothing was appended.
#[derive(Debug)]
#[non_exhaustive]
pub enum AppendError {
    /// Somebody else was first. The transaction is sound, and may go on.
    Conflict(Conflict),
    /// The events cannot be stored, or PostgreSQL has failed: roll the transaction back.
    Failed(Error),
}

impl AppendError {
    /// The conflict, if it is one.
    #[must_use]
    pub fn conflict(&self) -> Option<&Conflict> {
        match self {
            Self::Conflict(conflict) => Some(conflict),
            Self::Failed(_) => None,
        }
    }
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(conflict) => conflict.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl StdError for AppendError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Conflict(_) => None,
            Self::Failed(error) => error.source(),
        }
    }
}

impl From<Error> for AppendError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl EventStore {
    /// Appends events to a stream, all or none, if it is where `expected` says. Until the transaction ends, other writers of the same
    /// stream wait; then they find it moved.
    ///
    /// ```no_run
    /// # use oxcart_postgres::{Event, EventStore, Expected};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] enum AccountEvent { Deposited { cents: u64 } }
    /// # impl Event for AccountEvent {}
    /// # async fn example(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut tx = pool.begin().await?;
    /// let deposited = AccountEvent::Deposited { cents: 4_200 };
    /// let store = EventStore::new();
    /// store.append(&mut tx, "account-7", Expected::Version(3), &[deposited]).await?;
    /// tx.commit().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`AppendError::Conflict`], which tells the version that was found; the transaction may go on after it. Otherwise the kind of the [`Error`]
    /// tells: [`ErrorKind::Invalid`] for no events or more than 1,000, an unusable name of a stream (1 to 512 bytes), or metadata that cannot be
    /// stored, [`ErrorKind::Codec`] for an event that cannot be stored, [`ErrorKind::Retry`] if the isolation level is higher than `READ COMMITTED` and another writer was in the
    /// way, and whatever PostgreSQL says.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, roll the transaction back. Without a transaction, the events may or may not be appended.
    pub async fn append<E: Event>(
        &self,
        connection: &mut PgConnection,
        stream: &str,
        expected: Expected,
        events: &[E],
    ) -> Result<Appended, AppendError> {
        self.append_with(connection, stream, expected, events, &Value::Null)
            .await
    }

    /// The same, with something beside each of the events: who caused it, by which request. It has the limits of an event: 1 MiB, and 127 levels.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    ///
    /// # Cancel safety
    ///
    /// As [`append`](Self::append).
    pub async fn append_with<E: Event>(
        &self,
        connection: &mut PgConnection,
        stream: &str,
        expected: Expected,
        events: &[E],
        metadata: &Value,
    ) -> Result<Appended, AppendError> {
        let beside = metadata.to_string();
        check(stream, events.len(), metadata, &beside)?;
        let encoded: Result<Vec<_>, Error> = events.iter().map(encode).collect();
        let (names, data): (Vec<String>, Vec<String>) = encoded?.into_iter().unzip();
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        let (statement, version) = match expected {
            Expected::Any => (TO_ANY_OR_EMPTY, -1),
            Expected::Empty => (TO_ANY_OR_EMPTY, 0),
            Expected::Version(version) => (TO_VERSION, i64::try_from(version).unwrap_or(i64::MAX)),
        };
        let failed = |error| Error::sql("appending events", error);
        let appended: Option<i64> = sqlx::query_scalar(statement)
            .bind(stream)
            .bind(count)
            .bind(version)
            .bind(i32::from(E::VERSION))
            .bind(names)
            .bind(data)
            .bind(beside)
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed)?;
        if let Some(last) = appended {
            return Ok(Appended {
                first: (last - count + 1).unsigned_abs(),
                last: last.unsigned_abs(),
            });
        }
        let found = "SELECT version FROM oxcart.stream WHERE name = $1";
        let found: Option<i64> = sqlx::query_scalar(found)
            .bind(stream)
            .fetch_optional(connection)
            .await
            .map_err(failed)?;
        Err(AppendError::Conflict(Conflict {
            stream: stream.to_owned(),
            expected,
            found: found.unwrap_or(0).unsigned_abs(),
        }))
    }
}

fn check(stream: &str, events: usize, metadata: &Value, beside: &str) -> Result<(), Error> {
    let wrong = match stream {
        "" => Some("the name of the stream is empty".to_owned()),
        name if name.len() > NAME_MAX => Some(format!(
            "the name of the stream has {} bytes; {NAME_MAX} are allowed",
            name.len()
        )),
        name if name.contains('\0') => Some("the name of the stream has a zero byte".to_owned()),
        _ if events == 0 => Some("no event was given".to_owned()),
        _ if events > EVENTS_MAX => Some(format!(
            "{events} events were given; {EVENTS_MAX} are allowed at once"
        )),
        _ if has_zero_byte(metadata) => Some("the metadata has text with a zero byte".to_owned()),
        _ => read_back(beside)
            .err()
            .map(|why| format!("the metadata cannot be stored: {why}")),
    };
    match wrong {
        None => Ok(()),
        Some(wrong) => Err(Error::new(
            ErrorKind::Invalid,
            format!("nothing was appended: {wrong}"),
        )),
    }
}
