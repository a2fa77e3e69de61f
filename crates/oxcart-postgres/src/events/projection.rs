//! Tables that follow the events.

use std::error::Error as StdError;
use std::future::Future;

use oxcart::Timestamp;
use sqlx::{PgConnection, PgPool};

use crate::error::{Error, ErrorKind};
use crate::events::EventStore;
use crate::events::event::Recorded;
use crate::inbox::moment;

/// The longest name of a projection: PostgreSQL takes 63 bytes, and a part of them is ours.
const NAME_MAX: usize = 40;

/// What a projection says when it cannot go on: any error.
pub type ProjectionError = Box<dyn StdError + Send + Sync>;

/// A table that is made of events, and follows them. A [`Projector`](crate::Projector) runs it.
///
/// Each event is applied once: the table and the position are written in one transaction. So `apply` writes to the table, with the connection that it
/// is given, and does nothing else that matters.
///
/// The table has the name of the projection. When [`VERSION`](Self::VERSION) grows, a new table is made of all events, beside the old one, which
/// serves until then; when it has caught up, it takes the name of the old one, which is dropped. So both methods are told the name of the table that
/// they work on. Indexes and constraints get no name, and PostgreSQL finds one. What was granted on the old table is granted on the new one; whatever else
/// it needs, [`create`](Self::create) makes.
///
/// ```
/// use oxcart_postgres::{Event, Projection, ProjectionError, Recorded};
/// use serde::{Deserialize, Serialize};
/// use sqlx::PgConnection;
///
/// # #[derive(Serialize, Deserialize)] enum AccountEvent { Deposited { cents: i64 } }
/// # impl Event for AccountEvent {}
/// struct Balances;
///
/// impl Projection for Balances {
///     const NAME: &'static str = "balance";
///
///     async fn create(&self, tx: &mut PgConnection, table: &str) -> Result<(), ProjectionError> {
///         let create = format!("CREATE TABLE {table} (account text PRIMARY KEY, cents bigint NOT NULL)");
///         sqlx::query(&create).execute(tx).await?;
///         Ok(())
///     }
///
///     async fn apply(&self, tx: &mut PgConnection, table: &str, event: &Recorded) -> Result<(), ProjectionError> {
///         if !event.stream.starts_with("account-") {
///             return Ok(());
///         }
///         let AccountEvent::Deposited { cents } = event.decode()?;
///         let add = format!(
///             "INSERT INTO {table} AS old VALUES ($1, $2) \
///              ON CONFLICT (account) DO UPDATE SET cents = old.cents + excluded.cents"
///         );
///         sqlx::query(&add).bind(&event.stream).bind(cents).execute(tx).await?;
///         Ok(())
///     }
/// }
/// ```
pub trait Projection: Send + Sync + 'static {
    /// The name of the projection and of its table: small letters, digits and `_`, 40 at most, and a letter first. It does not end with `__next`, as the
    /// table does while it is built. The table lies in the first schema of the connection's `search_path`.
    const NAME: &'static str;

    /// Which table this is; raise it when the table or [`apply`](Self::apply) changes, and it is made anew.
    const VERSION: u32 = 1;

    /// Makes the empty table.
    ///
    /// # Errors
    ///
    /// Why that cannot be.
    fn create(
        &self,
        tx: &mut PgConnection,
        table: &str,
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send;

    /// Takes in one event. Events of all streams come here; it leaves out those that are not its own.
    ///
    /// It may be dropped while it waits: when the projector is stopped, and when it takes longer than
    /// [`Projector::apply_timeout`](crate::Projector::apply_timeout). PostgreSQL ends the transaction when nothing is sent in it for 60 s.
    ///
    /// # Errors
    ///
    /// Why it cannot go on. The projection stays before this event and tries it again: an event that is left out could never be brought back. A deadlock
    /// or a serialization failure counts as [`ErrorKind::Retry`] and is no fault of the projection, if the error of `sqlx` is what is returned, or is a
    /// source of it.
    fn apply(
        &self,
        tx: &mut PgConnection,
        table: &str,
        event: &Recorded,
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send;
}

/// How the name of a table that is being built ends.
const TO_BE: &str = "__next";

/// The table while it is built.
pub(super) fn table_to_be(name: &str) -> String {
    format!("{name}{TO_BE}")
}

pub(super) fn version<P: Projection>() -> i32 {
    i32::try_from(P::VERSION).unwrap_or(i32::MAX)
}

pub(super) fn check<P: Projection>() -> Result<(), Error> {
    let name = P::NAME;
    let is_word = name
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    match is_word && begins && name.len() <= NAME_MAX && !name.ends_with(TO_BE) {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "`{name}` cannot be the name of a projection, because its table has it: small letters, digits and `_`, {NAME_MAX} at most, \
                 a letter first, and not `{TO_BE}` at the end"
            ),
        )),
    }
}

/// How a projection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectionInfo {
    /// Its name.
    pub name: String,
    /// Whether its table is the one that serves; the other is being built to follow it.
    pub serves: bool,
    /// Its version.
    pub version: u32,
    /// The last event that it has taken in.
    pub position: u64,
    /// How many events it is behind.
    pub behind: u64,
    /// When it last took in events.
    pub moved_at: Timestamp,
}

impl EventStore {
    /// All projections, and how they stand. One that is behind by more and more is stuck: its process logs why.
    ///
    /// # Errors
    ///
    /// If PostgreSQL refuses, or cannot be reached.
    pub async fn projections(&self, pool: &PgPool) -> Result<Vec<ProjectionInfo>, Error> {
        let head = self.last_position(pool).await?;
        let all = "SELECT name, serves, version, position, (extract(epoch FROM moved_at) * 1000)::int8 \
            FROM oxcart.projection ORDER BY name, serves DESC";
        let rows: Vec<(String, bool, i32, i64, i64)> = sqlx::query_as(all)
            .fetch_all(pool)
            .await
            .map_err(|error| Error::sql("reading how projections stand", error))?;
        let info = |(name, serves, version, position, moved_ms): (_, _, i32, i64, _)| {
            let position = position.unsigned_abs();
            ProjectionInfo {
                name,
                serves,
                version: version.unsigned_abs(),
                position,
                behind: head.saturating_sub(position),
                moved_at: moment(moved_ms),
            }
        };
        Ok(rows.into_iter().map(info).collect())
    }
}
