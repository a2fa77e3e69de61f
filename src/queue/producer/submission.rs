//! What one caller gives to the producer's task, and what became of it.
//!
//! A submission is shared between its caller and the task; its phase says who may decide its
//! fate:
//!
//! ```text
//! Waiting ──task──► Sent ──task──► Done
//!    │  ▲            │
//!    │  └──task──────┘   the call certainly did not run
//!    └─caller──► Withdrawn     (Waiting ──task──► Done as well: refused while connecting)
//! ```
//!
//! Invariant: a submission outlives the task it was given to by no more than a moment. The task
//! holds it as [`Given`]. If the task drops one undecided, by a bug, that decides its fate: what was
//! not sent by then never will be, and what became of the rest cannot be known.

use std::future::poll_fn;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Instant;

use futures_util::task::AtomicWaker;

use crate::claim_check::put_at::PutAt;
use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::name::QueueName;
use crate::store::BATCH_JOBS;
use crate::store::backend::Trouble;
use crate::store::enqueue::{NewJob, Novelty, There};

const WAITING: u8 = 0;
const SENT: u8 = 1;
const WITHDRAWN: u8 = 2;
const DONE: u8 = 3;

/// Some jobs of one caller, at most a batch, that are added in one call.
pub(crate) struct Submission {
    pub(super) jobs: Vec<NewJob>,
    pub(super) bytes: usize,
    /// Whether Redis may know any of the jobs' ids.
    pub(super) novelty: Novelty,
    /// When payloads of its jobs were put into a store, if any were.
    put_at: Option<PutAt>,
    phase: AtomicU8,
    /// It was handed to a task.
    given: AtomicBool,
    /// When its caller gives up, if that is of interest.
    until: Mutex<Option<Instant>>,
    fate: OnceLock<Fate>,
    /// The caller that waits for its fate; there is one at a time.
    waiting: AtomicWaker,
}

/// What became of a submission.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// Redis has the jobs. Those that were not added, because they, or others with their unique keys, were there before.
    Added { there: Vec<There> },
    /// The ids at these positions were made for their jobs, but other jobs have them. These jobs were not
    /// added, the other jobs of the submission were.
    Clashed { positions: Vec<usize> },
    /// The server refused it: certainly not added.
    NotAdded { refused: Trouble },
    /// It was never sent.
    NotSent { why: String },
    /// It is refused each time, as it is: not added.
    NotTaken { why: String },
    /// Redis has the jobs, as [`Added`](Self::Added) says, but not as safe as was asked for.
    NotDurable { there: Vec<There>, why: Shortfall },
    /// It cannot be known, now or later.
    Unknowable { why: String },
}

/// Why jobs that are there are not as safe as was asked for.
#[derive(Debug, Clone)]
pub(crate) enum Shortfall {
    /// It was not reached in time, or the wait was cut off each time.
    NotInTime(String),
    /// The server does not offer that to this user.
    Denied(Trouble),
}

impl Submission {
    pub(crate) fn new(jobs: Vec<NewJob>, novelty: Novelty) -> Arc<Self> {
        Self::of_put(jobs, novelty, None)
    }

    /// Jobs of which some have their payloads in a store, since `put_at` or later.
    pub(crate) fn of_put(jobs: Vec<NewJob>, novelty: Novelty, put_at: Option<PutAt>) -> Arc<Self> {
        Arc::new(Self {
            novelty,
            put_at,
            bytes: jobs.iter().map(NewJob::bytes).sum(),
            jobs,
            phase: AtomicU8::new(WAITING),
            given: AtomicBool::new(false),
            until: Mutex::default(),
            fate: OnceLock::new(),
            waiting: AtomicWaker::new(),
        })
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &JobId> {
        self.jobs.iter().map(|job| &job.id)
    }

    pub(crate) fn jobs(&self) -> &[NewJob] {
        &self.jobs
    }

    /// The objects in which payloads of its jobs are, each with the id of its job.
    pub(crate) fn objects(&self) -> Vec<(JobId, String)> {
        let of = |job: &NewJob| Some((job.id.clone(), job.record.ticket()?.object));
        self.jobs.iter().filter_map(of).collect()
    }

    /// What errors about the whole submission name.
    pub(crate) fn first_id(&self) -> &JobId {
        &self.jobs[0].id
    }

    /// The same jobs once more, undecided. What clashed gets another id.
    pub(crate) fn again(&self) -> Arc<Self> {
        let mut jobs = self.jobs.clone();
        if let Some(Fate::Clashed { positions }) = self.fate() {
            for position in positions {
                jobs[*position].id = JobId::generate();
            }
        }
        Self::of_put(jobs, Novelty::Unsure, self.put_at)
    }

    /// The same jobs once more; in two parts if the submission was not taken as a whole, because something in it is
    /// too large.
    pub(crate) fn again_in_parts(&self) -> Vec<Arc<Self>> {
        if !matches!(self.fate(), Some(Fate::NotTaken { .. })) || self.jobs.len() < 2 {
            return vec![self.again()];
        }
        let halves = self.jobs.chunks(self.jobs.len().div_ceil(2));
        halves
            .map(|half| Self::of_put(half.to_vec(), Novelty::Unsure, self.put_at))
            .collect()
    }

    pub(crate) fn put_at(&self) -> Option<PutAt> {
        self.put_at
    }

    /// Decides, of what certainly did not run, that it is not sent any more: whether it was put so long ago.
    pub(super) fn comes_too_late(&self) -> bool {
        let why = self.put_at.and_then(PutAt::too_late);
        why.is_some_and(|why| {
            self.decide(Fate::NotSent { why });
            true
        })
    }

    /// When its caller gives up.
    pub(super) fn until(&self) -> Option<Instant> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A caller waits for it until then.
    pub(super) fn awaited_until(&self, until: Option<Instant>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// The fate, once it is decided.
    pub(crate) fn fate(&self) -> Option<&Fate> {
        self.fate.get()
    }

    /// Whether it was handed to a task.
    pub(crate) fn is_given(&self) -> bool {
        self.given.load(Ordering::Acquire)
    }

    /// Waits for the fate, which comes with the end of the task at the latest. For one caller at
    /// a time; cancel safe.
    pub(super) async fn decided(&self) -> &Fate {
        poll_fn(|context| {
            // Before the look: a decision that comes after it wakes this task.
            self.waiting.register(context.waker());
            match self.fate.get() {
                Some(fate) => Poll::Ready(fate),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// The first decision stands.
    pub(super) fn decide(&self, fate: Fate) -> &Fate {
        let fate = self.fate.get_or_init(|| fate);
        self.phase.store(DONE, Ordering::Release);
        self.waiting.wake();
        fate
    }

    /// The task begins to send it, unless it was withdrawn.
    pub(super) fn begin(&self) -> bool {
        self.step(WAITING, SENT)
    }

    /// What the task has sent certainly did not run.
    pub(super) fn call_back(&self) {
        self.step(SENT, WAITING);
    }

    /// Whether it certainly was not added.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(
            self.fate(),
            Some(Fate::NotAdded { .. } | Fate::NotSent { .. } | Fate::NotTaken { .. })
        )
    }

    /// Takes the submission back, unless it has been sent: then it cannot be taken back.
    pub(crate) fn withdraw(&self) -> bool {
        self.step(WAITING, WITHDRAWN)
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        self.phase.load(Ordering::Acquire) == WITHDRAWN
    }

    fn step(&self, from: u8, to: u8) -> bool {
        self.phase
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

/// A submission in the hands of a task.
pub(super) struct Given(Arc<Submission>);

impl Given {
    pub(super) fn new(submission: &Arc<Submission>) -> Self {
        submission.given.store(true, Ordering::Release);
        Self(Arc::clone(submission))
    }
}

impl Deref for Given {
    type Target = Submission;

    fn deref(&self) -> &Submission {
        &self.0
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        if self.fate.get().is_some() {
            return;
        }
        let why = "the task that sends for this queue has ended; see the log".to_owned();
        let was_sent = self.phase.load(Ordering::Acquire) == SENT;
        self.decide(match was_sent {
            true => Fate::Unknowable { why },
            false => Fate::NotSent { why },
        });
    }
}

/// Splits jobs into submissions that each fit into one call of at most so many bytes, in order.
pub(crate) fn split(
    jobs: Vec<NewJob>,
    novelty: Novelty,
    put_at: Option<PutAt>,
    limit: usize,
) -> Vec<Arc<Submission>> {
    let submission = |jobs| Submission::of_put(jobs, novelty, put_at);
    let mut submissions = Vec::with_capacity(jobs.len().div_ceil(BATCH_JOBS));
    let (mut part, mut bytes) = (Vec::new(), 0);
    for job in jobs {
        let size = job.bytes();
        if part.len() == BATCH_JOBS || (!part.is_empty() && bytes + size > limit) {
            submissions.push(submission(std::mem::take(&mut part)));
            bytes = 0;
        }
        bytes += size;
        part.push(job);
    }
    if !part.is_empty() {
        submissions.push(submission(part));
    }
    submissions
}

/// Whether a request keeps its submission, so that awaiting it again adds nothing: it is under way still, or its jobs are there though
/// the caller is told an error.
pub(crate) fn is_kept(fate: &Result<Fate, Error>) -> bool {
    match fate {
        Ok(fate) => matches!(fate, Fate::NotDurable { .. }),
        Err(error) => error.kind() == ErrorKind::Unknown,
    }
}

impl Fate {
    /// Which jobs were not added, or the error that says what happened.
    pub(crate) fn into_result(self, queue: &QueueName, id: &JobId) -> Result<Vec<There>, Error> {
        match self {
            Self::Added { there } => Ok(there),
            Self::Clashed { .. } => Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "job {id} was not enqueued into `{queue}`: another job has this id, though it \
                     was made anew; try again with another id, which a request that is awaited \
                     again takes by itself"
                ),
            )),
            Self::NotDurable { why, .. } => {
                let there = format!(
                    "job {id} was enqueued into `{queue}`, and it is not known to be as safe as was asked for"
                );
                Err(match why {
                    Shortfall::NotInTime(why) => Error::new(
                        ErrorKind::NotDurable,
                        format!("{there}: {why}; it may be lost with the server"),
                    ),
                    Shortfall::Denied(trouble) => Error::from(trouble).within(there),
                })
            }
            // The same words of the server have the same kind here as in every other call.
            Self::NotAdded { refused } => {
                let what = format!("job {id} was not enqueued into `{queue}`");
                Err(Error::from(refused).within(what))
            }
            Self::NotSent { why } | Self::NotTaken { why } => Err(Error::new(
                ErrorKind::NotSent,
                format!("not enqueued into `{queue}`: {why}; it is safe to try again"),
            )),
            Self::Unknowable { why } => Err(Error::new(
                ErrorKind::Unknowable,
                format!("whether job {id} was enqueued into `{queue}` cannot be known: {why}"),
            )),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::job::options::JobOptions;
    use crate::job::record::EncodedRecord;
    use crate::store::BATCH_BYTES;
    use crate::store::enqueue::Due;

    pub(in crate::queue::producer) fn job(bytes: usize) -> NewJob {
        NewJob {
            id: JobId::generate(),
            record: EncodedRecord::new("test", vec![0; bytes], &JobOptions::new(), Vec::new()),
            due: Due::Now,
            priority: None,
            front: false,
            await_ms: None,
            callbacks: None,
        }
    }

    #[test]
    fn g7_submissions_are_bounded_in_jobs_and_bytes() {
        let many = split(
            (0..1000).map(|_| job(10)).collect(),
            Novelty::New,
            None,
            BATCH_BYTES,
        );
        assert_eq!(many.len(), 4);
        assert!(many.iter().all(|s| s.jobs.len() <= BATCH_JOBS));
        let large = split(
            (0..10).map(|_| job(300 * 1024)).collect(),
            Novelty::New,
            None,
            BATCH_BYTES,
        );
        assert_eq!(large.len(), 4);
        assert!(large.iter().all(|s| s.bytes <= BATCH_BYTES));
        assert_eq!(
            split(vec![job(3 * BATCH_BYTES)], Novelty::New, None, BATCH_BYTES).len(),
            1
        );
    }

    fn given() -> (Arc<Submission>, Given) {
        let submission = Submission::new(vec![job(1)], Novelty::New);
        let given = Given::new(&submission);
        (submission, given)
    }

    #[test]
    fn g3_a_submission_is_decided_with_the_end_of_its_task_at_the_latest() {
        let (waiting, task) = given();
        assert!(waiting.decided().now_or_never().is_none());
        drop(task);
        let fate = waiting.decided().now_or_never().unwrap();
        assert!(matches!(fate, Fate::NotSent { .. }), "{fate:?}");

        let (sent, task) = given();
        assert!(sent.begin() && !sent.withdraw());
        drop(task);
        let fate = sent.decided().now_or_never().unwrap();
        assert!(matches!(fate, Fate::Unknowable { .. }), "{fate:?}");

        let (called_back, task) = given();
        assert!(called_back.begin());
        called_back.call_back();
        drop(task);
        let fate = called_back.decided().now_or_never().unwrap();
        assert!(matches!(fate, Fate::NotSent { .. }), "{fate:?}");
    }

    #[test]
    fn what_the_task_has_decided_stands_when_it_is_gone() {
        let (submission, task) = given();
        assert!(submission.begin());
        submission.decide(Fate::Added { there: vec![] });
        drop(task);
        let fate = submission.decided().now_or_never().unwrap();
        assert!(matches!(fate, Fate::Added { .. }), "{fate:?}");
    }
}
