//! Waiting for a token or an entry of a stream, as a blocking command waits.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::memory::emit::Log;
use crate::memory::{Queue, State};
use crate::redis::stream::{Entry, EntryId};
use crate::store::backend::Stream;

const BLOCK: Duration = Duration::from_secs(5);

impl State {
    /// The log of a topic is none of these.
    fn log(&self, of: Stream) -> Option<&Log> {
        match of {
            Stream::Events => Some(&self.events),
            Stream::Finished => Some(&self.finished),
            Stream::Cancels => Some(&self.cancels),
            Stream::Published => None,
        }
    }

    /// Up to `count` entries behind this place.
    fn behind(&self, of: Stream, after: EntryId, count: usize) -> Vec<Entry> {
        let Some(log) = self.log(of) else {
            return self.topic.behind(after, count);
        };
        let behind = log.entries.iter().filter(|entry| entry.id > after);
        behind.take(count).cloned().collect()
    }
}

impl Queue {
    /// Waits up to 5 s for a token, until `stop`, or until the clock was turned once more than
    /// the caller knows of: then there may be work, too. Dropping it takes no token.
    pub(crate) async fn pop_token(
        &self,
        known_turns: &mut u64,
        stop: &CancellationToken,
    ) -> Option<u64> {
        let known = *known_turns;
        let popped = self.wait_for(|state| {
            let turns = self.turns();
            let token = state.wake.take();
            (token.is_some() || turns != known).then_some((token, turns))
        });
        tokio::select! {
            popped = timeout(BLOCK, popped) => {
                let (token, turns) = popped.ok()?;
                *known_turns = turns;
                // The time a token was for may have come with the turn.
                token.filter(|_| turns == known)
            }
            () = stop.cancelled() => None,
        }
    }

    /// The id of the last entry, if there is one.
    pub(crate) fn youngest(&self, of: Stream) -> Option<EntryId> {
        let state = self.lock();
        match state.log(of) {
            Some(log) => log.entries.back().map(|entry| entry.id),
            None => state.topic.youngest(),
        }
    }

    /// The number of the last entry, kept or not.
    pub(crate) fn last_number(&self, of: Stream) -> u64 {
        self.lock().log(of).map_or(0, |log| log.last.1)
    }

    /// Up to `count` entries behind `after`; waits up to 5 s for the first.
    pub(crate) async fn read(&self, of: Stream, after: EntryId, count: usize) -> Vec<Entry> {
        let read = self.wait_for(|state| {
            let behind = state.behind(of, after, count);
            (!behind.is_empty()).then_some(behind)
        });
        timeout(BLOCK, read).await.unwrap_or_default()
    }

    /// Looks again whenever something has changed. Cancel safe.
    async fn wait_for<T>(&self, look: impl Fn(&mut State) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = look(&mut self.lock()) {
                return found;
            }
            changed.await;
        }
    }
}
