//! Following a queue's events: one task per stream, a bounded channel, reconnects by itself.
//!
//! A reader that is slow holds up its task, not Redis: the stream is capped there, and what was
//! dropped meanwhile is reported as missed. The second part of an entry's id is a running number, so
//! each read shows by itself whether an entry lies between it and the one before.

use std::fmt;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::Stream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::error::Error;
use crate::events::event::{Event, EventKind, parse_fields};
use crate::name::QueueName;
use crate::policy::silence::Silence;
use crate::store::backend::{CALL_MAX, Entry, EntryId, Reader, Store, Stream as Streams, Trouble};
use crate::time::Timestamp;

/// A cursor behind the whole of an entry.
const WHOLE: u32 = u32::MAX;
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Entries asked for at once: each may hold the ids of a whole batch.
const ENTRIES_PER_READ: usize = 16;
/// Events that may lie ready for a reader.
const BUFFER: usize = 1024;

/// A place in a queue's events: behind one of them. Can be stored as text and parsed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventCursor {
    ms: u64,
    sequence: u64,
    /// How many events of that entry have been seen; [`WHOLE`] for all of them.
    seen: u32,
}

impl EventCursor {
    /// Behind the whole entry.
    fn behind(ms: u64, sequence: u64) -> Self {
        Self {
            ms,
            sequence,
            seen: WHOLE,
        }
    }
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.sequence)?;
        match self.seen {
            WHOLE => Ok(()),
            seen => write!(f, ".{seen}"),
        }
    }
}

impl FromStr for EventCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let (entry, seen) = match text.split_once('.') {
                Some((entry, seen)) => (entry, seen.parse().ok()?),
                None => (text, WHOLE),
            };
            let (ms, sequence) = entry.split_once('-')?;
            Some(Self {
                ms: ms.parse().ok()?,
                sequence: sequence.parse().ok()?,
                seen,
            })
        };
        parse().ok_or_else(|| {
            Error::invalid(format!(
                "{text:?} is no cursor; one looks like `1700000000000-0`"
            ))
        })
    }
}

/// The events of one queue, as a [`Stream`]. It never ends; dropping it stops it.
///
/// ```no_run
/// use futures::StreamExt;
/// # async fn example(mail: oxcart::Queue) -> Result<(), oxcart::Error> {
/// let mut events = mail.events().await?;
/// while let Some(event) = events.next().await {
///     println!("{} {:?}", event.at, event.kind);
/// }
/// # Ok(()) }
/// ```
pub struct EventStream {
    queue: QueueName,
    events: mpsc::Receiver<Event>,
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl EventStream {
    pub(crate) async fn from_now_on(queue: &QueueName, store: &Store) -> Result<Self, Error> {
        let mut reader = store.reader(Streams::Events);
        let end = timeout(CALL_MAX, reader.end_of_events()).await;
        let end = end.unwrap_or_else(|_| Err(Trouble::timed_out(CALL_MAX)));
        let (ms, sequence) = end.map_err(|trouble| {
            let error = trouble.into_error(store.address());
            error.within(format_args!("`events` on the queue `{queue}`"))
        })?;
        let follower = Follower::new(queue, reader, EventCursor::behind(ms, sequence), false);
        Ok(Self::of(follower, store))
    }

    pub(crate) fn open(queue: &QueueName, store: &Store, after: EventCursor) -> Self {
        let reader = store.reader(Streams::Events);
        Self::of(Follower::new(queue, reader, after, true), store)
    }

    fn of((follower, events): (Follower, mpsc::Receiver<Event>), store: &Store) -> Self {
        let queue = follower.queue.clone();
        store.runtime().spawn(follower.run());
        Self { queue, events }
    }
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.events.poll_recv(cx)
    }
}

/// The task behind a stream. It ends when the reader is dropped.
struct Follower {
    /// For the log.
    queue: QueueName,
    reader: Reader,
    /// Behind the last event that was handed on.
    cursor: EventCursor,
    /// The stream was seen empty: every later entry is new, even if the server's clock went back.
    anew: bool,
    /// The stream may have been replaced and end before the cursor: then a read would wait for ever.
    unsure: bool,
    silence: Silence,
    sender: mpsc::Sender<Event>,
}

impl Follower {
    fn new(
        queue: &QueueName,
        reader: Reader,
        cursor: EventCursor,
        unsure: bool,
    ) -> (Self, mpsc::Receiver<Event>) {
        let (sender, events) = mpsc::channel(BUFFER);
        let follower = Self {
            queue: queue.clone(),
            reader,
            cursor,
            anew: false,
            unsure,
            silence: Silence::default(),
            sender,
        };
        (follower, events)
    }

    /// A reader that is dropped ends it in the middle of a read, which gives the connection back.
    async fn run(mut self) {
        let sender = self.sender.clone();
        tokio::select! {
            () = sender.closed() => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&mut self) {
        let mut pause = PAUSE_MIN;
        loop {
            match self.step().await {
                Ok(()) => {
                    pause = PAUSE_MIN;
                    if self.silence.ends() {
                        info!(queue = self.queue.as_str(), "events are read again");
                    }
                }
                Err(trouble) => {
                    self.unsure = true;
                    self.tell_of(&trouble).await;
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    async fn tell_of(&mut self, trouble: &Trouble) {
        let queue = self.queue.as_str();
        let told = self.silence.goes_on(Instant::now());
        if told.log {
            warn!(queue, %trouble, "events cannot be read; the reader goes on trying");
        }
        if told.first {
            let error = trouble.to_string();
            let at_ms = self.cursor.ms;
            self.send(at_ms, self.cursor, EventKind::Interrupted { error })
                .await;
        }
    }

    async fn step(&mut self) -> Result<(), Trouble> {
        if self.unsure {
            self.find_place().await?;
            self.unsure = false;
        }
        let entries = self.read().await?;
        // No entry in the time of a whole read: nothing happens, or entries come before the cursor.
        self.unsure = entries.is_empty();
        for entry in entries {
            if !self.follows(entry.id) {
                self.send(entry.id.0, self.cursor, EventKind::Missed).await;
            }
            self.hand_on(entry).await;
        }
        Ok(())
    }

    /// A server that came back with older data, or without data, numbers its entries from there, and
    /// its clock may be behind the clock of the server before.
    async fn find_place(&mut self) -> Result<(), Trouble> {
        let Some((ms, sequence)) = self.reader.youngest().await? else {
            self.anew = true;
            return Ok(());
        };
        if !self.anew && (ms, sequence) < (self.cursor.ms, self.cursor.sequence) {
            // It is not known which entries of this stream were read before: the reader goes on at its end.
            self.cursor = EventCursor::behind(ms, sequence);
            self.send(ms, self.cursor, EventKind::Missed).await;
        }
        Ok(())
    }

    /// Whether nothing lies between the cursor and the entry.
    fn follows(&self, (ms, sequence): EntryId) -> bool {
        let cursor = &self.cursor;
        match cursor.seen {
            WHOLE => sequence == cursor.sequence.saturating_add(1),
            // The rest of that entry comes first.
            _ => (ms, sequence) == (cursor.ms, cursor.sequence),
        }
    }

    async fn hand_on(&mut self, entry: Entry) {
        let (ms, sequence) = entry.id;
        let behind = (self.cursor.ms, self.cursor.sequence) == (ms, sequence);
        let seen = if behind { self.cursor.seen } else { 0 };
        let kinds = parse_fields(&entry.fields);
        let all = kinds.len();
        for (position, kind) in kinds.into_iter().enumerate().skip(seen as usize) {
            // A whole entry that was seen is not read again.
            let seen = if position + 1 == all {
                WHOLE
            } else {
                position as u32 + 1
            };
            self.send(ms, EventCursor { ms, sequence, seen }, kind)
                .await;
        }
        self.cursor = EventCursor::behind(ms, sequence);
        self.anew = false;
    }

    /// Waits for the reader, if it is slow.
    async fn send(&self, at_ms: u64, cursor: EventCursor, kind: EventKind) {
        let at = Timestamp::from_millis(at_ms);
        let _ = self.sender.send(Event { at, kind, cursor }).await;
    }

    async fn read(&mut self) -> Result<Vec<Entry>, Trouble> {
        let EventCursor { ms, sequence, seen } = self.cursor;
        // An entry that was seen in part has to be read again.
        let after = match (seen, sequence) {
            _ if self.anew => (0, 0),
            (WHOLE, sequence) => (ms, sequence),
            (_, 0) => (ms.saturating_sub(1), u64::MAX),
            (_, sequence) => (ms, sequence - 1),
        };
        self.reader.read(after, ENTRIES_PER_READ).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_text_and_back() {
        let cursor = EventCursor {
            ms: 1_700_000_000_000,
            sequence: 3,
            seen: 17,
        };
        assert_eq!(cursor.to_string().parse::<EventCursor>().unwrap(), cursor);
        let whole = EventCursor::behind(17, 3);
        assert_eq!(whole.to_string(), "17-3");
        assert_eq!("17-3".parse::<EventCursor>().unwrap(), whole);
        for bad in ["", "1", "1.2", "a-b.c", "1-2.3.4"] {
            assert!(
                bad.parse::<EventCursor>().unwrap_err().is_invalid(),
                "{bad}"
            );
        }
    }
}
