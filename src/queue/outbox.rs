//! What a queue has for other queues, and has not carried there yet.

use crate::error::Error;
use crate::queue::relay::Relay;
use crate::queue::{Queue, QueueInner};
use crate::store::outbox::Outbox;
use crate::time::Timestamp;

/// So many targets are told of.
const TARGETS_AT_MOST: usize = 1_000;

/// What waits in the outbox of a queue for one other queue ([`Queue::outbox`]).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outgoing {
    /// The queue that is to get it; it may be the queue itself.
    pub queue: String,
    /// How many messages wait.
    pub messages: u64,
    /// Since when the oldest of them waits.
    pub since: Timestamp,
}

impl Queue {
    /// What waits in the outbox of the queue: messages to other queues, by the queue that is to get them, in the order of their names (at most
    /// 1,000 of these). Usually there are none: whoever puts a message there carries it at once, and the workers of the queue carry what is left.
    /// If the oldest grows old, no worker of this queue runs, or the other queue cannot be reached, or its Redis is full.
    ///
    /// ```no_run
    /// # async fn example(mail: oxcart::Queue) -> Result<(), oxcart::Error> {
    /// for outgoing in mail.outbox().await? {
    ///     println!("{} messages for {} since {}", outgoing.messages, outgoing.queue, outgoing.since);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn outbox(&self) -> Result<Vec<Outgoing>, Error> {
        let (mut all, mut from) = (Vec::new(), String::new());
        while all.len() < TARGETS_AT_MOST {
            let page = Outbox {
                from: &from,
                limit: 0,
                bytes: 0,
            };
            let Some(waiting) = self.inner.call(&page).await? else {
                break;
            };
            all.push(Outgoing {
                queue: waiting.target,
                messages: waiting.depth,
                since: Timestamp::from_millis(waiting.oldest / 1_000),
            });
            match waiting.next {
                Some(next) => from = next,
                None => break,
            }
        }
        Ok(all)
    }

    /// Carries what waits in the [outbox](Self::outbox), as workers of the queue do by themselves; says how many messages were taken by the queues
    /// that they are for. It carries some thousands of messages; call it again while it says more than 0. Any number of callers and
    /// workers may do so at the same time: a message is taken once.
    ///
    /// ```no_run
    /// # async fn example(mail: oxcart::Queue) -> Result<(), oxcart::Error> {
    /// // In a process that has no worker of this queue.
    /// while mail.relay().await? > 0 {}
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// If Redis does not answer, or a queue cannot take its messages; the messages for others were carried.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, some messages may have been carried; the others stay.
    pub async fn relay(&self) -> Result<u64, Error> {
        let mut relay = Relay::of(&self.inner);
        let carried = loop {
            match relay.run().await {
                // A draft comes out of it page by page, and its messages are carried behind it.
                Ok(run) if run.carried == 0 && run.more && run.progress > 0 => {}
                Ok(run) => break run.trouble.map_or(Ok(run.carried), Err),
                Err(trouble) => break Err(trouble),
            }
        };
        carried.map_err(|trouble| {
            let error = trouble.into_error(self.inner.store.address());
            error.within(format_args!("`relay` on the queue `{}`", self.inner.name))
        })
    }
}

impl QueueInner {
    /// The same, if a call of this process has put something there.
    pub(crate) fn relay_if(&self, has_sent: bool) {
        if has_sent {
            self.relay_soon();
        }
    }

    /// Carries what this process has just put into the outbox, beside everything else. What it does not carry, workers of the queue will.
    pub(crate) fn relay_soon(&self) {
        let mut relay = Relay::of(self);
        self.store.outlive_caller(async move {
            while relay
                .run()
                .await
                .is_ok_and(|run| run.more && run.progress > 0)
            {}
        });
    }
}
