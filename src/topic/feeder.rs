//! Feeds a queue from a topic to which it is subscribed, one step at a time.
//!
//! Two feeders of one queue do no harm: where the queue stands is moved by the script that adds the jobs, and each call names where it stood. So what is left
//! of a feeder that died, or was frozen, adds nothing twice, and leaves nothing out.

use crate::id::incarnation;
use crate::policy::event_filter::Wants;
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

/// While so many jobs wait in the queue, it is not fed: what waits longer waits in the log, where it costs nothing more.
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
    /// Where the queue stands, and the number of the event there, 0 if that is not known.
    position: Option<u64>,
    number: u64,
    /// There was more behind the last page.
    is_behind: bool,
    /// Position of the last event of the topic.
    last: u64,
}

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// So many events were read, and so many were dropped before the queue could take them. There may be more.
    More { missed: u64 },
    /// All events were taken: the next step is due when there is another one.
    Even { missed: u64 },
    /// Enough jobs wait in the queue.
    Ahead,
    /// The subscription was removed, and the queue knows it now.
    Gone,
    /// An event, or what the subscription wants, was written by a newer version, and is left for workers of that version.
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
            number: 0,
            is_behind: false,
            last: 0,
            to,
        })
    }

    /// Waits until there may be another event, for 4.5 s at most. Cancel safe.
    pub(crate) async fn wait(&mut self) -> Result<(), Trouble> {
        let after = self.position.unwrap_or(0).max(self.last);
        self.reader.read((after, u64::MAX), 1).await.map(drop)
    }

    /// Reads a page of events, and adds the jobs. Cancel safe: it may be carried out or not.
    pub(crate) async fn step(&mut self) -> Result<Step, Trouble> {
        if self.is_behind && self.is_ahead().await? {
            return Ok(Step::Ahead);
        }
        let Some(after) = self.position else {
            return self.find_place().await;
        };
        let follow = Follow {
            name: &self.to.name,
            since: self.to.since,
            after,
            number: self.number,
            limit: BATCH_JOBS,
            bytes: BATCH_BYTES,
        };
        let page = match self.topic.call(&follow).await? {
            Followed::Page(page) => page,
            Followed::Gone => return self.detach().await,
        };
        let Page {
            missed,
            last,
            ref events,
            ..
        } = page;
        self.last = last;
        let Some(end) = events.last() else {
            self.is_behind = false;
            return Ok(Step::Even { missed });
        };
        let (upto, number) = (end.position, end.number);
        let Some((positions, jobs)) = wanted(&page) else {
            return Ok(Step::Unreadable);
        };
        self.is_behind = upto < last;
        let fed = self.feed(after, upto, &positions, &jobs).await?;
        match fed {
            Fed::Done { now, .. } => {
                self.number = if now == Some(upto) { number } else { 0 };
                self.position = now;
            }
            // It stands elsewhere, or the subscription was removed.
            Fed::Behind | Fed::Full => self.position = None,
        }
        Ok(Step::More { missed })
    }

    async fn feed(
        &self,
        after: u64,
        upto: u64,
        positions: &[u64],
        jobs: &[NewJob],
    ) -> Result<Fed, Trouble> {
        let token = incarnation();
        let store = &self.queue.inner.store;
        let feed = Feed {
            source: &self.source,
            positions,
            after: Some(after),
            upto: Some(upto),
            token: &token,
            most: SOURCES,
            jobs: &jobs.iter().collect::<Vec<_>>(),
        };
        store.call(&feed).await
    }

    /// Whether the queue has enough to do.
    async fn is_ahead(&self) -> Result<bool, Trouble> {
        let counted = self.queue.inner.store.call(&Counts).await?;
        let states = ["waiting", "blocked", "delayed"];
        let waiting: u64 = states.iter().map(|state| counted.jobs(state)).sum();
        Ok(waiting >= AHEAD_MAX)
    }

    /// Asks where the queue stands. A queue that has forgotten it is put where the topic has last seen it.
    async fn find_place(&mut self) -> Result<Step, Trouble> {
        let (worker, hold_ms) = (None, 0);
        let ask = Subscribed { worker, hold_ms };
        let all = self.queue.inner.store.call(&ask).await?;
        let is_this = |to: &&To| (&to.topic, to.since) == (&self.to.topic, self.to.since);
        let Some(this) = all.iter().find(is_this) else {
            return Ok(Step::Gone);
        };
        (self.position, self.number) = (this.position, 0);
        if self.position.is_some() {
            return Ok(Step::More { missed: 0 });
        }
        let known = self.topic.call(&AskTopic).await?.subscriptions;
        let known = known.into_iter().find(|it| it.since == self.to.since);
        self.attach(None).await?;
        let Some(known) = known else {
            return Ok(Step::Gone);
        };
        self.attach(Some(known.position)).await?;
        self.position = Some(known.position);
        Ok(Step::More { missed: 0 })
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

/// The events of a page that the subscription wants, as jobs, each with its position; `None` if one of them cannot be read here.
fn wanted(page: &Page) -> Option<(Vec<u64>, Vec<NewJob>)> {
    let wants = Wants::decode(&page.wants)?;
    let (mut positions, mut jobs) = (Vec::new(), Vec::new());
    for Event {
        position, bytes, ..
    } in &page.events
    {
        let Some(Message::Job(mut job)) = Message::decode(bytes) else {
            return None;
        };
        let record = job.record.read().ok()?;
        if wants.filter.wants(&record.name, &record.headers) {
            if let Some(key) = wants.order_key(&record.headers) {
                job.record = job.record.ordered_by(&key);
            }
            positions.push(*position);
            jobs.push(job);
        }
    }
    Some((positions, jobs))
}
