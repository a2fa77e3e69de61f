//! The event store: streams, one global order, and what is made of them.

mod aggregate;
mod append;
mod build;
mod event;
mod order;
mod projection;
mod projector;
mod read;
mod subscription;
mod transaction;

pub use aggregate::{Aggregate, ExecuteError, Executed, Loaded};
pub use append::{AppendError, Appended, Conflict, Expected};
pub use event::{Event, Recorded, StoredEvent};
pub use projection::{Projection, ProjectionError, ProjectionInfo};
pub use projector::Projector;
pub use subscription::Subscription;

/// Streams of events in PostgreSQL, and one order of all of them.
///
/// | to .. | use |
/// |---|---|
/// | append events, if nobody else has | [`append`](Self::append) |
/// | read a stream, or all events in their order | [`read_stream`](Self::read_stream), [`read_all`](Self::read_all) |
/// | decide by commands, and have the state by events | [`Aggregate`], [`execute`](Self::execute), [`load`](Self::load) |
/// | keep a table that follows the events | [`Projection`], [`Projector`] |
/// | do something with each event, once | [`Subscription`] |
///
/// Everything that writes takes the connection or the transaction of the caller: what is written with it, jobs of the [outbox](crate::Outbox) among
/// it, is committed with the events.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventStore;

impl EventStore {
    /// The one of the database whose connections its methods are given.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}
