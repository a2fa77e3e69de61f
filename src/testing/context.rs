//! A handler called as a plain function: its context and its states, without a queue that runs.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;
use crate::id::{Fence, JobId, Receipt};
use crate::job::attempt::Attempt;
use crate::job::options::ATTEMPTS_DEFAULT;
use crate::job::replies::Replies;
use crate::oxcart::Oxcart;
use crate::queue::Queue;
use crate::service::job_log::JobLog;
use crate::service::lease::Lease;
use crate::service::replies::SentReplies;
use crate::store::advance::Claimed;
use crate::time::{Timestamp, WAIT_MAX};
use crate::worker::context::{Context, ContextInner};
use crate::worker::extract::{State, States};
use crate::worker::steps::{Alone, Suspension};

/// Only with the feature `memory`.
impl<T> State<T> {
    /// A state for a handler that a test calls itself. A clone shares the value, so that the test
    /// can look at it afterwards.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

/// Only with the feature `memory`.
impl Context {
    /// The context of an attempt that no worker runs, for a handler or an extractor that a test calls itself.
    /// Middleware is tested with a worker ([`Worker::drain`](crate::Worker::drain)), which makes its
    /// [`Next`](crate::Next).
    ///
    /// ```
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # use std::sync::Mutex;
    /// # #[derive(Serialize, Deserialize)] struct SendWelcome { user: u64 }
    /// # impl Job for SendWelcome { const NAME: &'static str = "w"; type Output = (); }
    /// #[derive(Default)]
    /// struct Mailer { sent: Mutex<Vec<u64>> }
    ///
    /// async fn send(job: SendWelcome, mailer: State<Mailer>, context: Context) -> Result<(), Failure> {
    ///     mailer.sent.lock().unwrap().push(job.user);
    ///     context.progress(&100).await?;
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Failure> {
    /// let mailer = State::new(Mailer::default());
    /// let context = Context::builder().attempt(2).build();
    /// send(SendWelcome { user: 7 }, mailer.clone(), context.clone()).await?;
    /// assert_eq!(*mailer.sent.lock().unwrap(), [7]);
    /// assert_eq!(context.last_progress::<u8>(), Some(100));
    /// # Ok(()) }
    /// ```
    pub fn builder() -> ContextBuilder {
        ContextBuilder {
            queue: None,
            name: "test".to_owned(),
            id: JobId::generate(),
            number: 1,
            attempts: ATTEMPTS_DEFAULT,
            stalls: 0,
            snoozes: 0,
            fence: 1,
            lease: Duration::from_secs(30),
            enqueued_at: Timestamp::from(std::time::SystemTime::now()),
            group: None,
            headers: Vec::new(),
            states: States::default(),
            cancel_reason: None,
            steps: Alone::default(),
            replies: 0,
        }
    }

    /// What was said by [`log`](Self::log), of a context that was made by [`builder`](Self::builder). Nothing for the context of a
    /// worker: there [`Queue::logs`](crate::Queue::logs) has it.
    #[must_use]
    pub fn logged(&self) -> Vec<String> {
        let log = self.inner.lease.log_if_used();
        let log = log.filter(|_| self.inner.kept.is_some());
        let lines = log.and_then(JobLog::waiting).map(|(_, lines)| lines);
        let lines = lines.unwrap_or_default().into_iter();
        lines.map(|line| line.text).collect()
    }

    /// The replies that were sent by a [`ReplySender`](crate::ReplySender) of a context that was made by [`builder`](Self::builder), without those that were
    /// [stored before](ContextBuilder::replies). Nothing for the context of a worker.
    ///
    /// ```
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct Count { to: u64 }
    /// # impl Job for Count { const NAME: &'static str = "count"; type Output = (); }
    /// # impl Replies for Count { type Reply = u64; }
    /// async fn count(job: Count, replies: ReplySender<Count>) -> Result<(), Failure> {
    ///     for number in (1..=job.to).skip(replies.resume()) {
    ///         replies.send(&number).await?;
    ///     }
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Failure> {
    /// let context = Context::builder().attempt(2).replies(1).build();
    /// let replies = ReplySender::extract(&context).await?;
    /// count(Count { to: 3 }, replies).await?;
    /// assert_eq!(context.sent::<Count>(), [2, 3]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Panics
    ///
    /// If one cannot be read as a reply of `J`.
    #[must_use]
    #[track_caller]
    pub fn sent<J: Replies>(&self) -> Vec<J::Reply> {
        let sent = self.inner.replies.get().map(|sent| sent.kept());
        let decode = |reply: Vec<u8>| match codec::decode_either("a reply", &reply) {
            Ok(reply) => reply,
            Err(error) => panic!("{error}"),
        };
        sent.unwrap_or_default().into_iter().map(decode).collect()
    }

    /// What was last said by [`progress`](Self::progress), of a context that was made by
    /// [`builder`](Self::builder). `None` if nothing was, and for the context of a worker: there
    /// [`JobInfo::progress`](crate::JobInfo::progress) says it.
    ///
    /// # Panics
    ///
    /// If it cannot be read as a `T`.
    #[must_use]
    #[track_caller]
    pub fn last_progress<T: DeserializeOwned>(&self) -> Option<T> {
        let kept = self.inner.kept.as_ref()?;
        let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let decode = |bytes: &Vec<u8>| codec::decode_either("a job's progress", bytes);
        match kept.as_ref().map(decode)? {
            Ok(progress) => Some(progress),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Makes a [`Context`] for a test; see [`Context::builder`]. Only with the feature `memory`.
///
/// | | default |
/// |---|---|
/// | queue | an empty one in memory, named `test` |
/// | name | `test` |
/// | id | a new one |
/// | attempt | the first of 10, no stalls, never snoozed, fence 1 |
/// | lease | 30 s, never extended |
/// | enqueued_at | now, by the clock of the system |
/// | group, headers, states, replies | none |
/// | cancelled | no |
#[derive(Debug)]
#[must_use = "nothing is made before `build`"]
pub struct ContextBuilder {
    queue: Option<Queue>,
    name: String,
    id: JobId,
    number: u32,
    attempts: u32,
    stalls: u32,
    snoozes: u32,
    fence: u64,
    lease: Duration,
    enqueued_at: Timestamp,
    group: Option<String>,
    headers: Vec<(String, String)>,
    states: States,
    cancel_reason: Option<String>,
    steps: Alone,
    replies: u64,
}

impl ContextBuilder {
    /// The queue of the job: where the handler finds it, and enqueues follow-ups.
    pub fn queue(mut self, queue: &Queue) -> Self {
        self.queue = Some(queue.clone());
        self
    }

    /// The name of the job's type.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The id of the job.
    pub fn id(mut self, id: JobId) -> Self {
        self.id = id;
        self
    }

    /// Which attempt this is, from 1.
    pub fn attempt(mut self, number: u32) -> Self {
        self.number = number;
        self
    }

    /// How many attempts the job has.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// How often a worker died while it ran the job.
    pub fn stalls(mut self, stalls: u32) -> Self {
        self.stalls = stalls;
        self
    }

    /// How often a handler has put the job off.
    pub fn snoozes(mut self, snoozes: u32) -> Self {
        self.snoozes = snoozes;
        self
    }

    /// The fence of the attempt.
    pub fn fence(mut self, fence: u64) -> Self {
        self.fence = fence;
        self
    }

    /// How long the attempt holds the job, from [`build`](Self::build) on; ten years at most.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// When the job was enqueued; takes a [`SystemTime`](std::time::SystemTime) as well.
    pub fn enqueued_at(mut self, moment: impl Into<Timestamp>) -> Self {
        self.enqueued_at = moment.into();
        self
    }

    /// The group of the job.
    pub fn group(mut self, key: impl Into<String>) -> Self {
        self.group = Some(key.into());
        self
    }

    /// A header that was sent along.
    pub fn header(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((key.into(), value.into()));
        self
    }

    /// A value that extractors find as [`State<T>`]; one per type, the last one counts.
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.states.insert(value);
        self
    }

    /// The value that [`Context::wait_for`] gets for the signal of this name. Without one it gets `None`, at once.
    ///
    /// # Panics
    ///
    /// If it cannot be encoded.
    #[track_caller]
    pub fn signal<T: Serialize + ?Sized>(mut self, name: impl Into<String>, value: &T) -> Self {
        let value = codec::encode("a signal's value", value);
        let value = value.unwrap_or_else(|error| panic!("{error}"));
        self.steps.signals.insert(name.into(), value);
        self
    }

    /// What [`Context::last_checkpoint`] finds.
    ///
    /// # Panics
    ///
    /// If it cannot be encoded.
    #[track_caller]
    pub fn checkpoint<C: Serialize + ?Sized>(self, cursor: &C) -> Self {
        let value = codec::encode("a job's checkpoint", cursor);
        self.steps
            .checkpoint(value.unwrap_or_else(|error| panic!("{error}")));
        self
    }

    /// Earlier attempts have stored so many replies: [`ReplySender::resume`](crate::ReplySender::resume) says it.
    pub fn replies(mut self, stored: usize) -> Self {
        self.replies = stored as u64;
        self
    }

    /// The job was asked to end, for this reason: [`Context::cancel_reason`] tells it, and the token has fired.
    pub fn cancelled(mut self, reason: impl Into<String>) -> Self {
        self.cancel_reason = Some(reason.into());
        self
    }

    /// The context. Its token ([`Context::cancellation`]) is fired by the test alone, or by [`cancelled`](Self::cancelled).
    #[must_use]
    pub fn build(self) -> Context {
        let queue = self.queue.unwrap_or_else(|| {
            let queue = Oxcart::in_memory().queue("test");
            queue.expect("the name is well formed")
        });
        let lease = self.lease.min(WAIT_MAX);
        let claimed = Claimed {
            id: self.id.clone(),
            fence: Fence(self.fence),
            receipt: Receipt::new("no claim"),
            record: Vec::new(),
            payload: None,
            counters: None,
            stalls: self.stalls,
            alone: false,
        };
        let attempt = Attempt {
            queue: queue.inner.name.clone(),
            name: self.name,
            id: self.id,
            number: self.number,
            attempts: self.attempts,
            earlier: u64::from(self.number.saturating_sub(1)) + u64::from(self.stalls),
            stalls: self.stalls,
            snoozes: self.snoozes,
            fence: claimed.fence,
        };
        let lease = Lease::new(&claimed, Instant::now(), lease);
        if let Some(reason) = self.cancel_reason {
            lease.cancel_for(reason);
        }
        Context {
            inner: Arc::new(ContextInner {
                attempt,
                queue,
                states: Arc::new(self.states),
                lease: Arc::new(lease),
                enqueued_at: self.enqueued_at,
                group: self.group,
                children: 0,
                order: None,
                headers: self.headers,
                kept: Some(Box::new(Mutex::new(None))),
                has_steps: false,
                replies: OnceLock::from(Box::new(SentReplies::behind(self.replies, 0))),
                saga: OnceLock::new(),
                steps: OnceLock::new(),
                suspension: Suspension::default(),
                alone: Some(Box::new(self.steps)),
            }),
            ends: None,
        }
    }
}
