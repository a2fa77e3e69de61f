//! Jobs of oxcart and a transaction of PostgreSQL: a job is enqueued if, and only if, the transaction is committed.

#![warn(clippy::unwrap_used, clippy::panic, missing_debug_implementations)]

mod error;
mod events;
mod inbox;
mod migrate;

pub use crate::error::{Error, ErrorKind};
pub use crate::events::{
    Aggregate, AppendError, Appended, Conflict, Event, EventStore, ExecuteError, Executed,
    Expected, Loaded, Projection, ProjectionError, ProjectionInfo, Projector, Recorded,
    StoredEvent, Subscription,
};
pub use crate::inbox::{INCARNATION_HEADER, InTransaction, Inbox, Settled};
pub use crate::migrate::migrate;
