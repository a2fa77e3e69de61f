//! A queue as the application sees it: enqueueing, waiting for results, looking, replaying.

pub(crate) mod admin;
pub(crate) mod audit;
pub(crate) mod awaited;
pub(crate) mod cancel;
pub(crate) mod cancel_on_drop;
pub(crate) mod cancel_requests;
pub(crate) mod cause;
pub(crate) mod cloud_event;
pub(crate) mod dead;
pub(crate) mod delete;
pub(crate) mod draft;
pub(crate) mod edit;
pub(crate) mod encoded;
pub(crate) mod enqueue;
pub(crate) mod feed;
pub(crate) mod flow;
pub(crate) mod follower;
pub(crate) mod group;
pub(crate) mod handle;
pub(crate) mod history;
pub(crate) mod info;
pub(crate) mod inside;
pub(crate) mod job_log;
pub(crate) mod jobs;
pub(crate) mod jobs_named;
pub(crate) mod known_rate;
pub(crate) mod many;
mod moving;
pub(crate) mod oldest;
pub(crate) mod orphans;
pub(crate) mod outbox;
pub(crate) mod producer;
pub(crate) mod relay;
pub(crate) mod replies;
pub(crate) mod results;
pub(crate) mod saga;
pub(crate) mod settings;
pub(crate) mod setup;
pub(crate) mod shelf;
pub(crate) mod signal;
pub(crate) mod steps;
pub(crate) mod sweep;
pub(crate) mod unique;
pub(crate) mod workers;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::Error;
use crate::events::stream::{EventCursor, EventStream};
use crate::id::JobId;
use crate::job::Job;
use crate::job::cloud_event::source_of;
use crate::name::QueueName;
use crate::policy::durability::{Durability, Level};
use crate::queue::enqueue::Enqueue;
use crate::queue::handle::JobHandle;
use crate::queue::many::{EnqueueMany, IntoEnqueue};
use crate::queue::producer::Producer;
use crate::queue::setup::Setup;
use crate::queue::shelf::Parts;
use crate::store::backend::Apply;

/// A queue. Cheap to clone; all clones share one task that sends what they enqueue.
#[derive(Clone)]
pub struct Queue {
    pub(crate) inner: Arc<QueueInner>,
}

pub(crate) struct QueueInner {
    pub(crate) setup: Arc<Setup>,
    pub(crate) name: QueueName,
    /// Of what this handle enqueues.
    pub(crate) durability: Durability,
    parts: Arc<Parts>,
}

/// What all handles of the queue share.
impl Deref for QueueInner {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl QueueInner {
    pub(crate) fn new(setup: Arc<Setup>, name: QueueName) -> Self {
        let store = || setup.backend.store(&setup.namespace, &name);
        let parts = setup.shelf.parts(&name, store);
        let durability = Durability::default();
        Self {
            setup,
            name,
            durability,
            parts,
        }
    }

    /// Where its jobs come from, unless they say something else: as CloudEvents name it.
    pub(crate) fn source(&self) -> String {
        let Setup {
            source, namespace, ..
        } = &*self.setup;
        let default = || source_of(&namespace.to_string(), self.name.as_str());
        source.clone().unwrap_or_else(default)
    }

    /// What sends jobs of this level.
    pub(crate) fn producer(&self, level: Level) -> Arc<Producer> {
        self.parts.producer(level, self.setup.call_timeout)
    }

    /// Whether both are handles of one queue, by one connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.parts, &other.parts)
    }

    /// One call on the connection that all single calls share. An error says what was tried on which queue.
    pub(crate) async fn call<V: Apply>(&self, verb: &V) -> Result<V::Answer, Error> {
        let answer = self.store.call(verb).await;
        answer.map_err(|trouble| {
            let error = trouble.into_error(self.store.address());
            let tried = tried(V::script().name);
            match (self.name.topic(), self.name.breaker()) {
                (Some(topic), _) => error.within(format_args!("`{tried}` on the topic `{topic}`")),
                (_, Some(breaker)) => {
                    error.within(format_args!("`{tried}` on the breaker `{breaker}`"))
                }
                _ => error.within(format_args!("`{tried}` on the queue `{}`", self.name)),
            }
        })
    }
}

/// The name of a verb, as users know the call.
fn tried(verb: &str) -> &str {
    match verb {
        "get" => "job",
        "list" => "jobs",
        "watch" => "result",
        "configure" => "change_settings",
        "import" => "import_dead",
        "adopt" => "move",
        "oldest" => "oldest_waiting",
        "unschedule" => "schedule.remove",
        verb => verb,
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queue").field(&self.inner.name).finish()
    }
}

impl Queue {
    /// Another queue of the same connection.
    pub(crate) fn beside(&self, name: &str) -> Result<Self, Error> {
        let name = QueueName::new(name)?;
        let inner = Arc::new(QueueInner::new(Arc::clone(&self.inner.setup), name));
        Ok(Self { inner })
    }

    /// The same queue, through a handle whose jobs are as safe as this before their callers are told that they are there: see
    /// [`Durability`]. A type of job or a request may say otherwise. It holds for this handle and its clones alone.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(oxcart: Oxcart) -> Result<(), Error> {
    /// let payments = oxcart.queue("payments")?.with_durability(Durability::Fsync)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for `Durability::Replicated(0)`.
    pub fn with_durability(&self, durability: Durability) -> Result<Self, Error> {
        durability.check()?;
        let mut inner = QueueInner::new(Arc::clone(&self.inner.setup), self.inner.name.clone());
        inner.durability = durability;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The name of the queue.
    #[must_use]
    pub fn name(&self) -> &str {
        self.inner.name.as_str()
    }

    /// A request to enqueue `job`: set what differs from the defaults, then await it.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # use std::time::Duration;
    /// # #[derive(Serialize, Deserialize)] struct SendWelcome { user: u64 }
    /// # impl Job for SendWelcome { const NAME: &'static str = "w"; type Output = (); }
    /// # async fn example(mail: Queue) -> Result<(), Error> {
    /// let sent = mail
    ///     .enqueue(SendWelcome { user: 7 })
    ///     .attempts(5)
    ///     .delay(Duration::from_secs(60))
    ///     .await?;
    /// println!("job {}", sent.id());
    /// # Ok(()) }
    /// ```
    pub fn enqueue<J: Job>(&self, job: J) -> Enqueue<J> {
        Enqueue::new(Ok(self.clone()), &job)
    }

    /// A request to enqueue any number of jobs, in order: plain jobs, or requests made with
    /// [`enqueue`](Self::enqueue) where they need options of their own.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct SendWelcome { user: u64 }
    /// # impl Job for SendWelcome { const NAME: &'static str = "w"; type Output = (); }
    /// # async fn example(mail: Queue) -> Result<(), Error> {
    /// mail.enqueue_many((0..10_000).map(|user| SendWelcome { user })).await?;
    /// mail.enqueue_many((0..3).map(|user| mail.enqueue(SendWelcome { user }).priority(10)))
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn enqueue_many<R: IntoEnqueue>(
        &self,
        jobs: impl IntoIterator<Item = R>,
    ) -> EnqueueMany<R::Job> {
        EnqueueMany::new(self, jobs)
    }

    /// A handle to a job that was enqueued elsewhere. Nothing is sent.
    #[must_use]
    pub fn handle<J: Job>(&self, id: JobId) -> JobHandle<J> {
        JobHandle::existing(self.clone(), id)
    }

    /// Lifecycle events of this queue from now on, from all processes. Whatever happens after
    /// this has returned is seen. The stream has a connection of its own, which is closed at once
    /// when the stream is dropped.
    ///
    /// # Errors
    ///
    /// If Redis does not answer within about 8 s. Once there, the stream reconnects by itself.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn events(&self) -> Result<EventStream, Error> {
        EventStream::from_now_on(&self.inner.name, &self.inner.store).await
    }

    /// Lifecycle events after the event that was seen last. Events that Redis has dropped since then are
    /// reported as missed ([`EventKind::Missed`](crate::EventKind::Missed)). So are all events in Redis
    /// if the cursor lies behind them: then it is another Redis, or has older data.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, for a queue in memory.
    #[must_use]
    pub fn events_after(&self, cursor: EventCursor) -> EventStream {
        EventStream::open(&self.inner.name, &self.inner.store, cursor)
    }
}
