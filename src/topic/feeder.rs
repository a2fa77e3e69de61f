//! Feeds a queue from a topic to which it is subscribed, one step at a time.
//!
//! Two feeders of one queue do no harm: where the queue stands is moved by the script that adds the jobs, and each call names where it stood. So what is left
//! of a feeder that died, or was frozen, adds nothing twice, and leaves nothing out.

use crate::id::incarnation;
use crate::job::record::Record;
use crate::policy::event_filter::{EventOrder, Wants};
use crate::queue::Queue;
use crate::store::attach::{Attach, source_of_topic};
use crate::store::backend::{Reader, Store, Stream, Trouble};
use crate::store::counts::Counts;
use crate::store::enqueue::NewJob;
use crate::store::feed::{Fed, Feed};
use crate::store::follow::{Event, Follow, Followed, Page};
use crate::store::outbox::message::Message;
use crate::store::subscribed::{Subscribed, To};
use crate::store::topic::Topic as AskTopic;
use crate::store::{BATCH_BYTES, BATCH_JOBS};
use crate::topic::subscribe::SUBSCRIBED_MAX;

/// While so many jobs wait in the queue, it is not fed: what waits longer waits in the log, where all subscriptions share it.
const AHEAD_MAX: u64 = 10_000;
/// The sources of a queue that a feed may add; those of topics are there.
const SOURCES: usize = 0;

/// Feeds one queue from one topic.
pub(crate) struct Feeder {
    queue: Queue,
    topic: Store,
    to: To,
    source: String,
    reader: Reader,
    /// Where the queue stands.
    position: Option<u64>,
    /// Position of the last event of the topic.
    last: u64,
    /// So many jobs may be added before those that wait are counted again.
    room: u64,
    /// The queue had enough to do at the last step; whether the subscription is ordered.
    ahead: Option<bool>,
    /// So many events were dropped before the queue could take them, as far as the caller does not know it.
    missed: u64,
}

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There may be more events.
    More,
    /// All events were taken: the next step is due when there is another one.
    Even,
    /// Enough jobs wait in the queue.
    Ahead,
    /// The subscription was removed, and the queue knows it now.
    Gone,
    /// The next event, or what the subscription wants, was written by a newer version, and is left for workers of that version.
    Unreadable,
}

impl Feeder {
    /// `None` for a topic whose name cannot be: another program wrote to our keys.
    pub(crate) fn new(queue: &Queue, to: To) -> Option<Self> {
        let topic = queue.topic(&to.topic)?.inner.store.clone();
        Some(Self {
            queue: queue.clone(),
            source: source_of_topic(&to.topic, to.since),
            reader: topic.reader(Stream::Published),
            topic,
            position: to.position,
            last: 0,
            room: 0,
            ahead: None,
            missed: 0,
            to,
        })
    }

    /// How many events were dropped before the queue could take them, since this was asked last.
    pub(crate) fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    /// Waits until there may be another event, for 4.5 s at most. Cancel safe.
    pub(crate) async fn wait(&mut self) -> Result<(), Trouble> {
        let after = self.position.unwrap_or(0).max(self.last);
        self.reader.read((after, u64::MAX), 1).await.map(drop)
    }

    /// Reads a page of events, and adds the jobs. Cancel safe: it may be carried out or not.
    pub(crate) async fn step(&mut self) -> Result<Step, Trouble> {
        let Some(after) = self.position else {
            return self.find_place().await;
        };
        // Asked before a page is read, which would be read for nothing.
        if let Some(are_ordered) = self.ahead
            && !self.has_room(are_ordered).await?
        {
            return Ok(Step::Ahead);
        }
        let follow = Follow {
            name: &self.to.name,
            since: self.to.since,
            after,
            limit: BATCH_JOBS,
            bytes: BATCH_BYTES,
        };
        let page = match self.topic.call(&follow).await? {
            Followed::Page(page) => page,
            Followed::Gone => return self.detach().await,
        };
        self.missed += page.missed;
        self.last = page.last;
        if page.events.is_empty() {
            return Ok(Step::Even);
        }
        let Some(wanted) = wanted(&page, &self.to.topic) else {
            return Ok(Step::Unreadable);
        };
        let may_lack_room = self.room < BATCH_JOBS as u64 && !wanted.jobs.is_empty();
        if may_lack_room && !self.has_room(wanted.are_ordered).await? {
            return Ok(Step::Ahead);
        }
        match self.feed(after, &wanted).await? {
            Fed::Done { now, .. } => self.position = now,
            // It stands elsewhere, or the subscription was removed.
            Fed::Behind | Fed::Full => self.position = None,
        }
        self.room = self.room.saturating_sub(wanted.jobs.len() as u64);
        Ok(Step::More)
    }

    async fn feed(&self, after: u64, wanted: &Wanted) -> Result<Fed, Trouble> {
        let token = incarnation();
        let feed = Feed {
            source: &self.source,
            positions: &wanted.positions,
            after: Some(after),
            upto: Some(wanted.upto),
            token: &token,
            most: SOURCES,
            jobs: &wanted.jobs.iter().collect::<Vec<_>>(),
        };
        self.queue.inner.store.call(&feed).await
    }

    /// Counts how many jobs the queue takes before it has enough to do. Those that are ordered wait for one another, and count as well.
    async fn has_room(&mut self, are_ordered: bool) -> Result<bool, Trouble> {
        let counted = self.queue.inner.store.call(&Counts).await?;
        let held_back = if are_ordered {
            counted.jobs("blocked")
        } else {
            0
        };
        self.room = AHEAD_MAX.saturating_sub(counted.jobs("waiting") + held_back);
        self.ahead = (self.room == 0).then_some(are_ordered);
        Ok(self.room > 0)
    }

    /// Asks where the queue stands. A queue that has forgotten it is put where the topic has last seen it.
    async fn find_place(&mut self) -> Result<Step, Trouble> {
        let all = self.queue.inner.store.call(&Subscribed::LOOK).await?;
        let is_this = |to: &&To| (&to.topic, to.since) == (&self.to.topic, self.to.since);
        let Some(this) = all.iter().find(is_this) else {
            return Ok(Step::Gone);
        };
        self.position = this.position;
        if self.position.is_some() {
            return Ok(Step::More);
        }
        let known = self.topic.call(&AskTopic).await?.subscriptions;
        let Some(known) = known.into_iter().find(|it| it.since == self.to.since) else {
            return self.detach().await;
        };
        self.attach(Some(known.position)).await?;
        // It is read again, because another one may have moved it meanwhile.
        Ok(Step::More)
    }

    async fn detach(&self) -> Result<Step, Trouble> {
        self.attach(None).await?;
        Ok(Step::Gone)
    }

    async fn attach(&self, start: Option<u64>) -> Result<(), Trouble> {
        let attach = Attach {
            topic: &self.to.topic,
            since: self.to.since,
            name: &self.to.name,
            start,
            most: SUBSCRIBED_MAX,
        };
        self.queue.inner.store.call(&attach).await.map(drop)
    }
}

/// What becomes of a page.
struct Wanted {
    /// The jobs of the events that are wanted, each with its position.
    positions: Vec<u64>,
    jobs: Vec<NewJob>,
    /// The last event that was looked at.
    upto: u64,
    are_ordered: bool,
}

/// The events of a page that the subscription wants, up to the first that cannot be read here; `None` if that is the first of all.
fn wanted(page: &Page, topic: &str) -> Option<Wanted> {
    let wants = Wants::decode(&page.wants)?;
    let mut wanted = Wanted {
        positions: Vec::new(),
        jobs: Vec::new(),
        upto: 0,
        are_ordered: wants.order != EventOrder::AsPublished,
    };
    for Event { position, bytes } in &page.events {
        let Some((mut job, record)) = readable(bytes) else {
            break;
        };
        wanted.upto = *position;
        if wants.filter.wants(&record.name, &record.headers) {
            if let Some(key) = wants.order_key(topic, &record.headers) {
                job.record = job.record.ordered_by(&key);
            }
            wanted.positions.push(*position);
            wanted.jobs.push(job);
        }
    }
    (wanted.upto > 0).then_some(wanted)
}

fn readable(bytes: &[u8]) -> Option<(NewJob, Record)> {
    let Some(Message::Job(job)) = Message::decode(bytes) else {
        return None;
    };
    let record = job.record.read().ok()?;
    Some((job, record))
}
