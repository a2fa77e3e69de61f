//! What is known of a topic.

use std::time::Duration;

use crate::error::Error;
use crate::policy::event_filter::{EventFilter, EventOrder, Wants};
use crate::store;
use crate::store::topic::Standing;
use crate::time::Timestamp;
use crate::topic::Topic;

/// What is known of a topic ([`Topic::info`]).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TopicInfo {
    /// How many events are kept, and their bytes.
    pub kept: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many were ever published, as far as Redis knows.
    pub published: u64,
    /// When the first of those that are kept was published.
    pub first: Option<Timestamp>,
    /// When the last event was published, kept or not.
    pub last: Option<Timestamp>,
    /// Its subscriptions, by name.
    pub subscriptions: Vec<SubscriptionInfo>,
}

/// How a subscription of a topic stands ([`TopicInfo::subscriptions`]).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SubscriptionInfo {
    /// Its name.
    pub name: String,
    /// The name of the queue that it feeds.
    pub queue: String,
    /// When it was made.
    pub since: Timestamp,
    /// How many events were published that the queue has not taken or passed over. It is up to a page (256 events) more than that while the queue is fed.
    pub behind: u64,
    /// How old the first of these is that is kept. Zero if it is not behind.
    pub behind_for: Duration,
    /// How many events were dropped from the log before the queue could take them; about so many, if Redis has lost something.
    pub missed: u64,
    /// Which events it wants, and in which order its queue runs them; `None` if a newer version wrote it in a form that is not known here.
    pub wants: Option<(EventFilter, EventOrder)>,
}

impl SubscriptionInfo {
    fn new(it: Standing, last_number: u64, now_ms: u64) -> Self {
        let age = |next: u64| Duration::from_millis(now_ms.saturating_sub(next / 1_000));
        Self {
            name: it.name,
            queue: it.queue,
            since: Timestamp::from_millis(it.since / 1_000),
            behind: last_number.saturating_sub(it.number),
            behind_for: it.next.map(age).unwrap_or_default(),
            missed: it.missed,
            wants: Wants::decode(&it.wants).map(|wants| (wants.filter, wants.order)),
        }
    }
}

impl Topic {
    /// What is known of the topic: how much is kept, and how far each subscription is. A topic that nobody has used is empty.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(orders: Topic) -> Result<(), Error> {
    /// for subscription in orders.info().await?.subscriptions {
    ///     let SubscriptionInfo { name, behind, behind_for, missed, .. } = subscription;
    ///     println!("{name}: {behind} events or {behind_for:?} behind; {missed} missed");
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
    pub async fn info(&self) -> Result<TopicInfo, Error> {
        let found = self.inner.call(&store::topic::Topic).await?;
        let moment = |position: u64| Timestamp::from_millis(position / 1_000);
        let last = (found.last_number > 0).then(|| moment(found.last));
        let (last_number, now_ms) = (found.last_number, found.now_ms);
        let standing = |it| SubscriptionInfo::new(it, last_number, now_ms);
        Ok(TopicInfo {
            kept: found.kept,
            bytes: found.bytes,
            published: last_number,
            first: found.first.map(moment),
            last,
            subscriptions: found.subscriptions.into_iter().map(standing).collect(),
        })
    }
}
