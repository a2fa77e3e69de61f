//! A request to enqueue one job.

mod carried;
mod direct;
pub(crate) mod node;
mod untyped;

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tracing::Instrument;

use crate::claim_check::put_at::PutAt;
use crate::codec;
use crate::error::Error;
use crate::id::JobId;
use crate::job::headers;
use crate::job::options::JobOptions;
use crate::job::record::EncodedRecord;
use crate::job::version::check_version;
use crate::job::{self, Job, options_of};
use crate::name;
use crate::policy::backoff::Backoff;
use crate::policy::durability::{Durability, Level};
use crate::policy::expiry::Expiry;
use crate::policy::order::Order;
use crate::policy::retention::Retention;
use crate::policy::unique::Unique;
use crate::propagation;
use crate::queue::Queue;
use crate::queue::handle::{Enqueued, JobHandle, ResultWait};
use crate::queue::producer::{Fate, Submission, is_kept};
use crate::store::enqueue::{Due, NewJob, Novelty};
use crate::time::{Timestamp, millis};

/// A request to enqueue one job. Awaiting it sends it.
///
/// The id is chosen when the request is made. If awaiting it by reference fails, awaiting the
/// same request again is safe: whatever became of the first try, the job is there once.
///
/// ```no_run
/// # use oxcart::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Charge { order: u64 }
/// # impl Job for Charge { const NAME: &'static str = "charge"; type Output = (); }
/// # async fn example(queue: Queue) -> Result<(), Error> {
/// let mut request = queue.enqueue(Charge { order: 42 });
/// let charged = loop {
///     match (&mut request).await {
///         Err(error) if error.is_retryable() => eprintln!("{error}"),
///         other => break other?,
///     }
/// };
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`Invalid`](crate::ErrorKind::Invalid) (an option is out of range) and [`Codec`](crate::ErrorKind::Codec), before
/// anything is sent; [`Refused`](crate::ErrorKind::Refused) if Redis refuses to write, at once, or after the call
/// timeout (default 5 s) what may pass by itself; [`Unsuitable`](crate::ErrorKind::Unsuitable) if it denies that to this
/// user; [`NotSent`](crate::ErrorKind::NotSent) or [`Unknown`](crate::ErrorKind::Unknown) after the call timeout if it
/// does not answer, and [`Unknowable`](crate::ErrorKind::Unknowable);
/// [`NotDurable`](crate::ErrorKind::NotDurable) if the [durability](Self::durability) was not reached;
/// [`PayloadStore`](crate::ErrorKind::PayloadStore), before anything is sent, if the payload is to go to a [store](crate::ClaimCheck) that does not take it.
/// Each carries the id.
///
/// It is awaited, or turned into a future for combinators with `.into_future()`.
///
/// # Cancel safety
///
/// A request that is dropped while it is awaited may or may not be carried out.
#[must_use = "a request does nothing until it is awaited"]
pub struct Enqueue<J: Job> {
    /// The queue and the payload; or the error in either of them, until it has been returned.
    target: Result<(Queue, Vec<u8>), Option<Error>>,
    name: Cow<'static, str>,
    id: JobId,
    id_is_given: bool,
    /// What Redis may know of the id.
    novelty: Novelty,
    options: JobOptions,
    headers: Vec<(String, String)>,
    due: Due,
    front: bool,
    /// The job may go into another queue than its type names.
    any_queue: bool,
    await_ms: Option<u64>,
    /// What enqueues it is not its cause.
    without_cause: bool,
    /// The version of the payload, if its type has another one.
    version: Option<u32>,
    /// The last try, as long as its fate is not known.
    submission: Option<Arc<Submission>>,
    job: PhantomData<fn() -> J>,
}

impl<J: Job> Enqueue<J> {
    pub(crate) fn new(queue: Result<Queue, Error>, job: &J) -> Self {
        let target =
            queue.and_then(|queue| Ok((queue, codec::encode_to_be_read("a job's payload", job)?)));
        Self::to(target, options_of(job))
    }

    fn to(target: Result<(Queue, Vec<u8>), Error>, options: JobOptions) -> Self {
        Self {
            options,
            target: target.map_err(Some),
            name: Cow::Borrowed(J::NAME),
            id: JobId::generate(),
            id_is_given: false,
            novelty: Novelty::New,
            headers: Vec::new(),
            due: Due::Now,
            front: false,
            any_queue: false,
            await_ms: None,
            without_cause: false,
            version: None,
            submission: None,
            job: PhantomData,
        }
    }

    fn with_options(mut self, change: impl FnOnce(JobOptions) -> JobOptions) -> Self {
        self.options = change(self.options);
        self
    }

    /// 0 to 1023, lower first, strictly. Default 500.
    pub fn priority(self, priority: u16) -> Self {
        self.with_options(|options| options.priority(priority))
    }

    /// How often the job is tried before it is dead: 1 or more. Default 10.
    pub fn attempts(self, attempts: u32) -> Self {
        self.with_options(|options| options.attempts(attempts))
    }

    /// How long the job waits after a failure: always the same, in steps, exponentially longer, or as a worker
    /// works out. Default: exponential from 1 s.
    pub fn backoff(self, backoff: Backoff) -> Self {
        self.with_options(|options| options.backoff(backoff))
    }

    /// How long one attempt may take. Default: as long as it likes.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with_options(|options| options.timeout(timeout))
    }

    /// How long the job and its result are kept once it is completed or cancelled, whatever is set for the
    /// queue: neither [`QueueSettings::keep_completed`](crate::QueueSettings::keep_completed) nor
    /// [`keep_at_most`](crate::QueueSettings::keep_at_most) shortens it. If a caller waits for the job, it is
    /// kept for at least 60 s. At most 10 years.
    pub fn keep(self, keep: Retention) -> Self {
        self.with_options(|options| options.keep(keep))
    }

    /// The group of the job: a tenant, a customer, an account. Groups take turns, so that the many jobs of one do not
    /// hold up the few jobs of another; see [`Group`](crate::Group). The key has 1 to 512 bytes.
    /// A job has a group or an order, not both.
    pub fn group(self, key: impl Into<String>) -> Self {
        self.with_options(|options| options.group(key))
    }

    /// Run after all jobs of the same key that were enqueued before, and never at the same time as one of them: also
    /// through retries, stalls, released leases and shutdowns. [`Order::on_failure`] says what a failing job does to the
    /// jobs behind it. The key has 1 to 512 bytes. A job has a group or an order, not both.
    pub fn ordered_by(self, order: impl Into<Order>) -> Self {
        self.with_options(|options| options.ordered_by(order))
    }

    /// What a start of the job counts against the [rate](crate::Rate) that is set for the queue, if one is: 1 or more.
    /// Default 1.
    ///
    /// A job that weighs more than may start in a period is refused ([`ErrorKind::Invalid`](crate::ErrorKind::Invalid)). For that, the settings of
    /// the queue are read at most every 5 s. If they change later, the job waits until nothing else has started for one
    /// period, and then starts alone.
    pub fn weight(self, weight: u32) -> Self {
        self.with_options(|options| options.weight(weight))
    }

    /// Of the jobs of this type with the same key, only one waits or runs at a time: a duplicate is not added, and its caller
    /// gets a handle to the job that is there ([`Enqueued::Duplicate`]), whose [result](JobHandle::result) it can wait for. [`Unique`] says for how
    /// long the key is taken, and what else a duplicate may do. The key has 1 to 512 bytes. Default: what
    /// [`Job::unique`] and [`Job::options`] say.
    ///
    /// ```
    /// # use oxcart::{Enqueued, Job, JobHandle, Queue};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Export { user: u64 }
    /// # impl Job for Export { const NAME: &'static str = "export"; type Output = String; }
    /// # async fn example(queue: Queue) -> Result<(), oxcart::Error> {
    /// let job = queue.enqueue(Export { user: 7 }).unique("user-7").await?;
    /// let again = queue.enqueue(Export { user: 7 }).unique("user-7").await?;
    /// assert_eq!(again.enqueued(), Enqueued::Duplicate);
    /// assert_eq!(again.id(), job.id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn unique(self, unique: impl Into<Unique>) -> Self {
        self.with_options(|options| options.unique(unique))
    }

    /// If no worker has taken the job by then, it never starts: it ends as cancelled with that reason, and callers that wait for its
    /// [result](JobHandle::result) are told. The time counts from the moment at which Redis has the job. A job that has
    /// started goes on, also through its retries. A worker with a free slot ends it within milliseconds; if all are busy, or the queue is
    /// paused, within half a minute; without any worker it stays, and does not start later. At least 1 ms, at most 10 years.
    /// Default: it waits as long as it takes.
    ///
    /// A job that would be due ([`delay`](Self::delay), [`at`](Self::at)) only when it has expired is [`ErrorKind::Invalid`](crate::ErrorKind::Invalid); a time and
    /// a moment are compared by the clock of this machine.
    pub fn expires_in(self, time: Duration) -> Self {
        self.with_options(|options| options.expires_in(time))
    }

    /// The same at a moment, by the server's clock. At most 10 years ahead.
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        let ms = Timestamp::from(time).as_millis();
        self.options.expiry = Some(Expiry::At { ms });
        self
    }

    /// How safe the job is before this request says that it is there: see [`Durability`]. Default: what [`Job::options`] says, or the handle
    /// of the queue ([`Queue::with_durability`]), or [`Durability::Memory`].
    pub fn durability(self, durability: Durability) -> Self {
        self.with_options(|options| options.durability(durability))
    }

    /// Run no earlier than this long after Redis has the job. At most 10 years.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.due = Due::After { ms: millis(delay) };
        self
    }

    /// Run no earlier than this, by the Redis server's clock; at once if it is past. At most
    /// 10 years ahead.
    pub fn at(mut self, time: SystemTime) -> Self {
        let ms = Timestamp::from(time).as_millis();
        self.due = Due::At { ms };
        self
    }

    /// Go before everything of the same priority that waits. Not together with [`ordered_by`](Self::ordered_by): the job is refused
    /// ([`ErrorKind::Invalid`](crate::ErrorKind::Invalid)).
    pub fn front(mut self) -> Self {
        self.front = true;
        self
    }

    /// Into this queue, though the type of the job names another one ([`Job::QUEUE`]). A request in
    /// [`Queue::enqueue_many`] or in a schedule may say it as well. The worker of this queue needs
    /// [`WorkerBuilder::any_queue`](crate::WorkerBuilder::any_queue).
    pub fn any_queue(mut self) -> Self {
        self.any_queue = true;
        self
    }

    /// Use this id. If the queue still has a record of it, nothing is enqueued and the handle
    /// says so. Ids of the form `<schedule>@<ms>` are for the ticks of schedules.
    pub fn id(mut self, id: JobId) -> Self {
        self.id = id;
        self.id_is_given = true;
        self.novelty = Novelty::Unsure;
        self.submission = None;
        self
    }

    /// The id the job will have.
    #[must_use]
    pub fn job_id(&self) -> &JobId {
        &self.id
    }

    /// Enqueue the job and wait for what its handler gives back: a request and its reply. The
    /// result is kept for the waiter even if the queue would drop it at once. One limit holds for both
    /// ([`ResultWait::within`]); what each error says of the job stands at [`ResultWait`].
    #[must_use = "nothing is sent until it is awaited"]
    pub fn result(self) -> ResultWait<J> {
        ResultWait::of_request(self)
    }

    /// The name of the job.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_given_an_id(&self) -> bool {
        self.id_is_given
    }

    pub(crate) fn weight_asked(&self) -> u32 {
        self.options.weight.unwrap_or(1)
    }

    /// How safe the job has to be before the caller is told.
    pub(crate) fn level(&self) -> Level {
        let of_queue = self.queue().map(|queue| queue.inner.durability);
        let asked = self.options.durability.or(of_queue);
        asked.unwrap_or_default().into()
    }

    pub(crate) fn novelty(&self) -> Novelty {
        self.novelty
    }

    /// The queue in which the job is to be, if that is well formed.
    pub(crate) fn queue(&self) -> Option<&Queue> {
        self.target.as_ref().ok().map(|(queue, _)| queue)
    }

    pub(crate) fn awaited_for(&mut self, limit: Duration) {
        self.await_ms = Some(millis(limit));
    }

    /// Finds all errors that can be found before anything is sent.
    pub(crate) fn prepare(&mut self) -> Result<(Queue, NewJob), Error> {
        let (queue, job, _) = self.prepare_to_go(false)?;
        Ok((queue, job))
    }

    /// The same, and whether the payload is to go to the store: `may_go`, if the way of the job allows that.
    pub(crate) fn prepare_to_go(&mut self, may_go: bool) -> Result<(Queue, NewJob, bool), Error> {
        let id = self.id.clone();
        let checked = self.checked(may_go && self.may_go_to_a_store());
        checked.map_err(|error| error.with_job(&id))
    }

    fn checked(&mut self, may_go: bool) -> Result<(Queue, NewJob, bool), Error> {
        name::check("job name", &self.name)?;
        self.options.check()?;
        self.due.check()?;
        check_expiry(self.options.expiry, self.due)?;
        if let Some(unique) = &self.options.unique {
            unique.check_delay(match self.due {
                Due::Now => Some(0),
                Due::After { ms } => Some(ms),
                Due::At { .. } => None,
            })?;
        }
        let version = self.version.unwrap_or(J::VERSION);
        check_version(&self.name, version)?;
        headers::check(&self.headers)?;
        if self.front && self.options.order.is_some() {
            return Err(Error::invalid(
                "`front` and `ordered_by` do not go together: the jobs of an order run as they were enqueued",
            ));
        }
        let (queue, payload) = match &mut self.target {
            Ok((queue, payload)) => (queue.clone(), payload.clone()),
            // The error was returned the first time, and cannot be cloned.
            Err(error) => {
                return Err(error.take().unwrap_or_else(|| {
                    Error::invalid("this request failed before and cannot be sent")
                }));
            }
        };
        if !self.any_queue {
            job::check_queue::<J>(queue.name(), "`queue.enqueue(job).any_queue()`")?;
        }
        let setup = &queue.inner.setup;
        let goes = setup.check_payload(&self.name, &payload, may_go)?;
        let headers = self.all_headers(&queue);
        self.options.secret = J::SECRET;
        self.options.version = Some(version);
        let job = NewJob {
            id: self.id.clone(),
            record: EncodedRecord::new(&self.name, payload, &self.options, headers),
            due: self.due,
            priority: self.options.priority,
            front: self.front,
            await_ms: self.await_ms,
            callbacks: None,
        };
        Ok((queue, job, goes))
    }

    async fn send(&mut self) -> Result<JobHandle<J>, Error> {
        self.send_within(Duration::MAX).await
    }

    /// Sends the request; the caller waits no longer than `most`.
    pub(crate) async fn send_within(&mut self, most: Duration) -> Result<JobHandle<J>, Error> {
        let span = propagation::sending(self.queue().map_or("", Queue::name), 1);
        let sent = self.send_here(most).instrument(span.clone()).await;
        sent.inspect_err(|error| propagation::not_sent(&span, error))
    }

    async fn send_here(&mut self, most: Duration) -> Result<JobHandle<J>, Error> {
        let (queue, mut job, goes) = self.prepare_to_go(true)?;
        let (begun, mut put_at) = (Instant::now(), None);
        if self.submission.is_none() {
            let checked = queue.inner.check_weight(self.weight_asked()).await;
            checked.map_err(|error| error.with_job(&self.id))?;
            if goes {
                put_at = Some(PutAt::now());
                Box::pin(queue.inner.claim(&mut job, most)).await?;
            }
        }
        let left = most.saturating_sub(begun.elapsed());
        let limit = queue.inner.setup.call_timeout.min(left);
        let producer = queue.inner.producer(self.level());
        let novelty = self.novelty;
        let last = self
            .submission
            .get_or_insert_with(|| Submission::of_put(vec![job], novelty, put_at));
        // From here on Redis may know the id, also if this future is dropped.
        self.novelty = Novelty::Unsure;
        let last = Arc::clone(last);
        let fate = producer.submit(&last, limit).await;
        if goes {
            let left = most.saturating_sub(begun.elapsed());
            Box::pin(direct::clean_up(&queue, &last, &fate, left)).await;
        }
        if !is_kept(&fate) {
            self.submission = None;
        }
        let clashed = matches!(fate, Ok(Fate::Clashed { .. }));
        let there = fate
            .and_then(|fate| fate.into_result(&queue.inner.name, &self.id))
            .map_err(|error| error.with_job(&self.id));
        if clashed {
            self.id = JobId::generate();
            self.novelty = Novelty::New;
        }
        let there = there?.into_iter().next();
        let (id, enqueued) = Enqueued::of(&self.id, there.map(|there| there.met));
        let handle = JobHandle::new(queue, id, enqueued);
        // An earlier try has added it.
        let is_own = enqueued == Enqueued::AlreadyThere && !self.id_is_given;
        Ok(if is_own { handle.own() } else { handle })
    }
}

/// A job that is due after it has expired could never start. A time and a moment are compared by this machine's clock.
fn check_expiry(expiry: Option<Expiry>, due: Due) -> Result<(), Error> {
    let now_ms = Timestamp::from(SystemTime::now()).as_millis();
    let never = match (expiry, due) {
        (None, _) | (_, Due::Now) => false,
        (Some(Expiry::After { ms: over }), Due::After { ms: due })
        | (Some(Expiry::At { ms: over }), Due::At { ms: due }) => due >= over,
        (Some(Expiry::After { ms: over }), Due::At { ms: due }) => {
            due.saturating_sub(now_ms) >= over
        }
        (Some(Expiry::At { ms: over }), Due::After { ms: due }) => {
            now_ms.saturating_add(due) >= over
        }
    };
    match never {
        true => Err(Error::invalid(
            "the job is due after it has expired, so it would never start",
        )),
        false => Ok(()),
    }
}

/// Without the payload: what is in it is the application's, and may be secret.
impl<J: Job> fmt::Debug for Enqueue<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.target.as_ref().ok().map(|(queue, _)| queue.name());
        f.debug_struct("Enqueue")
            .field("job", &self.name)
            .field("id", &self.id)
            .field("queue", &queue)
            .field("options", &self.options)
            .field("due", &self.due)
            .field("front", &self.front)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

impl<J: Job> IntoFuture for Enqueue<J> {
    type Output = Result<JobHandle<J>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move { self.send().await })
    }
}

impl<'a, J: Job> IntoFuture for &'a mut Enqueue<J> {
    type Output = Result<JobHandle<J>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
