//! Group commit: one task per queue sends what has piled up while its calls were under way. One
//! caller pays one round trip; a thousand share a few.
//!
//! The task (`producer/task.rs`) owns the connection and the senders
//! (`producer/sender.rs`), each with a lane. Submissions (`producer/submission.rs`) are
//! shared with their callers, and wait for the task in its inbox (`producer/inbox.rs`).
//!
//! A call that may have run is repeated under the same number until its answer is known
//! (`store/backend/repeated_call.rs`). A caller that is dropped, or whose
//! time is up, changes nothing for the others of its batch.
//!
//! Jobs that are to be more than in memory have a task of their own (`producer/durable.rs`), which confirms what several calls
//! have added at once.
//!
//! The task runs on the library's own thread, and ends when the handles of the queue are gone. If it
//! breaks, by a bug, what it held is decided at once, and the next submission starts another task.

mod batch;
mod durable;
mod inbox;
mod sender;
mod submission;
mod task;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::error::{Error, ErrorKind};
use crate::metrics;
use crate::name::QueueName;
use crate::store::BATCH_BYTES;
use crate::store::backend::{LANE_TTL, Store, Trouble};

use crate::policy::durability::Level;
use durable::DurableTask;
pub(crate) use durable::PARTS_OF_A_CONFIRMATION;
use inbox::Inbox;
pub(crate) use submission::{Fate, Submission, is_kept, split};
use task::ProducerTask;

/// After this a call whose fate is unknown is given up, well before Redis forgets its lane.
const ABANDON_AFTER: Duration = Duration::from_secs(30 * 60);
const _: () = assert!(2 * ABANDON_AFTER.as_secs() <= LANE_TTL.as_secs());

/// The sending side, shared by all handles of a queue.
pub(crate) struct Producer {
    store: Store,
    queue: QueueName,
    promise: Option<Promise>,
    last: Mutex<Option<StartedTask>>,
}

/// The inbox of a task. Closes it, however the task ends.
struct TaskInbox(Arc<Inbox>);

impl Drop for TaskInbox {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What a producer waits for before it says that jobs are there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Promise {
    pub(crate) level: Level,
    /// How long enqueueing may take.
    pub(crate) within: Duration,
}

/// The last task that was started.
struct StartedTask {
    /// A forked process has a copy of the inbox, and none of the task.
    process: u32,
    inbox: Arc<Inbox>,
}

impl StartedTask {
    fn is_here(&self) -> bool {
        self.process == std::process::id()
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let last = self.last.get_mut().unwrap_or_else(PoisonError::into_inner);
        match last.take() {
            Some(started) if started.is_here() => started.inbox.end(),
            elsewhere => std::mem::forget(elsewhere),
        }
    }
}

impl Producer {
    pub(crate) fn new(store: Store, queue: QueueName) -> Self {
        Self::with(store, queue, None)
    }

    fn with(store: Store, queue: QueueName, promise: Option<Promise>) -> Self {
        Self {
            store,
            queue,
            promise,
            last: Mutex::default(),
        }
    }

    /// One whose jobs are confirmed to be as safe as promised.
    pub(crate) fn durable(store: Store, queue: QueueName, promise: Promise) -> Self {
        Self::with(store, queue, Some(promise))
    }

    /// Hands a submission to the task, unless it has been, and waits for its fate, at most for
    /// `limit`. An error says that it is still under way.
    ///
    /// Cancel safe: a submission that was handed over is sent whether or not a caller waits.
    pub(crate) async fn submit(
        &self,
        submission: &Arc<Submission>,
        limit: Duration,
    ) -> Result<Fate, Error> {
        if self.promise.is_some() {
            submission.awaited_until(Instant::now().checked_add(limit));
        }
        let waiting = async {
            if submission.is_given() || self.hand_over(submission).await {
                return submission.decided().await.clone();
            }
            let why = "the task that sends for this queue has broken; see the log".to_owned();
            Fate::NotSent { why }
        };
        let fate = match timeout(limit, waiting).await {
            Ok(fate) => Ok(fate),
            Err(_) => self.out_of_time(submission, limit),
        };
        let failed = match &fate {
            Ok(Fate::NotSent { .. }) => Some("not-sent"),
            Ok(Fate::NotAdded { .. }) => Some("refused"),
            Ok(Fate::Unknowable { .. }) => Some("unknowable"),
            Ok(Fate::NotDurable { .. }) => Some("not-durable"),
            Err(_) => Some("unknown"),
            // What is not taken is sent again in parts, and what clashed under another id.
            Ok(Fate::Added { .. } | Fate::Clashed { .. } | Fate::NotTaken { .. }) => None,
        };
        if let Some(kind) = failed {
            metrics::enqueue_failed(self.queue.as_str(), kind, submission.jobs.len());
        }
        fate
    }

    fn out_of_time(&self, submission: &Submission, limit: Duration) -> Result<Fate, Error> {
        let address = self.store.address();
        let trouble = self.trouble();
        if submission.withdraw() {
            return Ok(match trouble {
                // Redis answers and refuses: the caller has to know that.
                Some(Trouble::Refused(refusal, words)) => {
                    let words = format!("{words} (Redis at {address}, for {limit:?})");
                    let refused = Trouble::Refused(refusal, words);
                    Fate::NotAdded { refused }
                }
                trouble => {
                    let why = format!("Redis at {address} took nothing for {limit:?}");
                    Fate::NotSent {
                        why: with_reason(why, trouble),
                    }
                }
            });
        }
        if let Some(fate) = submission.fate() {
            return Ok(fate.clone());
        }
        let what = format!(
            "enqueueing into `{}` was sent to Redis at {address} and no answer came within {limit:?}",
            self.queue,
        );
        let what = with_reason(what, trouble);
        let then = "the job may be there; await the same request again to find out";
        Err(Error::new(ErrorKind::Unknown, format!("{what}; {then}")))
    }

    /// What holds up the task, if anything does.
    fn trouble(&self) -> Option<Trouble> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let here = last.as_ref().filter(|started| started.is_here());
        here.and_then(|started| started.inbox.trouble())
    }

    /// How many bytes a submission may have, unless it is one job: as many as the line takes in a
    /// moment.
    pub(crate) fn limit(&self) -> usize {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let here = last.as_ref().filter(|started| started.is_here());
        here.map_or(BATCH_BYTES, |started| started.inbox.limit())
    }

    /// Hands a submission to the task, unless that was done, if there is room for it now. The caller
    /// calls [`submit`](Self::submit) for it when the submissions before it are decided.
    pub(crate) fn submit_ahead(&self, submission: &Arc<Submission>) -> bool {
        submission.is_given() || self.inbox().try_push(submission)
    }

    /// Hands a submission over; false if no task takes it. A task that breaks may end during the wait, so this tries
    /// twice.
    async fn hand_over(&self, submission: &Arc<Submission>) -> bool {
        for _ in 0..2 {
            if self.inbox().push(submission).await {
                return true;
            }
        }
        false
    }

    /// The inbox of the running task; starts a task if there is none.
    fn inbox(&self) -> Arc<Inbox> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(started) = &*last {
            if started.is_here() && !started.inbox.is_closed() {
                return Arc::clone(&started.inbox);
            }
            if !started.is_here() {
                // The parent process sends what is in this inbox; no caller of this process waits for it.
                std::mem::forget(last.take());
            }
        }
        let inbox = self.start();
        *last = Some(StartedTask {
            process: std::process::id(),
            inbox: Arc::clone(&inbox),
        });
        inbox
    }

    fn start(&self) -> Arc<Inbox> {
        let inbox = Arc::new(Inbox::new());
        let (ours, runtime) = (Arc::clone(&inbox), self.store.runtime());
        match self.promise {
            None => runtime.spawn(ProducerTask::new(&self.store, &self.queue, ours).run()),
            Some(promise) => {
                runtime.spawn(DurableTask::new(&self.store, &self.queue, ours, promise).run())
            }
        };
        inbox
    }
}

fn with_reason(what: String, trouble: Option<Trouble>) -> String {
    match trouble {
        Some(trouble) => format!("{what} ({trouble})"),
        None => what,
    }
}
