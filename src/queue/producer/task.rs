//! The task that sends for a queue: up to two calls at once, on one connection.
//!
//! Both go through one connection, in order: what was handed over first is stored first. The
//! second call keeps Redis busy while the answer of the first one is on its way, and costs a
//! call; so it waits until it has half as many jobs as the first, or a full batch. A lone
//! caller's job goes out at once, whatever is under way; a thousand callers share a few calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::task::yield_now;

use super::TaskInbox;
use super::batch::{Before, CallProgress, Course};
use super::inbox::Inbox;
use super::sender::Sender;
use super::submission::Given;
use crate::error::ErrorKind;
use crate::name::QueueName;
use crate::store::BATCH_BYTES;
use crate::store::backend::{ANSWER_PATIENCE, Store, Trouble};

/// Calls that may be under way at once: one, and one behind it.
const LANES: usize = 2;
/// A second call is worth its price when it has this part of the jobs of the first.
const SECOND_CALL_FOR: usize = 2;
const REGISTER_EVERY: Duration = Duration::from_secs(10 * 60);
const REGISTER_RETRY: Duration = Duration::from_secs(10);

/// It ends when all handles of the queue are gone and everything is decided.
pub(super) struct ProducerTask {
    inbox: TaskInbox,
    idle: Vec<Sender>,
    /// The calls under way.
    courses: Vec<Before>,
    jobs_under_way: usize,
    /// How many bytes fit into one call.
    limit: usize,
    registration: Registration,
}

/// When to see to it that the queue is on the list of queues; the list may have been lost.
pub(super) struct Registration {
    /// `None` while a sender does that.
    at: Option<Instant>,
}

impl Default for Registration {
    fn default() -> Self {
        let at = Some(Instant::now());
        Self { at }
    }
}

impl Registration {
    /// Whether it is to be done; if it is, not again before that is [noted](Self::note).
    pub(super) fn is_due(&mut self) -> bool {
        self.at.take_if(|at| *at <= Instant::now()).is_some()
    }

    pub(super) fn note(&mut self, registered: Result<(), Trouble>) {
        let wait = match registered {
            // This user may not do that; trying again does not help.
            Err(Trouble::Refused(refusal, _)) if refusal.kind() == ErrorKind::Unsuitable => return,
            Ok(()) => REGISTER_EVERY,
            Err(_) => REGISTER_RETRY,
        };
        self.at = Some(Instant::now() + wait);
    }
}

/// A call that was answered.
struct Done {
    sender: Sender,
    jobs: usize,
    /// Whether the queue was put on the list of queues, if the sender was asked to do that.
    registered: Option<Result<(), Trouble>>,
}

impl ProducerTask {
    pub(super) fn new(store: &Store, queue: &QueueName, inbox: Arc<Inbox>) -> Self {
        let connection = store.connection(ANSWER_PATIENCE);
        Self {
            idle: (0..LANES)
                .map(|_| Sender::new(queue, &connection, &inbox))
                .collect(),
            inbox: TaskInbox(inbox),
            courses: Vec::with_capacity(LANES),
            jobs_under_way: 0,
            limit: BATCH_BYTES,
            registration: Registration::default(),
        }
    }

    pub(super) async fn run(mut self) {
        let mut calls = FuturesUnordered::new();
        let mut more = true;
        loop {
            let wanted = self.jobs_under_way.div_ceil(SECOND_CALL_FOR).max(1);
            tokio::select! {
                // A call is sent when it is first polled, so that comes before the next one.
                biased;
                Some(done) = calls.next() => {
                    if self.end_call(done) > 1 {
                        // Let the callers that were told go on first: their next jobs then go in one call.
                        yield_now().await;
                    }
                }
                batch = self.inbox.0.batch(wanted), if more && !self.idle.is_empty() => {
                    match (batch, self.idle.pop()) {
                        (Some(batch), Some(sender)) => calls.push(self.begin_call(sender, batch)),
                        _ => more = false,
                    }
                }
                else => return,
            }
        }
    }

    fn begin_call(
        &mut self,
        sender: Sender,
        batch: Vec<Given>,
    ) -> impl Future<Output = Done> + use<> {
        let jobs = batch.iter().map(|given| given.jobs.len()).sum();
        self.jobs_under_way += jobs;
        let (course, seen) = watch::channel(CallProgress::Waiting);
        self.courses.retain(|course| course.has_changed().is_ok());
        let before = self.courses.last().cloned();
        self.courses.push(seen);
        let is_due = self.registration.is_due();
        commit(sender, batch, jobs, course, before, is_due)
    }

    /// Notes the end of a call; returns how many jobs it had.
    fn end_call(&mut self, done: Done) -> usize {
        let bytes = done.sender.bytes();
        if bytes != self.limit {
            self.limit = bytes;
            self.inbox.0.set_limit(bytes);
        }
        self.idle.push(done.sender);
        self.jobs_under_way -= done.jobs;
        if let Some(registered) = done.registered {
            self.registration.note(registered);
        }
        done.jobs
    }
}

async fn commit(
    mut sender: Sender,
    batch: Vec<Given>,
    jobs: usize,
    course: Course,
    before: Option<Before>,
    is_to_register: bool,
) -> Done {
    // `commit` drops `course`, so the next call does not wait for the registration below.
    sender.commit(batch, course, before).await;
    let registered = match is_to_register || sender.is_unlisted() {
        true => Some(sender.register().await),
        false => None,
    };
    Done {
        sender,
        jobs,
        registered,
    }
}
