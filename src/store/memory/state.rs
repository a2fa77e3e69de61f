//! What a queue holds. A job is one value, and it is in one place: `put` is the only way to
//! move it, and `forget` the only way to end it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::id::JobId;
use crate::memory::alerts;
use crate::memory::attempts::History;
use crate::memory::breaker;
use crate::memory::delayed::Room;
use crate::memory::emit::{Emitted, Log};
use crate::memory::gate::Gates;
use crate::memory::lease::Claim;
use crate::memory::messages::{Drafts, FedTo};
use crate::memory::once::LastCall;
use crate::memory::recover::Watch;
use crate::memory::schedules::Kept;
use crate::memory::subscribed::SubscribedTo;
use crate::memory::tally::Counted;
use crate::memory::topic;
use crate::memory::unhandled::Name;
use crate::memory::unique::Owner;
use crate::memory::workers::Standing;

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Collection {
    Waiting,
    Suspects,
    /// Handed back for want of a handler of their name.
    Unhandled,
    /// Held back by their gates.
    Blocked,
    Delayed,
    Active,
    Completed,
    /// They have ended, too, and are kept apart from completed jobs that are capped in number.
    Kept,
    Dead,
    /// In none: its list was taken away. In memory only tests do that.
    Lost,
}

impl Collection {
    /// Whether the jobs in it have not ended, and do not run.
    pub(crate) fn waits(self) -> bool {
        matches!(
            self,
            Self::Waiting | Self::Suspects | Self::Unhandled | Self::Blocked | Self::Delayed
        )
    }
}

/// Everything that is known of a job.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) record: Vec<u8>,
    /// A payload that is too large for the record.
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) collection: Collection,
    /// Its place there: a place in line, or a moment in ms. In `Kept` in half milliseconds, in
    /// `Delayed` within the line that the job will get in.
    pub(crate) score: i64,
    /// The place in its record: where it was enqueued.
    pub(crate) given: i64,
    /// The place that it was given since.
    pub(crate) moved: Option<i64>,
    /// While it is active.
    pub(crate) claim: Option<Claim>,
    /// How often its worker died.
    pub(crate) stalls: u32,
    /// Once anything went wrong with it.
    pub(crate) history: Option<History>,
    /// What is stored as its outcome if its attempt does not complete it: it is to be cancelled.
    pub(crate) request: Option<Vec<u8>>,
    pub(crate) outcome: Option<Vec<u8>>,
    pub(crate) progress: Option<Vec<u8>>,
    /// Its name, while it is among the unhandled.
    pub(crate) name: Option<Name>,
}

/// The place that a job will get when it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Later {
    pub(crate) priority: u16,
    pub(crate) front: bool,
}

impl Later {
    pub(crate) fn back(priority: u16) -> Self {
        let front = false;
        Self { priority, front }
    }
}

/// Why nothing is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// An operator has paused the queue, at this moment (ms).
    Since(u64),
    /// The queue is held (ms).
    Until { until_ms: u64, since_ms: u64 },
}

impl Pause {
    /// As it is stored.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Since(ms) => ms.to_string(),
            Self::Until { until_ms, since_ms } => format!("until {until_ms} {since_ms}"),
        }
    }
}

/// A moment as a score.
pub(crate) fn moment(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[derive(Default)]
pub(crate) struct State {
    /// The moment of the call under way.
    pub(crate) now_us: u64,
    pub(crate) jobs: HashMap<JobId, Job>,
    places: BTreeMap<Collection, BTreeSet<(i64, JobId)>>,
    /// Until when (ms) a caller waits for the outcome of a job.
    pub(crate) awaited: HashMap<JobId, u64>,
    pub(crate) calls: BTreeMap<String, LastCall>,
    /// Nothing is claimed; a hold may be over by now.
    pub(crate) paused: Option<Pause>,
    /// The names whose jobs are paused, as text; empty for none.
    pub(crate) paused_names: String,
    pub(crate) sequence: Option<i64>,
    pub(crate) front: Option<i64>,
    pub(crate) fence: Option<u64>,
    /// When the next delayed job is due, or earlier.
    pub(crate) due: Option<u64>,
    /// Places that are kept free for what is due, by the moment until when that is.
    pub(crate) rooms: BTreeMap<u64, Room>,
    /// When the next delayed job is due, and the worker that keeps the timer for it.
    pub(crate) timer: Option<(u64, String)>,
    pub(crate) schedules: BTreeMap<String, Kept>,
    /// What is set, and what code declared last: the texts that are stored, empty for nothing.
    pub(crate) settings: String,
    pub(crate) declared: String,
    /// What has started lately, as text, if a rate is set.
    pub(crate) started: String,
    /// Limits held back unhandled jobs from a worker that has handlers for them.
    pub(crate) offers_held: bool,
    /// The news of unhandled jobs: another number whenever there may be more, 0 if there are none.
    pub(crate) unhandled: Option<u64>,
    /// How many dead letters stand before those at which the next call that drops some looks.
    pub(crate) dead_from: usize,
    /// What holds jobs back.
    pub(crate) gates: Gates,
    /// Which jobs have unique keys.
    pub(crate) unique: BTreeMap<String, Owner>,
    /// By unique key: the job that waits until the job with this key has ended.
    pub(crate) successors: BTreeMap<String, JobId>,
    /// When (ms) jobs expire that have not started.
    pub(crate) expires: HashMap<JobId, u64>,
    /// When (ms) a worker last asked for the jobs of a name that was handed back.
    pub(crate) asked: BTreeMap<String, u64>,
    /// The last revision of a schedule.
    pub(crate) revision: u64,
    /// The next tick of all schedules (ms), and the worker that sees to it, if one does.
    pub(crate) tick: Option<(u64, Option<String>)>,
    /// What is known of when leases can be judged, once a worker has looked.
    pub(crate) recovery: Option<Watch>,
    /// The wake-up token: when there will be work.
    pub(crate) wake: Option<u64>,
    /// What workers have said of themselves, by their ids.
    pub(crate) workers: BTreeMap<String, Standing>,
    /// And what they have counted.
    pub(crate) counted: Counted,
    pub(crate) totals: BTreeMap<&'static str, u64>,
    pub(crate) events: Log,
    pub(crate) finished: Log,
    /// Announcements of requests to cancel jobs that run.
    pub(crate) cancels: Log,
    pub(crate) alerts: alerts::Kept,
    /// What operators did.
    pub(crate) audit: Log,
    pub(crate) event_size: Option<f64>,
    /// Messages for other queues, by target and position; the last position that was given; and whether the call under way has
    /// put something there.
    pub(crate) outbox: BTreeMap<(String, u64), Vec<u8>>,
    pub(crate) sent: u64,
    pub(crate) has_sent: bool,
    /// Jobs of this queue have, or had, parents in other queues.
    pub(crate) far: bool,
    /// By queue: the last position that was taken from its outbox.
    pub(crate) sources: BTreeMap<String, u64>,
    /// By log: how far the queue was fed.
    pub(crate) fed: BTreeMap<String, FedTo>,
    pub(crate) drafts: Drafts,
    /// The log of a topic, if this is one.
    pub(crate) topic: topic::Kept,
    /// The topics to which the queue is subscribed.
    pub(crate) subscribed: BTreeMap<String, SubscribedTo>,
    /// How a breaker stands, if this is one and it was ever used.
    pub(crate) breaker: Option<breaker::Kept>,
    /// What the call under way has to tell.
    pub(crate) emitted: Emitted,
}

impl State {
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_us / 1_000
    }

    /// Adds a job that is not there.
    pub(crate) fn insert(&mut self, id: JobId, job: Job) {
        let place = (job.score, id.clone());
        self.places.entry(job.collection).or_default().insert(place);
        self.jobs.insert(id, job);
    }

    /// Moves a job; what belongs to where it was is left behind.
    pub(crate) fn put(&mut self, id: &JobId, collection: Collection, score: i64) {
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        let from = (job.score, id.clone());
        if let Some(places) = self.places.get_mut(&job.collection) {
            places.remove(&from);
        }
        (job.collection, job.score) = (collection, score);
        if collection != Collection::Active {
            job.claim = None;
        }
        if collection.waits() {
            // What the last attempt said is not true of the next one.
            job.progress = None;
        }
        let place = (score, id.clone());
        self.places.entry(collection).or_default().insert(place);
    }

    /// A list is taken away: its jobs are in no list then.
    #[cfg(test)]
    pub(crate) fn lose(&mut self, collection: Collection) {
        let lost = self.places.remove(&collection).unwrap_or_default();
        for (_, id) in &lost {
            if let Some(job) = self.jobs.get_mut(id) {
                job.collection = Collection::Lost;
            }
        }
        self.places
            .entry(Collection::Lost)
            .or_default()
            .extend(lost);
        if collection == Collection::Delayed {
            self.rooms.clear();
        }
    }

    /// Ends everything that is known of these jobs.
    pub(crate) fn forget<'a>(&mut self, ids: impl IntoIterator<Item = &'a JobId>) {
        for id in ids {
            let Some(job) = self.jobs.remove(id) else {
                continue;
            };
            if let Some(places) = self.places.get_mut(&job.collection) {
                places.remove(&(job.score, id.clone()));
            }
        }
    }

    pub(crate) fn collection_of(&self, id: &JobId) -> Option<Collection> {
        Some(self.jobs.get(id)?.collection)
    }

    pub(crate) fn len(&self, collection: Collection) -> usize {
        self.places.get(&collection).map_or(0, BTreeSet::len)
    }

    /// Those in a collection, in order.
    pub(crate) fn all(
        &self,
        collection: Collection,
    ) -> impl DoubleEndedIterator<Item = &(i64, JobId)> {
        self.places.get(&collection).into_iter().flatten()
    }

    /// Up to `limit` of those whose score is at most `until`, in order.
    pub(crate) fn up_to(&self, collection: Collection, until: i64, limit: usize) -> Vec<JobId> {
        self.all(collection)
            .take_while(|(score, _)| *score <= until)
            .take(limit)
            .map(|(_, id)| id.clone())
            .collect()
    }

    /// Says that the last open job is gone, if it is.
    pub(crate) fn say_if_drained(&mut self) {
        let is_open = |(collection, places): (&Collection, &BTreeSet<_>)| {
            (collection.waits() || *collection == Collection::Active) && !places.is_empty()
        };
        if !self.places.iter().any(is_open) {
            self.emit_value("drained", b"");
        }
    }

    /// Why nothing is claimed now, if that is so.
    pub(crate) fn pause(&self) -> Option<Pause> {
        let now_ms = self.now_ms();
        self.paused.filter(|pause| match pause {
            Pause::Since(_) => true,
            // If the clock was set back behind its begin, nobody knows how much of it is left.
            Pause::Until { until_ms, since_ms } => (*since_ms..*until_ms).contains(&now_ms),
        })
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.pause().is_some()
    }

    pub(crate) fn count(&mut self, what: &'static str, n: usize) {
        if n > 0 {
            *self.totals.entry(what).or_default() += n as u64;
        }
    }

    /// An earlier moment replaces a later one.
    pub(crate) fn arm(&mut self, at_ms: u64) {
        self.wake = Some(self.wake.map_or(at_ms, |known| known.min(at_ms)));
    }
}
