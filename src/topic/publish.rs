//! Requests to publish events.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use serde::Serialize;

use crate::error::Error;
use crate::id::JobId;
use crate::job::Job;
use crate::job::cloud_event::CloudEvent;
use crate::policy::event_filter::SUBJECT;
use crate::policy::key::check_key;
use crate::queue::Queue;
use crate::queue::cloud_event::Untyped;
use crate::queue::enqueue::Enqueue;
use crate::store::outbox::message::Message;
use crate::store::publish;
use crate::store::{BATCH_BYTES, BATCH_JOBS};
use crate::time::Timestamp;
use crate::topic::Topic;

/// A request to publish an event, made by [`Topic::publish`]. Awaiting it sends it.
///
/// The event has an id, which is chosen when the request is made; an event whose id is in the log is not added again. So what could not be
/// published for certain is published again [with its id](Self::id), and is there once.
///
/// # Errors
///
/// [`Invalid`](crate::ErrorKind::Invalid) and [`Codec`](crate::ErrorKind::Codec) before anything is sent; [`Refused`](crate::ErrorKind::Refused) if Redis takes no writes;
/// [`NotSent`](crate::ErrorKind::NotSent), [`Unreachable`](crate::ErrorKind::Unreachable) or [`Unknown`](crate::ErrorKind::Unknown) within about 8 s if it does not answer. Each carries the id.
///
/// # Cancel safety
///
/// A request that is dropped while it is awaited may or may not be carried out.
#[must_use = "a request does nothing until it is awaited"]
pub struct Publish<E: Job<Output = ()>> {
    topic: Topic,
    /// The event is kept as the job that it becomes in each queue.
    request: Enqueue<E>,
}

/// An event that is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The id of the event, which is that of its job in each queue.
    pub id: JobId,
    /// Its place in the log: larger than those of all events before it. About the moment at which it was published, in µs since 1970.
    pub position: u64,
    /// It was added. `false`: an event with its id was in the log, perhaps from the first try of this very call, if the connection was lost before Redis could answer.
    pub is_new: bool,
}

impl Published {
    /// When it was published, by the clock of Redis.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.position / 1_000)
    }
}

impl<E: Job<Output = ()>> fmt::Debug for Publish<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish")
            .field("topic", &self.topic.name())
            .field("event", &E::NAME)
            .field("id", self.request.job_id())
            .finish_non_exhaustive()
    }
}

impl Publish<Untyped> {
    pub(super) fn of_event<D: Serialize>(topic: &Topic, event: CloudEvent<D>) -> Self {
        let inner = std::sync::Arc::clone(&topic.inner);
        Self {
            topic: topic.clone(),
            request: Enqueue::of_event(&Queue { inner }, event),
        }
    }
}

impl<E: Job<Output = ()>> Publish<E> {
    pub(super) fn of_typed_event(topic: &Topic, event: CloudEvent<E>) -> Self {
        let inner = std::sync::Arc::clone(&topic.inner);
        let request = Enqueue::of_typed_event(&Queue { inner }, event).any_queue();
        Self {
            topic: topic.clone(),
            request,
        }
    }

    pub(super) fn new(topic: &Topic, event: E) -> Self {
        let inner = std::sync::Arc::clone(&topic.inner);
        Self {
            topic: topic.clone(),
            request: Queue { inner }.enqueue(event).any_queue(),
        }
    }

    fn with(self, change: impl FnOnce(Enqueue<E>) -> Enqueue<E>) -> Self {
        let request = change(self.request);
        Self { request, ..self }
    }

    /// What the event is about, such as `order-17`: for [filters](crate::EventFilter), and for [order](crate::EventOrder). 1 to 512 bytes; it travels as the header `subject`, within the
    /// 1,024 bytes of all headers. Default: nothing.
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.header(SUBJECT, subject)
    }

    /// Send this along, for filters and handlers to read ([`Context::header`](crate::Context::header)). All headers of an event have 1,024 bytes at most, names and values together.
    pub fn header(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(|request| request.header(key, value))
    }

    /// The id of all that comes of one first cause: the header `correlationid`; see [`Enqueue::correlation_id`].
    pub fn correlation_id(self, id: impl Into<String>) -> Self {
        self.with(|request| request.correlation_id(id))
    }

    /// The id of the job, event or message that is the cause of this event: the header `causationid`; see [`Enqueue::causation_id`].
    pub fn causation_id(self, id: impl Into<String>) -> Self {
        self.with(|request| request.causation_id(id))
    }

    /// Under this id, instead of a new one: something that the fact itself brings along, such as the id of a request. As long as an event with it is in the log,
    /// another one is not added.
    pub fn id(self, id: JobId) -> Self {
        self.with(|request| request.id(id))
    }

    /// The id that the event will have.
    #[must_use]
    pub fn event_id(&self) -> &JobId {
        self.request.job_id()
    }

    /// Id and bytes, if it is well.
    fn encode(&mut self) -> Result<(JobId, Vec<u8>), Error> {
        if let Some(subject) = self.request.header_value(SUBJECT) {
            let checked = check_key("the subject", subject);
            checked.map_err(|error| error.with_job(self.event_id()))?;
        }
        let (_, job) = self.request.prepare()?;
        if job.record.traits && job.record.has_unique_key() {
            let error = Error::invalid(format!(
                "the event `{}` has a unique key: a queue would leave out events, and nobody would know",
                E::NAME
            ));
            return Err(error.with_job(&job.id));
        }
        Ok((job.id.clone(), Message::Job(job).encode()))
    }

    async fn send(mut self) -> Result<Published, Error> {
        let event = self.encode()?;
        let mut published = publish(&self.topic, std::slice::from_ref(&event)).await?;
        published.pop().ok_or_else(|| {
            Error::new(
                crate::error::ErrorKind::Internal,
                "Redis named no position of the event",
            )
        })
    }
}

/// One call.
async fn publish(topic: &Topic, events: &[(JobId, Vec<u8>)]) -> Result<Vec<Published>, Error> {
    let (keep_ms, keep_bytes) = topic.limits();
    let sent: Vec<_> = events
        .iter()
        .map(|(id, bytes)| (id.as_str(), &bytes[..]))
        .collect();
    let publish = publish::Publish {
        events: &sent,
        keep_ms,
        keep_bytes,
    };
    let places = topic
        .inner
        .call(&publish)
        .await
        .map_err(|error| match events.first() {
            Some((id, _)) => error.with_job(id),
            None => error,
        })?;
    topic.list(&topic.inner).await?;
    let published = events.iter().zip(places);
    Ok(published
        .map(|((id, _), place)| Published {
            id: id.clone(),
            position: place.position,
            is_new: place.is_new,
        })
        .collect())
}

impl<E: Job<Output = ()>> IntoFuture for Publish<E> {
    type Output = Result<Published, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// A request to publish many events, in order, made by [`Topic::publish_many`]. All of them are checked before the first is sent. They go in calls of up to 256 events or 1 MiB,
/// one after the other; each call is atomic. Awaiting it tells where each stands.
///
/// # Errors
///
/// As [`Publish`]. [`Invalid`](crate::ErrorKind::Invalid) also if two of the events have one id. Events of the calls before the one that failed are there. Published again with the same ids, each is there once.
///
/// # Cancel safety
///
/// A request that is dropped while it is awaited may be carried out in part.
#[must_use = "a request does nothing until it is awaited"]
pub struct PublishMany<E: Job<Output = ()>> {
    topic: Topic,
    requests: Vec<Publish<E>>,
}

impl<E: Job<Output = ()>> fmt::Debug for PublishMany<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishMany")
            .field("topic", &self.topic.name())
            .field("events", &self.requests.len())
            .finish_non_exhaustive()
    }
}

impl<E: Job<Output = ()>> PublishMany<E> {
    pub(super) fn new(topic: &Topic, events: impl IntoIterator<Item = Publish<E>>) -> Self {
        Self {
            topic: topic.clone(),
            requests: events.into_iter().collect(),
        }
    }

    async fn send(mut self) -> Result<Vec<Published>, Error> {
        let events = self.requests.iter_mut().map(Publish::encode);
        let events: Vec<(JobId, Vec<u8>)> = events.collect::<Result<_, _>>()?;
        let mut ids = std::collections::HashSet::new();
        if let Some((twice, _)) = events.iter().find(|(id, _)| !ids.insert(id)) {
            let error = Error::invalid(format!("two of the events have the id `{twice}`"));
            return Err(error.with_job(twice));
        }
        let mut published = Vec::with_capacity(events.len());
        let mut left = &events[..];
        while !left.is_empty() {
            let mut bytes = 0;
            let fits = |event: &&(JobId, Vec<u8>)| {
                bytes += event.1.len();
                bytes <= BATCH_BYTES
            };
            let fitting = left.iter().take(BATCH_JOBS).take_while(fits).count();
            let (page, behind) = left.split_at(fitting.max(1));
            published.extend(publish(&self.topic, page).await?);
            left = behind;
        }
        Ok(published)
    }
}

impl<E: Job<Output = ()>> IntoFuture for PublishMany<E> {
    type Output = Result<Vec<Published>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
