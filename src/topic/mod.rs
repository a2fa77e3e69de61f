//! Topics: logs of events, and the queues that are subscribed to them.
//!
//! What a queue is fed with, and when, is decided in `feeder.rs`, one step at a time. `maintenance/feeding.rs` calls it for the workers of the queue.

pub(crate) mod feeder;
pub(crate) mod info;
pub(crate) mod publish;
pub(crate) mod subscribe;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use tracing::warn;

use crate::error::Error;
use crate::job::Job;
use crate::job::cloud_event::CloudEvent;
use crate::name::{self, QueueName};
use crate::queue::cloud_event::Untyped;
use crate::queue::{Queue, QueueInner};
use crate::store::attach::Attach;
use crate::store::backend::{Refusal, Trouble};
use crate::store::delete::Delete;
use crate::store::topic::Topic as AskTopic;
use crate::store::unsubscribe::Unsubscribe;
use crate::time::millis;
use crate::topic::publish::{Publish, PublishMany};
use crate::topic::subscribe::{SUBSCRIBED_MAX, Subscribe};

/// For how long events are kept if nothing else is said, and how many bytes of them.
const KEEP: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const KEEP_BYTES: u64 = 256 * 1024 * 1024;
/// A call that is repeated must find what it has published.
const KEEP_MIN: Duration = Duration::from_secs(60);
/// Numbers in scripts are exact below 2^53 ms and bytes; a year is not the limit that anybody meets.
const KEEP_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
const KEEP_BYTES_MAX: u64 = 1 << 50;
const KEEP_BYTES_MIN: u64 = 64 * 1024;

/// A topic: facts that services publish, and for each subscription a queue that runs them. Made by [`Oxcart::topic`](crate::Oxcart::topic). Cheap to clone.
///
/// A queue carries commands: one job, one handler. A topic carries facts: one event, and as many listeners as there are subscriptions, none of which the publisher
/// knows. An event is declared as a job is ([`Job`], with `()` as its output), and handled as one: each subscription feeds a queue, whose workers have handlers for the events, and whose retries, limits, dead
/// letters and pauses are its own.
///
/// The events stand in the topic's own log, in order, for [a while](Self::keep). Workers of a subscribed queue feed it from there, each event once: the jobs and
/// the place in the log up to which they go are stored in one atomic step. A slow subscription holds up no other.
///
/// `docs/topics.md` tells more.
///
/// ```no_run
/// # use oxcart::*;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct OrderPlaced {
///     order: u64,
/// }
///
/// impl Job for OrderPlaced {
///     const NAME: &'static str = "order-placed";
///     type Output = ();
/// }
///
/// # async fn example(oxcart: Oxcart) -> Result<(), Error> {
/// let orders = oxcart.topic("orders")?;
/// let billing = oxcart.queue("billing")?;
/// orders.subscribe("billing", &billing).await?;
/// orders.publish(OrderPlaced { order: 17 }).subject("order-17").await?;
///
/// let worker = Worker::builder(&billing).handle(async |event: OrderPlaced| {
///     println!("a bill for order {}", event.order);
///     Ok::<_, Failure>(())
/// });
/// worker.build()?.run_until(oxcart::shutdown_signal()).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Topic {
    /// The place where it is kept; no worker works on it.
    pub(crate) inner: Arc<QueueInner>,
    keep: Duration,
    keep_bytes: u64,
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Topic").field(&self.name()).finish()
    }
}

impl Topic {
    pub(crate) fn new(inner: Arc<QueueInner>) -> Self {
        Self {
            inner,
            keep: KEEP,
            keep_bytes: KEEP_BYTES,
        }
    }

    /// The name of the topic.
    #[must_use]
    pub fn name(&self) -> &str {
        self.inner.name.topic().unwrap_or_default()
    }

    /// For how long events are kept, counted from when they were published, and how many bytes of them: the oldest go when newer ones are published. Default:
    /// 7 days, 256 MiB. A minute to 100 years; 64 KiB to 1 PiB.
    ///
    /// It holds for what is published through this handle and its clones, so programs that publish to one topic should agree.
    /// A subscription that has not taken an event by then misses it, and is told so ([`WorkerEvent::EventsMissed`](crate::WorkerEvent::EventsMissed), [`SubscriptionInfo::missed`](crate::SubscriptionInfo::missed)).
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use std::time::Duration;
    /// # fn example(oxcart: Oxcart) -> Result<(), Error> {
    /// let day = Duration::from_secs(24 * 60 * 60);
    /// let orders = oxcart.topic("orders")?.keep(3 * day, 64 * 1024 * 1024)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for limits that are out of range.
    pub fn keep(mut self, time: Duration, bytes: u64) -> Result<Self, Error> {
        if !(KEEP_MIN..=KEEP_MAX).contains(&time) {
            return Err(Error::invalid(format!(
                "events cannot be kept for {time:?}: a minute to 100 years are allowed"
            )));
        }
        if !(KEEP_BYTES_MIN..=KEEP_BYTES_MAX).contains(&bytes) {
            return Err(Error::invalid(format!(
                "{bytes} bytes of events cannot be kept: {KEEP_BYTES_MIN} to {KEEP_BYTES_MAX} are allowed"
            )));
        }
        (self.keep, self.keep_bytes) = (time, bytes);
        Ok(self)
    }

    /// The same limits as they are sent.
    fn limits(&self) -> (u64, u64) {
        (millis(self.keep), self.keep_bytes)
    }

    /// A request to publish an event: set what goes with it, then await it.
    pub fn publish<E: Job<Output = ()>>(&self, event: E) -> Publish<E> {
        Publish::new(self, event)
    }

    /// A request to publish an event that is made of a [`CloudEvent`]: as [`Queue::enqueue_event`].
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(orders: Topic) -> Result<(), Box<dyn std::error::Error>> {
    /// let text = r#"{"specversion": "1.0", "id": "17", "type": "order-placed", "source": "/shop", "data": {"order": 17}}"#;
    /// let event: CloudEvent<serde_json::Value> = serde_json::from_str(text)?;
    /// orders.publish_event(event).await?;
    /// # Ok(()) }
    /// ```
    pub fn publish_event<D: Serialize>(&self, event: CloudEvent<D>) -> Publish<Untyped> {
        Publish::of_event(self, event)
    }

    /// The same for data that this program knows: as [`Queue::enqueue_typed_event`].
    pub fn publish_typed_event<E: Job<Output = ()>>(&self, event: CloudEvent<E>) -> Publish<E> {
        Publish::of_typed_event(self, event)
    }

    /// A request to publish many events of one type, in order: plain events, or requests made with [`publish`](Self::publish) where they need a subject or
    /// headers.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct OrderPlaced { order: u64 }
    /// # impl Job for OrderPlaced { const NAME: &'static str = "order-placed"; type Output = (); }
    /// # async fn example(orders: Topic) -> Result<(), Error> {
    /// let placed = |order| orders.publish(OrderPlaced { order }).subject(format!("order-{order}"));
    /// orders.publish_many((1..=1_000).map(placed)).await?;
    /// # Ok(()) }
    /// ```
    pub fn publish_many<E: Job<Output = ()>>(
        &self,
        events: impl IntoIterator<Item = Publish<E>>,
    ) -> PublishMany<E> {
        PublishMany::new(self, events)
    }

    /// A request to subscribe a queue: say what it wants, then await it. `name` is the name of the subscription, as names of queues are; a topic has each once.
    pub fn subscribe(&self, name: impl Into<String>, queue: &Queue) -> Subscribe {
        Subscribe::new(self, name.into(), queue)
    }

    /// Removes a subscription; says whether there was one. Jobs that its queue has already stay there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a malformed name; otherwise if Redis does not answer. Repeating it is harmless.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn unsubscribe(&self, name: &str) -> Result<bool, Error> {
        name::check("name of the subscription", name)?;
        let unsubscribe = Unsubscribe { name, since: None };
        let Some(removed) = self.inner.call(&unsubscribe).await? else {
            return Ok(false);
        };
        // If this does not come to pass, a worker of the queue finds that the subscription is gone.
        let queue = self.queue(&removed.queue)?;
        queue.detach(self.name(), removed.since).await?;
        Ok(true)
    }

    /// Deletes the topic: its log, its subscriptions, and its place in [`Oxcart::topics`](crate::Oxcart::topics). Jobs that queues have already stay there.
    ///
    /// # Errors
    ///
    /// If Redis does not answer. Repeating it is harmless.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn delete(&self) -> Result<(), Error> {
        let subscriptions = self.inner.call(&AskTopic).await?.subscriptions;
        for it in subscriptions {
            self.queue(&it.queue)?.detach(self.name(), it.since).await?;
        }
        let (all, lanes_ms) = (true, 1);
        self.inner.call(&Delete { all, lanes_ms }).await?;
        self.inner.is_listed.store(false, Ordering::Relaxed);
        let store = &self.inner.store;
        let unlist = async {
            store.unregister().await?;
            // Somebody may have published meanwhile.
            match store.call(&AskTopic).await?.is_there {
                true => store.register().await,
                false => Ok(()),
            }
        };
        let unlisted = unlist.await;
        unlisted.map_err(|trouble| self.within("delete", trouble.into_error(store.address())))
    }

    /// Puts the topic, or a queue that is subscribed to it, on its list, unless this process has done so. What was asked for is done by then, so a
    /// user who may not write there is only told in the log.
    async fn list(&self, what: &QueueInner) -> Result<(), Error> {
        if what.is_listed.load(Ordering::Relaxed) {
            return Ok(());
        }
        match what.store.register().await {
            Ok(()) => {
                what.is_listed.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(Trouble::Refused(Refusal::NotAllowed { .. }, why)) => {
                warn!(topic = self.name(), %why, "a name stays off its list");
                Ok(())
            }
            Err(trouble) => Err(self.within("list", trouble.into_error(what.store.address()))),
        }
    }

    fn within(&self, tried: &str, error: Error) -> Error {
        error.within(format_args!("`{tried}` on the topic `{}`", self.name()))
    }

    /// A queue beside it.
    fn queue(&self, name: &str) -> Result<Queue, Error> {
        let inner = Arc::clone(&self.inner);
        Queue { inner }.beside(name)
    }
}

impl Queue {
    /// A topic beside it, if it can have this name.
    pub(crate) fn topic(&self, name: &str) -> Option<Topic> {
        let name = QueueName::of_topic(name).ok()?;
        let inner = QueueInner::new(Arc::clone(&self.inner.setup), name);
        Some(Topic::new(Arc::new(inner)))
    }

    /// The subscription of this number feeds it no more.
    pub(crate) async fn detach(&self, topic: &str, since: u64) -> Result<(), Error> {
        let detach = Attach {
            topic,
            since,
            name: "-",
            start: None,
            most: SUBSCRIBED_MAX,
        };
        self.inner.call(&detach).await.map(drop)
    }
}
