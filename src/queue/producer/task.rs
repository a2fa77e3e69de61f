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

use super::inbox::Inbox;
use super::lane::{Before, Course, Lane, Progress};
use super::submission::Given;
use crate::name::QueueName;
use crate::redis::trouble::{Refusal, Trouble};
use crate::store::backend::{ANSWER_PATIENCE, Line, Store};

/// Calls that may be under way at once.
const LANES: usize = 2;
/// A second call is worth its price when it has this part of the jobs of the first.
const SECOND_CALL_FOR: usize = 2;
const REGISTER_EVERY: Duration = Duration::from_secs(10 * 60);
const REGISTER_RETRY: Duration = Duration::from_secs(10);

/// It ends when all handles of the queue are gone and everything is decided.
pub(super) struct Task {
    inbox: TaskInbox,
    line: Line,
    idle: Vec<Lane>,
    /// When to see to it that the queue is on the list of queues.
    register_at: Option<Instant>,
}

/// Closes it, however the task ends.
struct TaskInbox(Arc<Inbox>);

impl Drop for TaskInbox {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A call that was answered.
struct Done {
    lane: Lane,
    jobs: usize,
}

impl Task {
    pub(super) fn new(store: &Store, queue: &QueueName, inbox: Arc<Inbox>) -> Self {
        let line = store.line(ANSWER_PATIENCE);
        Self {
            inbox: TaskInbox(inbox),
            idle: (0..LANES).map(|_| Lane::new(queue, &line)).collect(),
            line,
            register_at: Some(Instant::now()),
        }
    }

    pub(super) async fn run(mut self) {
        let mut calls = FuturesUnordered::new();
        let mut jobs_under_way = 0_usize;
        let mut last_call = None;
        let mut more = true;
        loop {
            let wanted = jobs_under_way.div_ceil(SECOND_CALL_FOR).max(1);
            tokio::select! {
                // A call is sent when it is first polled, so that comes before the next one.
                biased;
                Some(Done { lane, jobs }) = calls.next() => {
                    self.idle.push(lane);
                    jobs_under_way -= jobs;
                    self.register().await;
                    if jobs > 1 {
                        // Those who were told go on first: what they hand over goes together.
                        yield_now().await;
                    }
                }
                batch = self.inbox.0.batch(wanted), if more && !self.idle.is_empty() => {
                    let Some(batch) = batch else {
                        more = false;
                        continue;
                    };
                    let Some(lane) = self.idle.pop() else { continue };
                    jobs_under_way += jobs_in(&batch);
                    let (course, seen) = watch::channel(Progress::Smooth);
                    let before = last_call.replace(seen);
                    calls.push(commit(lane, batch, course, before));
                }
                else => return,
            }
        }
    }

    /// Puts the queue on the list of queues, now and then: the list may have been lost.
    async fn register(&mut self) {
        if self.register_at.is_none_or(|at| Instant::now() < at) {
            return;
        }
        let wait = match self.line.register().await {
            Ok(()) => REGISTER_EVERY,
            Err(Trouble::Refused(Refusal::NotAllowed, _)) => {
                self.register_at = None;
                return;
            }
            Err(_) => REGISTER_RETRY,
        };
        self.register_at = Some(Instant::now() + wait);
    }
}

async fn commit(mut lane: Lane, batch: Vec<Given>, course: Course, before: Option<Before>) -> Done {
    let jobs = jobs_in(&batch);
    lane.commit(batch, course, before).await;
    Done { lane, jobs }
}

fn jobs_in(batch: &[Given]) -> usize {
    batch.iter().map(|given| given.jobs.len()).sum()
}
