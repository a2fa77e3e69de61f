//! Requests to subscribe a queue to a topic.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, ErrorKind};
use crate::job::Job;
use crate::name;
use crate::policy::event_filter::{EventFilter, EventOrder, Wants};
use crate::queue::Queue;
use crate::store::attach::{Attach, Attached};
use crate::store::subscribe::{self, Begin, Subscribed};
use crate::store::subscribed;
use crate::store::unsubscribe::Unsubscribe;
use crate::topic::Topic;

/// So many subscriptions may a topic have, and to so many topics may a queue be subscribed.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 256;
pub(crate) const SUBSCRIBED_MAX: usize = 256;

/// So often a subscription may be removed and made again by others while it is asked for.
const TRIES: usize = 5;

/// What the topic answers.
struct Told {
    since: u64,
    position: u64,
    is_new: bool,
}

/// Where a new subscription begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// With what is published from now on.
    #[default]
    Now,
    /// With the first event that is kept.
    Kept,
    /// With the first event that was published at this moment or later and is kept: all that is kept, if the moment is older. A moment that is still to come is as [`Now`](Self::Now). Moments are those of the clock of Redis.
    At(SystemTime),
}

impl EventFilter {
    /// Events of this type. Called again: of one of these types. Default: of any type.
    #[must_use]
    pub fn event<E: Job>(self) -> Self {
        self.event_named(E::NAME)
    }
}

/// A request to subscribe a queue to a topic, made by [`Topic::subscribe`]. Awaiting it sends it; says whether the subscription is new.
///
/// Programs may ask for it each time they start: a subscription that is there stays where it is, and what it [wants](Self::only) and its
/// [order](Self::ordered_by) become what is asked for now. It stays until it is [removed](Topic::unsubscribe), also while no worker of its queue runs.
///
/// ```no_run
/// # use oxcart::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct OrderPlaced { order: u64 }
/// # impl Job for OrderPlaced { const NAME: &'static str = "order-placed"; type Output = (); }
/// # async fn example(orders: Topic, statistics: Queue) -> Result<(), Error> {
/// orders
///     .subscribe("statistics", &statistics)
///     .starting(Start::Kept)                                      // not only from now on
///     .only(EventFilter::new().event::<OrderPlaced>())
///     .ordered_by(EventOrder::OfSubject)
///     .await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`Invalid`](ErrorKind::Invalid) for a malformed name, a filter that no event can meet, a queue of another connection; if the subscription of this name has another queue; and if another subscription
/// of the topic feeds this queue. [`Refused`](ErrorKind::Refused) if the topic has 256 subscriptions, or the queue is subscribed to 256 topics. Otherwise if Redis does
/// not answer. Repeating it is harmless.
///
/// # Cancel safety
///
/// A request that is dropped while it is awaited may be carried out in part: the topic may know of the subscription, and the queue not yet. Repeating it mends that.
#[must_use = "a request does nothing until it is awaited"]
pub struct Subscribe {
    topic: Topic,
    name: String,
    queue: Queue,
    start: Start,
    wants: Wants,
}

impl fmt::Debug for Subscribe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe")
            .field("topic", &self.topic.name())
            .field("name", &self.name)
            .field("queue", &self.queue.name())
            .field("start", &self.start)
            .field("wants", &self.wants)
            .finish()
    }
}

impl Subscribe {
    pub(super) fn new(topic: &Topic, name: String, queue: &Queue) -> Self {
        Self {
            topic: topic.clone(),
            name,
            queue: queue.clone(),
            start: Start::default(),
            wants: Wants::default(),
        }
    }

    /// Where it begins if it is new. Default: with what is published from now on.
    pub fn starting(self, start: Start) -> Self {
        Self { start, ..self }
    }

    /// Which events it wants. Default: all.
    pub fn only(mut self, filter: EventFilter) -> Self {
        self.wants.filter = filter;
        self
    }

    /// In which order the queue runs them. Default: they begin in the order in which they were published.
    pub fn ordered_by(mut self, order: EventOrder) -> Self {
        self.wants.order = order;
        self
    }

    fn check(&self) -> Result<(), Error> {
        name::check("name of the subscription", &self.name)?;
        self.wants.filter.check()?;
        let (topic, queue) = (&self.topic.inner, &self.queue.inner);
        if !topic.setup.shelf.is_same(&queue.setup.shelf) {
            return Err(Error::invalid(format!(
                "the queue `{}` is in another connection than the topic `{}`: ask one `Oxcart` for both",
                self.queue.name(),
                self.topic.name()
            )));
        }
        Ok(())
    }

    fn begin(&self) -> Begin {
        match self.start {
            Start::Now => Begin::Now,
            Start::Kept => Begin::Kept,
            Start::At(moment) => {
                let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
                let us = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
                Begin::From(us.min((1 << 53) - 1))
            }
        }
    }

    async fn send(self) -> Result<bool, Error> {
        self.check()?;
        let wants = self.wants.encode()?;
        // Asked first, so that nothing is written if it cannot be. What comes in between is found below.
        let all = self.queue.inner.call(&subscribed::Subscribed::LOOK).await?;
        let topic = self.topic.name();
        let known = all.iter().find(|to| to.topic == topic);
        if let Some(other) = known.filter(|to| to.name != self.name) {
            self.forget_if_removed(other).await?;
        }
        if known.is_none() && all.len() >= SUBSCRIBED_MAX {
            return Err(self.too_many_topics());
        }
        let mut is_new = false;
        for _ in 0..TRIES {
            let told = self.tell_topic(&wants).await?;
            is_new |= told.is_new;
            let attach = Attach {
                topic,
                since: told.since,
                name: &self.name,
                start: Some(told.position),
                most: SUBSCRIBED_MAX,
            };
            let refused = match self.queue.inner.call(&attach).await? {
                Attached::Done => {
                    // The queue may have nothing yet but this.
                    self.topic.list(&self.queue.inner).await?;
                    return Ok(is_new);
                }
                // It was removed and made again by another process, in between.
                Attached::Stale => continue,
                Attached::Other(name) => self.is_fed_by(&name),
                Attached::Full => self.too_many_topics(),
            };
            if told.is_new {
                let (name, since) = (&*self.name, Some(told.since));
                self.topic.inner.call(&Unsubscribe { name, since }).await?;
            }
            return Err(refused);
        }
        Err(Error::new(
            ErrorKind::Refused,
            format!(
                "the subscription `{}` of the topic `{topic}` is removed and made again all the time",
                self.name
            ),
        ))
    }

    /// The topic's side.
    async fn tell_topic(&self, wants: &[u8]) -> Result<Told, Error> {
        let subscribe = subscribe::Subscribe {
            name: &self.name,
            queue: self.queue.name(),
            start: self.begin(),
            wants,
            most: SUBSCRIPTIONS_MAX,
        };
        match self.topic.inner.call(&subscribe).await? {
            Subscribed::Done {
                since,
                position,
                is_new,
            } => {
                self.topic.list(&self.topic.inner).await?;
                Ok(Told {
                    since,
                    position,
                    is_new,
                })
            }
            Subscribed::Other(queue) => Err(Error::invalid(format!(
                "the subscription `{}` of the topic `{}` feeds the queue `{queue}`, and not `{}`: give this one another name, or remove that one first",
                self.name,
                self.topic.name(),
                self.queue.name()
            ))),
            Subscribed::Full => Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "the topic `{}` has {SUBSCRIPTIONS_MAX} subscriptions already",
                    self.topic.name()
                ),
            )),
        }
    }

    /// The queue may know of a subscription that the topic does not have any more: the process that removed it died in between.
    async fn forget_if_removed(&self, other: &subscribed::To) -> Result<(), Error> {
        let found = self.topic.inner.call(&crate::store::topic::Topic).await?;
        let is_there = found.subscriptions.iter().any(|it| it.since == other.since);
        match is_there {
            true => Err(self.is_fed_by(&other.name)),
            false => self.queue.detach(self.topic.name(), other.since).await,
        }
    }

    fn is_fed_by(&self, other: &str) -> Error {
        Error::invalid(format!(
            "the subscription `{other}` of the topic `{}` feeds the queue `{}` already: a queue has one subscription of a topic, so that it gets each event once",
            self.topic.name(),
            self.queue.name()
        ))
    }

    fn too_many_topics(&self) -> Error {
        Error::new(
            ErrorKind::Refused,
            format!(
                "the queue `{}` is subscribed to {SUBSCRIBED_MAX} topics already",
                self.queue.name()
            ),
        )
    }
}

impl IntoFuture for Subscribe {
    type Output = Result<bool, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
