//! Following one of a queue's streams.

use crate::memory;
use crate::redis::reconnecting::Reconnecting;
use crate::redis::stream::{self, Entry, EntryId};
use crate::redis::trouble::Trouble;

/// A queue's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Lifecycle events.
    Events,
    /// Announcements of jobs whose outcome is awaited.
    Finished,
    /// Announcements of requests to cancel jobs that run.
    Cancels,
    /// The log of a topic. In memory its entries have no fields.
    Published,
}

pub(crate) enum Reader {
    Redis {
        connection: Reconnecting,
        key: String,
        /// Where the number of the last event is.
        meta: String,
    },
    Memory(memory::Queue, Stream),
}

impl Reader {
    /// The id of the last entry, if there is one.
    pub(crate) async fn youngest(&mut self) -> Result<Option<EntryId>, Trouble> {
        match self {
            Self::Redis {
                connection, key, ..
            } => stream::youngest(connection, key).await,
            Self::Memory(queue, of) => Ok(queue.youngest(*of)),
        }
    }

    /// Where the events end. Their stream may be gone (dropped in an idle queue, or none are kept), and their
    /// numbers go on all the same.
    pub(crate) async fn end_of_events(&mut self) -> Result<EntryId, Trouble> {
        if let Some(last) = self.youngest().await? {
            return Ok(last);
        }
        let number = match self {
            Self::Redis {
                connection, meta, ..
            } => stream::last_number(connection, meta).await?,
            Self::Memory(queue, of) => queue.last_number(*of),
        };
        // What came meanwhile is the end now.
        Ok(self.youngest().await?.unwrap_or((0, number)))
    }

    /// Up to `count` entries behind `after`; waits up to 5 s for the first.
    pub(crate) async fn read(
        &mut self,
        after: EntryId,
        count: usize,
    ) -> Result<Vec<Entry>, Trouble> {
        match self {
            Self::Redis {
                connection, key, ..
            } => stream::read(connection, key, after, count).await,
            Self::Memory(queue, of) => Ok(queue.read(*of, after, count).await),
        }
    }
}
