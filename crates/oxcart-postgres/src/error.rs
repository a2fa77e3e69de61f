//! What can go wrong between jobs and PostgreSQL.

use std::error::Error as StdError;
use std::fmt;

/// Why something did not work; [`kind`](Self::kind) says what to do about it.
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument or an option makes no sense. Nothing was sent to PostgreSQL.
    Invalid,
    /// The tables of oxcart are not there, or are older than this version: run [`migrate`](crate::migrate()).
    NotMigrated,
    /// The tables were made by a newer version of this crate: update the program.
    NewerSchema,
    /// The transaction had failed before: roll it back, and begin again.
    Aborted,
    /// Another transaction was in the way (a serialization failure or a deadlock): run the whole transaction again.
    Retry,
    /// The server takes no writes: it is a standby, or the transaction is read-only. Connect to the primary.
    ReadOnly,
    /// PostgreSQL cannot be reached, is starting or shutting down, or the connection was lost. Try again later.
    Unreachable,
    /// PostgreSQL is out of something: connections, memory, space for locks, disk.
    Refused,
    /// PostgreSQL is too old, or this user may not do that.
    Unsuitable,
    /// The library refused the job, or Redis did; the source is an [`oxcart::Error`].
    Queue,
    /// A later attempt of the job has been here, so this one may not write: stop, and roll back.
    Stale,
    /// The job was completed in another transaction: roll this one back.
    Completed,
    /// A value cannot be stored, or what is stored cannot be read as this type.
    Codec,
    /// A projection could not take in an event, or make its table; the source is what it says.
    Projection,
    /// A newer version of the projection serves or is being built: update the program, or end it.
    Superseded,
    /// Anything else that PostgreSQL says.
    Database,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// What PostgreSQL, or the way to it, said to what was tried.
    pub(crate) fn sql(tried: &str, source: sqlx::Error) -> Self {
        let kind = kind_of(&source);
        let advice = advice_on(kind);
        Self {
            kind,
            message: format!("{tried}: {source}{advice}"),
            source: Some(Box::new(source)),
        }
    }

    pub(crate) fn with_source(mut self, source: Box<dyn StdError + Send + Sync>) -> Self {
        self.source = Some(source);
        self
    }

    /// What the library said to what was tried.
    pub(crate) fn queue(tried: &str, source: oxcart::Error) -> Self {
        let kind = match source.is_invalid() {
            true => ErrorKind::Invalid,
            false => ErrorKind::Queue,
        };
        Self {
            kind,
            message: format!("{tried}: {source}"),
            source: Some(Box::new(source)),
        }
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the whole transaction may succeed if it is run again, at once.
    #[must_use]
    pub fn is_retry(&self) -> bool {
        self.kind == ErrorKind::Retry
    }
}

pub(crate) fn kind_of(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::Database(error) => kind_of_state(error.code().as_deref().unwrap_or_default()),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => ErrorKind::Unreachable,
        sqlx::Error::Configuration(_) => ErrorKind::Invalid,
        _ => ErrorKind::Database,
    }
}

/// By the SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn kind_of_state(state: &str) -> ErrorKind {
    match state {
        // No such schema, table, column or function.
        "3F000" | "42P01" | "42703" | "42883" => ErrorKind::NotMigrated,
        "25P02" => ErrorKind::Aborted,
        "25006" => ErrorKind::ReadOnly,
        "40001" | "40P01" | "55P03" => ErrorKind::Retry,
        "42501" => ErrorKind::Unsuitable,
        // Shutting down, crashed, starting, or the database is gone; a session that was idle for too long.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => ErrorKind::Unreachable,
        state if state.starts_with("08") => ErrorKind::Unreachable,
        state if state.starts_with("53") => ErrorKind::Refused,
        _ => ErrorKind::Database,
    }
}

fn advice_on(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotMigrated => {
            "; the tables of oxcart are not there, or are old: run `oxcart_postgres::migrate(&pool)` first"
        }
        ErrorKind::Aborted => {
            "; an earlier statement of this transaction has failed: roll it back, and begin again"
        }
        ErrorKind::Retry => "; run the whole transaction again",
        ErrorKind::ReadOnly => "; this needs a primary, and a transaction that may write",
        _ => "",
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
