//! Group commit: one task per queue sends what has piled up while its previous call was under
//! way. One caller pays one round trip; a thousand share a few.
//!
//! Who owns what: the task owns the lane, its numbering and its connection. Submissions
//! (`producer/submission.rs`) are shared with their callers.
//!
//! A call that may have run is repeated under the same number until its answer is known, so a
//! lane is never more than one call ahead of what it knows. A caller that is dropped, or whose
//! time is up, changes nothing for the others of its batch.
//!
//! A task dies with the runtime that it was started on, which the handles of a queue may outlive.
//! Then whatever it held is decided at once, and the next submission starts another task, on the
//! runtime of its caller.

mod submission;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use crate::error::{Error, ErrorKind};
use crate::id::incarnation;
use crate::name::QueueName;
use crate::policy::pauses::Pauses;
use crate::redis::trouble::{Refusal, Trouble};
use crate::store::backend::{ANSWER_PATIENCE, Line, Store};
use crate::store::enqueue::{Enqueue, Enqueued, NewJob};
use crate::store::{BATCH_BYTES, BATCH_JOBS};

use submission::Fate;
pub(crate) use submission::{Submission, split};

/// Submissions that may queue up; further callers wait, which is back-pressure.
const BACKLOG: usize = 1024;
/// After this a call whose fate is unknown is given up, well before Redis forgets its lane.
pub(crate) const ABANDON_AFTER: Duration = Duration::from_secs(30 * 60);
const REGISTER_EVERY: Duration = Duration::from_secs(10 * 60);
const REGISTER_RETRY: Duration = Duration::from_secs(10);
/// Before a call is repeated.
const PAUSES: Pauses = Pauses::between(Duration::from_millis(10), Duration::from_secs(1));

/// The sending side, shared by all handles of a queue.
pub(crate) struct Producer {
    store: Store,
    queue: QueueName,
    /// That of the last task that was started.
    inbox: Mutex<Option<Inbox>>,
}

/// Where a task takes submissions.
#[derive(Clone)]
struct Inbox {
    sender: mpsc::Sender<Arc<Submission>>,
    /// Cancelled when the task is gone.
    ended: CancellationToken,
}

impl Producer {
    pub(crate) fn new(store: Store, queue: QueueName) -> Self {
        Self {
            store,
            queue,
            inbox: Mutex::default(),
        }
    }

    /// Hands a submission to the task, unless it has been, and waits for its fate, at most for
    /// `limit`. An error says that it is still under way.
    ///
    /// Cancel safe: a submission that was handed over is sent whether or not anybody waits.
    pub(crate) async fn submit(
        &self,
        submission: &Arc<Submission>,
        limit: Duration,
    ) -> Result<Fate, Error> {
        let waiting = async {
            if submission.is_given() || self.hand_over(submission).await {
                return submission.decided().await.clone();
            }
            let why = "the runtime is shutting down".to_owned();
            Fate::NotSent { why }
        };
        match timeout(limit, waiting).await {
            Ok(fate) => Ok(fate),
            Err(_) => self.out_of_time(submission, limit),
        }
    }

    fn out_of_time(&self, submission: &Submission, limit: Duration) -> Result<Fate, Error> {
        let address = self.store.address();
        if submission.withdraw() {
            let why = format!("Redis at {address} took nothing for {limit:?}");
            return Ok(Fate::NotSent { why });
        }
        if let Some(fate) = submission.fate() {
            return Ok(fate.clone());
        }
        Err(Error::new(
            ErrorKind::Unknown,
            format!(
                "enqueueing into `{}` was sent to Redis at {address} and no answer came within \
                 {limit:?}; the job may be there; await the same request again to find out",
                self.queue,
            ),
        ))
    }

    /// Whether there is a task to take it. A task may end while it is waited for; the one that
    /// is started then ends only with the runtime of the caller.
    async fn hand_over(&self, submission: &Arc<Submission>) -> bool {
        for _ in 0..2 {
            let inbox = self.inbox();
            if let Ok(place) = inbox.sender.reserve().await {
                submission.give_to(inbox.ended);
                place.send(Arc::clone(submission));
                return true;
            }
        }
        false
    }

    /// That of the running task; starts one if there is none.
    fn inbox(&self) -> Inbox {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        match &*inbox {
            Some(open) if !open.sender.is_closed() => open.clone(),
            _ => inbox.insert(self.start()).clone(),
        }
    }

    fn start(&self) -> Inbox {
        let (sender, inbox) = mpsc::channel(BACKLOG);
        let ended = CancellationToken::new();
        let task = Task {
            line: self.store.line(ANSWER_PATIENCE),
            register_at: Some(Instant::now()),
            queue: self.queue.clone(),
            lane: incarnation(),
            call: 0,
            inbox,
            left_over: None,
            _ending: ended.clone().drop_guard(),
        };
        tokio::spawn(task.run());
        Inbox { sender, ended }
    }
}

/// The task. It ends when all handles of the queue are gone and everything is decided.
struct Task {
    line: Line,
    /// When to see to it that the queue is on the list of queues.
    register_at: Option<Instant>,
    queue: QueueName,
    lane: String,
    call: u64,
    inbox: mpsc::Receiver<Arc<Submission>>,
    /// What did not fit into the last batch.
    left_over: Option<Arc<Submission>>,
    /// Tells those who wait, however it ends.
    _ending: DropGuard,
}

impl Task {
    async fn run(mut self) {
        while let Some(batch) = self.next_batch().await {
            self.call += 1;
            self.commit(batch).await;
            self.register().await;
        }
    }

    /// Everything that has piled up, as far as it fits into one call.
    async fn next_batch(&mut self) -> Option<Vec<Arc<Submission>>> {
        let first = match self.left_over.take() {
            Some(first) => first,
            None => self.inbox.recv().await?,
        };
        let (mut jobs, mut bytes) = (first.jobs.len(), first.bytes);
        let mut batch = vec![first];
        while let Ok(next) = self.inbox.try_recv() {
            jobs += next.jobs.len();
            bytes += next.bytes;
            if jobs > BATCH_JOBS || bytes > BATCH_BYTES {
                self.left_over = Some(next);
                break;
            }
            batch.push(next);
        }
        Some(batch)
    }

    /// Sends one batch until its fate is known.
    async fn commit(&mut self, mut batch: Vec<Arc<Submission>>) {
        let started = Instant::now();
        let mut may_have_run = false;
        let mut pauses = PAUSES;
        loop {
            let trouble = match self.send(&mut batch, may_have_run).await {
                Ok(None) => return,
                Ok(Some(Enqueued::Added { there })) => return share_out(&batch, &there),
                Ok(Some(Enqueued::Superseded)) => {
                    let why = format!("lane {} was used by another call", self.lane);
                    return self.give_up(&batch, &why);
                }
                Err(trouble) => trouble,
            };
            match &trouble {
                Trouble::Garbled(why) => return self.give_up(&batch, why),
                Trouble::Refused(Refusal::NoWrites | Refusal::NotAllowed, _) if !may_have_run => {
                    return refuse(&batch, &trouble);
                }
                _ => may_have_run |= trouble.may_have_run(),
            }
            if !may_have_run {
                for submission in &batch {
                    submission.call_back();
                }
            } else if started.elapsed() > ABANDON_AFTER {
                return self.give_up(&batch, "no answer for half an hour");
            }
            warn!(queue = %self.queue, submissions = batch.len(), %trouble, "enqueueing is held up");
            sleep(pauses.next(fastrand::f64())).await;
        }
    }

    /// One try. `None`: everything was withdrawn before it.
    async fn send(
        &mut self,
        batch: &mut Vec<Arc<Submission>>,
        may_have_run: bool,
    ) -> Result<Option<Enqueued>, Trouble> {
        // As long as there is no connection, a submission can still be withdrawn.
        self.line.connect().await?;
        if !may_have_run {
            batch.retain(|submission| submission.begin());
            if batch.is_empty() {
                return Ok(None);
            }
        }
        let jobs: Vec<&NewJob> = batch.iter().flat_map(|s| &s.jobs).collect();
        let verb = Enqueue {
            lane: &self.lane,
            call: self.call,
            jobs: &jobs,
        };
        self.line.call(&verb).await.map(Some)
    }

    /// Leaves the lane behind, so that a late repeat of this call can do no harm.
    fn give_up(&mut self, batch: &[Arc<Submission>], why: &str) {
        self.lane = incarnation();
        for submission in batch {
            let why = why.to_owned();
            submission.decide(Fate::Unknowable { why });
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

fn refuse(batch: &[Arc<Submission>], trouble: &Trouble) {
    for submission in batch {
        submission.decide(Fate::NotAdded {
            why: trouble.to_string(),
        });
    }
}

/// Gives each submission its part of the answer. `there` is in ascending order.
fn share_out(batch: &[Arc<Submission>], there: &[usize]) {
    let mut start = 0;
    let mut there = there.iter().copied().peekable();
    for submission in batch {
        let end = start + submission.jobs.len();
        let mut mine = Vec::new();
        while let Some(position) = there.next_if(|position| *position < end) {
            mine.push(position - start);
        }
        submission.decide(Fate::Added { there: mine });
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::submission::tests::job;
    use super::*;

    #[test]
    fn answers_are_shared_out_by_position() {
        let batch = [3, 1, 2].map(|n| Submission::new((0..n).map(|_| job(1)).collect()));
        share_out(&batch, &[0, 2, 3, 5]);
        let there = batch.map(|s| match s.fate() {
            Some(Fate::Added { there }) => there.clone(),
            other => unreachable!("{other:?}"),
        });
        assert_eq!(there, [vec![0, 2], vec![0], vec![1]]);
    }
}
