//! Group commit: one task per queue sends what has piled up while its previous call was under
//! way. One caller pays one round trip; a thousand share a few.
//!
//! Who owns what: the task owns the lane, its numbering and its connection. A submission is
//! shared between its callers and the task; its phase says who may decide its fate:
//!
//! ```text
//! Waiting ──task──► Sent ──task──► Done
//!    │  ▲            │
//!    │  └──task──────┘   the call certainly did not run
//!    └─caller──► Withdrawn     (Waiting ──task──► Done as well: refused while connecting)
//! ```
//!
//! A call that may have run is repeated under the same number until its answer is known, so a
//! lane is never more than one call ahead of what it knows. A caller that is dropped, or whose
//! time is up, changes nothing for the others of its batch.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::error::{Error, ErrorKind};
use crate::id::{JobId, incarnation};
use crate::name::QueueName;
use crate::redis::trouble::{Refusal, Trouble};
use crate::store::backend::{Line, Store};
use crate::store::enqueue::{Enqueue, Enqueued, NewJob};
use crate::store::{BATCH_BYTES, BATCH_JOBS};

/// An answer that takes longer is asked for again, on a new connection.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);
/// Submissions that may queue up; further callers wait, which is back-pressure.
const BACKLOG: usize = 1024;
/// After this a call whose fate is unknown is given up, well before Redis forgets its lane.
pub(crate) const ABANDON_AFTER: Duration = Duration::from_secs(30 * 60);
const REGISTER_EVERY: Duration = Duration::from_secs(10 * 60);
const REGISTER_RETRY: Duration = Duration::from_secs(10);
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

const WAITING: u8 = 0;
const SENT: u8 = 1;
const WITHDRAWN: u8 = 2;
const DONE: u8 = 3;

/// Some jobs of one caller, at most a batch, that are added in one call.
pub(crate) struct Submission {
    jobs: Vec<NewJob>,
    bytes: usize,
    phase: AtomicU8,
    fate: OnceLock<Fate>,
    decided: Notify,
}

/// What became of a submission.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// Redis has the jobs. The positions of those whose id was there before.
    Added { there: Vec<usize> },
    /// It certainly was not added.
    NotAdded { why: String },
    /// Nobody knows, and nobody will find out.
    Unknowable { why: String },
}

impl Submission {
    pub(crate) fn new(jobs: Vec<NewJob>) -> Arc<Self> {
        Arc::new(Self {
            bytes: jobs.iter().map(NewJob::bytes).sum(),
            jobs,
            phase: AtomicU8::new(WAITING),
            fate: OnceLock::new(),
            decided: Notify::new(),
        })
    }

    /// The fate, once it is decided.
    pub(crate) fn fate(&self) -> Option<&Fate> {
        self.fate.get()
    }

    /// Waits for the fate. Cancel safe.
    async fn decided(&self) -> &Fate {
        loop {
            let mut decided = std::pin::pin!(self.decided.notified());
            decided.as_mut().enable();
            if let Some(fate) = self.fate.get() {
                return fate;
            }
            decided.await;
        }
    }

    fn decide(&self, fate: Fate) {
        self.phase.store(DONE, Ordering::Release);
        // Only the task decides, once.
        let _ = self.fate.set(fate);
        self.decided.notify_waiters();
    }

    fn step(&self, from: u8, to: u8) -> bool {
        self.phase
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &JobId> {
        self.jobs.iter().map(|job| &job.id)
    }

    /// What errors about the whole submission name.
    pub(crate) fn first_id(&self) -> &JobId {
        &self.jobs[0].id
    }

    /// The same jobs once more, undecided.
    pub(crate) fn again(&self) -> Arc<Self> {
        Self::new(self.jobs.clone())
    }

    /// Takes the submission back, unless it has been sent: then nobody can.
    pub(crate) fn withdraw(&self) -> bool {
        self.step(WAITING, WITHDRAWN)
    }
}

/// The sending side, shared by all handles of a queue.
pub(crate) struct Producer {
    store: Store,
    queue: QueueName,
    sender: Mutex<Option<mpsc::Sender<Arc<Submission>>>>,
}

impl Producer {
    pub(crate) fn new(store: Store, queue: QueueName) -> Self {
        Self {
            store,
            queue,
            sender: Mutex::default(),
        }
    }

    /// Hands a submission to the task and waits for its fate, at most for `limit`.
    ///
    /// Cancel safe: a submission that was handed over is sent whether or not anybody waits.
    pub(crate) async fn submit(
        &self,
        submission: &Arc<Submission>,
        limit: Duration,
    ) -> Result<Fate, Error> {
        let waiting = async {
            let handed_over = self.sender().send(Arc::clone(submission)).await;
            if handed_over.is_err() {
                // The runtime that ran the task is being shut down.
                return None;
            }
            Some(submission.decided().await.clone())
        };
        match timeout(limit, waiting).await {
            Ok(Some(fate)) => Ok(fate),
            Ok(None) => Err(self.not_sent(submission, "the runtime is shutting down".into())),
            Err(_) => self.out_of_time(submission, limit),
        }
    }

    /// Waits once more for a submission whose fate was unknown.
    pub(crate) async fn resume(
        &self,
        submission: &Arc<Submission>,
        limit: Duration,
    ) -> Result<Fate, Error> {
        match timeout(limit, submission.decided()).await {
            Ok(fate) => Ok(fate.clone()),
            Err(_) => self.out_of_time(submission, limit),
        }
    }

    fn out_of_time(&self, submission: &Submission, limit: Duration) -> Result<Fate, Error> {
        if submission.withdraw() {
            let why = format!(
                "Redis at {} took nothing for {limit:?}",
                self.store.address()
            );
            return Err(self.not_sent(submission, why));
        }
        if let Some(fate) = submission.fate() {
            return Ok(fate.clone());
        }
        Err(Error::new(
            ErrorKind::Unknown,
            format!(
                "enqueueing into `{}` was sent to Redis at {} and no answer came within \
                 {limit:?}; the job may be there; await the same request again to find out",
                self.queue,
                self.store.address()
            ),
        ))
    }

    fn not_sent(&self, submission: &Submission, why: String) -> Error {
        submission.phase.store(WITHDRAWN, Ordering::Release);
        Error::new(
            ErrorKind::NotSent,
            format!(
                "not enqueued into `{}`: {why}; it is safe to try again",
                self.queue
            ),
        )
    }

    fn sender(&self) -> mpsc::Sender<Arc<Submission>> {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        match &*sender {
            Some(open) if !open.is_closed() => open.clone(),
            _ => {
                let (open, inbox) = mpsc::channel(BACKLOG);
                let task = Task {
                    line: self.store.line(ANSWER_PATIENCE),
                    register_at: Some(Instant::now()),
                    queue: self.queue.clone(),
                    lane: incarnation(),
                    call: 0,
                    inbox,
                    left_over: None,
                };
                tokio::spawn(task.run());
                *sender = Some(open.clone());
                open
            }
        }
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
    async fn commit(&mut self, batch: Vec<Arc<Submission>>) {
        let mut batch = Batch(batch);
        let started = Instant::now();
        let mut may_have_run = false;
        let mut pause = PAUSE_MIN;
        loop {
            let trouble = match self.send(&mut batch.0, may_have_run).await {
                Ok(None) => return,
                Ok(Some(Enqueued::Added { there })) => return share_out(&batch.0, &there),
                Ok(Some(Enqueued::Superseded)) => {
                    let why = format!("lane {} was used by another call", self.lane);
                    return self.give_up(&batch.0, &why);
                }
                Err(trouble) => trouble,
            };
            match &trouble {
                Trouble::Garbled(why) => return self.give_up(&batch.0, why),
                Trouble::Refused(Refusal::NoWrites | Refusal::NotAllowed, _) if !may_have_run => {
                    return refuse(&batch.0, &trouble);
                }
                _ => may_have_run |= trouble.may_have_run(),
            }
            if !may_have_run {
                for submission in &batch.0 {
                    submission.step(SENT, WAITING);
                }
            } else if started.elapsed() > ABANDON_AFTER {
                return self.give_up(&batch.0, "no answer for half an hour");
            }
            warn!(queue = %self.queue, submissions = batch.0.len(), %trouble, "enqueueing is held up");
            sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause = (pause * 2).min(PAUSE_MAX);
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
            batch.retain(|submission| submission.step(WAITING, SENT));
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

/// Submissions whose call is under way. If the task is dropped with its runtime, nobody will
/// ever learn what became of them, and their callers are told so.
struct Batch(Vec<Arc<Submission>>);

impl Drop for Batch {
    fn drop(&mut self) {
        for submission in &self.0 {
            if submission.phase.load(Ordering::Acquire) == SENT {
                let why = "the runtime that sent it was shut down".to_owned();
                submission.decide(Fate::Unknowable { why });
            }
        }
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

/// Splits jobs into submissions that each fit into one call, in order.
pub(crate) fn split(jobs: Vec<NewJob>) -> Vec<Arc<Submission>> {
    let mut submissions = Vec::with_capacity(jobs.len().div_ceil(BATCH_JOBS));
    let (mut part, mut bytes) = (Vec::new(), 0);
    for job in jobs {
        let size = job.bytes();
        if part.len() == BATCH_JOBS || (!part.is_empty() && bytes + size > BATCH_BYTES) {
            submissions.push(Submission::new(std::mem::take(&mut part)));
            bytes = 0;
        }
        bytes += size;
        part.push(job);
    }
    if !part.is_empty() {
        submissions.push(Submission::new(part));
    }
    submissions
}

impl Fate {
    /// Which jobs were there before, or the error that says what happened.
    pub(crate) fn into_result(self, queue: &QueueName, id: &JobId) -> Result<Vec<usize>, Error> {
        match self {
            Self::Added { there } => Ok(there),
            Self::NotAdded { why } => Err(Error::new(
                ErrorKind::Refused,
                format!("job {id} was not enqueued into `{queue}`: {why}"),
            )),
            Self::Unknowable { why } => Err(Error::new(
                ErrorKind::Unknowable,
                format!("whether job {id} was enqueued into `{queue}` cannot be known: {why}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::options::JobOptions;
    use crate::job::record::EncodedRecord;
    use crate::store::enqueue::Due;

    fn job(bytes: usize) -> NewJob {
        NewJob {
            id: JobId::generate(),
            record: EncodedRecord::new("test", vec![0; bytes], &JobOptions::new(), Vec::new()),
            due: Due::Now,
            priority: None,
            front: false,
            await_ms: None,
        }
    }

    #[test]
    fn g7_submissions_are_bounded_in_jobs_and_bytes() {
        let many = split((0..1000).map(|_| job(10)).collect());
        assert_eq!(many.len(), 4);
        assert!(many.iter().all(|s| s.jobs.len() <= BATCH_JOBS));
        let large = split((0..10).map(|_| job(300 * 1024)).collect());
        assert_eq!(large.len(), 4);
        assert!(large.iter().all(|s| s.bytes <= BATCH_BYTES));
        assert_eq!(split(vec![job(3 * BATCH_BYTES)]).len(), 1);
    }

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
