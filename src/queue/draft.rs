//! Messages that go out together with some jobs of the queue, however many messages these are, or not at all: a process that dies midway has
//! written nothing that anybody sees.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::id::{JobId, incarnation};
use crate::name::QueueName;
use crate::queue::QueueInner;
use crate::store::commit::{Commit, Committed};
use crate::store::enqueue::NewJob;
use crate::store::outbox::message::Message;
use crate::store::stage::{Stage, Staged};
use crate::store::{BATCH_BYTES, BATCH_JOBS};
use crate::time::millis;

/// A draft that is not committed so long after its last page is dropped.
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);

/// Collects messages, and stages them a page at a time.
pub(crate) struct Draft<'a> {
    queue: &'a QueueInner,
    id: String,
    staged: u64,
    page: Vec<(String, Vec<u8>)>,
    bytes: usize,
}

/// What became of a draft.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The jobs are there, and the messages are on their way.
    Yes,
    /// Nothing was done: the job at this position has an id that is there, or its unique key belongs to this job.
    Met { position: usize, id: JobId },
}

impl<'a> Draft<'a> {
    pub(crate) fn new(queue: &'a QueueInner) -> Self {
        Self {
            queue,
            id: incarnation(),
            staged: 0,
            page: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds a message for `target`, which may be the queue itself.
    pub(crate) async fn add(&mut self, target: &QueueName, message: &Message) -> Result<(), Error> {
        let message = message.encode();
        let is_full = self.page.len() == BATCH_JOBS || self.bytes + message.len() > BATCH_BYTES;
        if is_full && !self.page.is_empty() {
            self.stage().await?;
        }
        self.bytes += message.len();
        self.page.push((target.as_str().to_owned(), message));
        Ok(())
    }

    async fn stage(&mut self) -> Result<(), Error> {
        let stage = Stage {
            draft: &self.id,
            first: self.staged,
            messages: &self.page,
            keep_ms: millis(KEPT_FOR),
        };
        match self.queue.call(&stage).await? {
            Staged::Done => {
                self.staged += self.page.len() as u64;
                self.page.clear();
                self.bytes = 0;
                Ok(())
            }
            Staged::Gone => Err(self.is_gone()),
        }
    }

    /// Adds up to [`BATCH_JOBS`] jobs, all of which must be new, and sends the messages, of which there must be one at least.
    pub(crate) async fn commit(self, jobs: &[&NewJob]) -> Result<Sent, Error> {
        let queue = self.queue;
        let sent = self.commit_quietly(jobs).await?;
        if sent == Sent::Yes {
            queue.relay_soon();
        }
        Ok(sent)
    }

    /// The same, and leaves the messages to other relays.
    pub(crate) async fn commit_quietly(mut self, jobs: &[&NewJob]) -> Result<Sent, Error> {
        if !self.page.is_empty() {
            self.stage().await?;
        }
        let commit = Commit {
            queue: self.queue.name.as_str(),
            draft: &self.id,
            total: self.staged,
            keep_ms: millis(KEPT_FOR),
            jobs,
        };
        match self.queue.call(&commit).await? {
            Committed::Done { is_first } => {
                if is_first {
                    self.queue.store.register().await?;
                }
                Ok(Sent::Yes)
            }
            Committed::Gone => Err(self.is_gone()),
            Committed::Met { position, id } => Ok(Sent::Met { position, id }),
        }
    }

    fn is_gone(&self) -> Error {
        let name = &self.queue.name;
        Error::new(
            ErrorKind::NotSent,
            format!(
                "what was to go out from `{name}` was dropped, because it was not complete within an hour, or \
                 the queue was deleted; nothing was done"
            ),
        )
    }
}
