//! Jobs of [oxcart] and transactions of PostgreSQL: a job is enqueued if, and only if, the transaction is committed.
//!
//! [`Inbox`] and [`InTransaction`] let what a handler does in a transaction happen once, whatever dies; see `docs/inbox.md`. [`EventStore`] keeps what has happened, and
//! tables that follow it; see `docs/event-store.md`.
//!
//! [`Outbox`] enqueues in a transaction, and [`Relay`] carries to Redis what was committed. [`migrate`](migrate()) makes the tables. `docs/postgres.md` has the whole picture: what is
//! promised, by which part, and what to do when something is stuck.

#![warn(clippy::unwrap_used, clippy::panic, missing_debug_implementations)]

mod ask;
mod error;
mod events;
mod inbox;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "metrics/absent.rs"]
mod metrics;
mod migrate;
mod outbox;
mod relay;

pub use crate::error::{Error, ErrorKind};
pub use crate::events::{
    Aggregate, AppendError, Appended, Conflict, Event, EventStore, ExecuteError, Executed,
    Expected, Loaded, Projection, ProjectionError, ProjectionInfo, Projector, Recorded,
    StoredEvent, Subscription,
};
pub use crate::inbox::{INCARNATION_HEADER, InTransaction, Inbox, Settled};
pub use crate::migrate::migrate;
pub use crate::outbox::{
    FailedRow, Outbox, OutboxEnqueue, OutboxEnqueueMany, OutboxStatus, StreamStatus,
};
pub use crate::relay::Relay;
#[doc(hidden)]
pub use crate::relay::Step;

/// The examples of the page on the inbox run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/inbox.md")]
struct InboxPage;

/// And of the page on the event store.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/event-store.md")]
struct EventStorePage;

/// And of the page on the outbox.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/postgres.md")]
struct PostgresPage;
