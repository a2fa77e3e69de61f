//! Aggregates: a command leads to events, and events to a state.

use std::error::Error as StdError;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;

use crate::error::Error;
use crate::events::EventStore;
use crate::events::append::{AppendError, Appended, Conflict, Expected};
use crate::events::event::Event;
use crate::events::read::of_stream;

/// So many events are read at once when a state is made of them.
const PAGE: u32 = 1_000;

/// What one stream is about, and its rules. Its state is made of its events, by [`apply`](Self::apply) alone; a command reads the state, and says
/// which events come of it.
///
/// ```
/// use oxcart_postgres::{Aggregate, Event};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// enum AccountEvent { Deposited { cents: u64 }, Withdrawn { cents: u64 } }
/// impl Event for AccountEvent {}
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Account { cents: u64 }
///
/// enum Command { Deposit(u64), Withdraw(u64) }
///
/// impl Aggregate for Account {
///     const NAME: &'static str = "account";
///     type Event = AccountEvent;
///     type Command = Command;
///     type Refusal = String;
///
///     fn handle(&self, command: Command) -> Result<Vec<AccountEvent>, String> {
///         match command {
///             Command::Deposit(cents) => Ok(vec![AccountEvent::Deposited { cents }]),
///             Command::Withdraw(cents) if cents <= self.cents => Ok(vec![AccountEvent::Withdrawn { cents }]),
///             Command::Withdraw(_) => Err(format!("there are only {}", self.cents)),
///         }
///     }
///
///     fn apply(&mut self, event: AccountEvent) {
///         match event {
///             AccountEvent::Deposited { cents } => self.cents += cents,
///             AccountEvent::Withdrawn { cents } => self.cents -= cents,
///         }
///     }
/// }
/// ```
pub trait Aggregate: Default + Serialize + DeserializeOwned + Send + Sync {
    /// What it is. The stream of the account 7 is named `account-7`.
    const NAME: &'static str;

    /// The version of the type itself, as snapshots hold it. Raise it when the fields change, or when [`apply`](Self::apply) does: snapshots of
    /// another version are not used.
    const VERSION: u16 = 1;

    /// After so many events there is a new snapshot; 0 for never. Default 100.
    ///
    /// A state that JSON or PostgreSQL cannot hold (a map whose keys are no text, text with a zero byte, values that are nested more than 127
    /// levels deep) has none, which is logged through `tracing`: it is made from all events each time.
    const SNAPSHOT_EVERY: u64 = 100;

    /// What happens to it.
    type Event: Event;

    /// What it can be asked to do.
    type Command: Send;

    /// Why it does not do it.
    type Refusal: Send;

    /// Decides. It reads no clock and asks nobody: what it needs is in the command.
    ///
    /// # Errors
    ///
    /// Why the command is refused. Nothing is appended then.
    fn handle(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Refusal>;

    /// Takes in what has happened. It cannot refuse.
    fn apply(&mut self, event: Self::Event);
}

/// The state of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded<A> {
    /// The state.
    pub state: A,
    /// After which version; 0 if there is no such stream.
    pub version: u64,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Executed<A> {
    /// The state after it.
    pub state: A,
    /// The version of the stream after it.
    pub version: u64,
    /// The events that came of it; none if nothing was to be done.
    pub appended: Option<Appended>,
}

/// Why a command had no effect.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExecuteError<R> {
    /// The aggregate has refused it.
    Refused(R),
    /// Somebody else was first. The transaction is sound: execute the command again, which reads the new state.
    Conflict(Conflict),
    /// Events cannot be read or stored, or PostgreSQL has failed: roll the transaction back.
    Failed(Error),
}

impl<R: fmt::Display> fmt::Display for ExecuteError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Conflict(conflict) => conflict.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<R: fmt::Display + fmt::Debug> StdError for ExecuteError<R> {}

impl<R> From<Error> for ExecuteError<R> {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<R> From<AppendError> for ExecuteError<R> {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict(conflict) => Self::Conflict(conflict),
            AppendError::Failed(error) => Self::Failed(error),
        }
    }
}

impl EventStore {
    /// The state of an aggregate: its last snapshot, and the events since then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`](crate::ErrorKind::Codec) if an event cannot be read as one of this aggregate, and whatever PostgreSQL says.
    pub async fn load<A: Aggregate>(
        &self,
        connection: &mut PgConnection,
        id: &str,
    ) -> Result<Loaded<A>, Error> {
        let stream = stream::<A>(id);
        let mut loaded: Loaded<A> = snapshot(connection, &stream).await?;
        loop {
            let page = of_stream(connection, &stream, loaded.version, PAGE).await?;
            for recorded in &page.events {
                loaded.state.apply(recorded.decode()?);
                loaded.version = recorded.version;
            }
            if page.is_last {
                return Ok(loaded);
            }
        }
    }

    /// Gives a command to an aggregate, and appends what comes of it, if nobody else appends meanwhile. What else is written in the same
    /// transaction, jobs for instance, is committed with the events.
    ///
    /// ```no_run
    /// # use oxcart_postgres::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] enum Moved { By(u64) }
    /// # impl Event for Moved {}
    /// # #[derive(Default, Serialize, Deserialize)] struct Account { cents: u64 }
    /// # impl Aggregate for Account {
    /// #     const NAME: &'static str = "account"; type Event = Moved; type Command = u64; type Refusal = String;
    /// #     fn handle(&self, by: u64) -> Result<Vec<Moved>, String> { Ok(vec![Moved::By(by)]) }
    /// #     fn apply(&mut self, moved: Moved) { let Moved::By(by) = moved; self.cents += by; }
    /// # }
    /// # async fn example(pool: sqlx::PgPool) -> Result<u64, Box<dyn std::error::Error>> {
    /// let store = EventStore::new();
    /// let mut tx = pool.begin().await?;
    /// let executed = loop {
    ///     match store.execute::<Account>(&mut tx, "7", 4_200).await {
    ///         Err(ExecuteError::Conflict(_)) => {}      // read again, decide again
    ///         other => break other?,
    ///     }
    /// };
    /// tx.commit().await?;
    /// # Ok(executed.state.cents) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ExecuteError`] says what to do.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, roll the transaction back.
    pub async fn execute<A: Aggregate>(
        &self,
        connection: &mut PgConnection,
        id: &str,
        command: A::Command,
    ) -> Result<Executed<A>, ExecuteError<A::Refusal>> {
        let Loaded {
            mut state,
            version: before,
        } = self.load::<A>(connection, id).await?;
        let events = state.handle(command).map_err(ExecuteError::Refused)?;
        if events.is_empty() {
            return Ok(Executed {
                state,
                version: before,
                appended: None,
            });
        }
        let stream = stream::<A>(id);
        let expected = Expected::after(before);
        let appended = self.append(connection, &stream, expected, &events);
        let appended = appended.await?;
        for event in events {
            state.apply(event);
        }
        let is_due =
            A::SNAPSHOT_EVERY > 0 && before / A::SNAPSHOT_EVERY < appended.last / A::SNAPSHOT_EVERY;
        if is_due {
            keep_snapshot(connection, &stream, appended.last, &state).await?;
        }
        Ok(Executed {
            state,
            version: appended.last,
            appended: Some(appended),
        })
    }
}

fn stream<A: Aggregate>(id: &str) -> String {
    format!("{}-{id}", A::NAME)
}

/// The last snapshot, or the beginning.
async fn snapshot<A: Aggregate>(
    connection: &mut PgConnection,
    stream: &str,
) -> Result<Loaded<A>, Error> {
    let find = "SELECT version, state::text FROM oxcart.snapshot WHERE stream = $1 AND shape = $2";
    let found: Option<(i64, String)> = sqlx::query_as(find)
        .bind(stream)
        .bind(i32::from(A::VERSION))
        .fetch_optional(connection)
        .await
        .map_err(|error| Error::sql("reading a snapshot", error))?;
    // One that cannot be read is as good as none: the events are all there.
    let read =
        found.and_then(|(version, state)| Some((version, serde_json::from_str(&state).ok()?)));
    Ok(match read {
        Some((version, state)) => Loaded {
            state,
            version: version.unsigned_abs(),
        },
        None => Loaded {
            state: A::default(),
            version: 0,
        },
    })
}

/// As PostgreSQL can hold it, and as it can be read again; otherwise why it cannot.
fn as_json<A: Aggregate>(state: &A) -> Result<String, String> {
    let json = serde_json::to_string(state).map_err(|error| error.to_string())?;
    let read: Result<A, _> = serde_json::from_str(&json);
    read.map_err(|why| format!("it could not be read again: {why}"))?;
    // Two backslashes are one that is part of the text.
    match json.contains("\\u0000") && json.replace(r"\\", "").contains("\\u0000") {
        true => Err("PostgreSQL cannot hold text with a zero byte".to_owned()),
        false => Ok(json),
    }
}

/// A shortcut, and nothing more: a state of which there can be none is as good.
async fn keep_snapshot<A: Aggregate>(
    connection: &mut PgConnection,
    stream: &str,
    version: u64,
    state: &A,
) -> Result<(), Error> {
    let state = match as_json(state) {
        Ok(state) => state,
        Err(why) => {
            tracing::warn!(stream, version, %why, "there is no snapshot of this state: it is made from the events each time");
            return Ok(());
        }
    };
    let keep = "INSERT INTO oxcart.snapshot AS known (stream, version, shape, state) VALUES ($1, $2, $3, $4::jsonb) \
        ON CONFLICT (stream) DO UPDATE SET version = excluded.version, shape = excluded.shape, state = excluded.state \
        WHERE known.version <= excluded.version OR known.shape <> excluded.shape";
    sqlx::query(keep)
        .bind(stream)
        .bind(i64::try_from(version).unwrap_or(i64::MAX))
        .bind(i32::from(A::VERSION))
        .bind(state)
        .execute(connection)
        .await
        .map_err(|error| Error::sql("storing a snapshot", error))?;
    Ok(())
}
