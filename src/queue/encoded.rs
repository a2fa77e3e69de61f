//! Requests as bytes: to be kept somewhere else for a while, and sent from there.

use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::{Job, check_payload_size};
use crate::name::QueueName;
use crate::queue::Queue;
use crate::queue::enqueue::Enqueue;
use crate::store::enqueue::NewJob;
use crate::store::outbox::message::Message;

/// A request to enqueue one job, with all of its options, as bytes: for an outbox in a database, a file, another queue. It was checked, has its id, and
/// knows the queue it is for. [`Queue::feed_encoded`] enqueues it.
///
/// Any later version reads what this one has written. The bytes have what the job has, so they are as secret as its payload.
///
/// ```no_run
/// # use oxcart::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Bill { order: u64 }
/// # impl Job for Bill { const NAME: &'static str = "bill"; type Output = (); }
/// # async fn example(billing: Queue) -> Result<(), Error> {
/// let job = billing.enqueue(Bill { order: 17 }).priority(3).encode()?;
/// let bytes = job.to_bytes();                                       // kept somewhere, and read again
/// let job = EncodedJob::from_bytes(&bytes)?;
/// billing.feed_encoded("orders", [(1, job)]).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct EncodedJob {
    queue: QueueName,
    pub(super) job: NewJob,
}

impl<J: Job> Enqueue<J> {
    /// The request as bytes, instead of sending it. A [`delay`](Self::delay), and a time until it [expires](Self::expires_in), count from when Redis has the job.
    ///
    /// # Errors
    ///
    /// What awaiting the request would find before it sends anything: [`ErrorKind::Invalid`] and [`ErrorKind::Codec`].
    pub fn encode(mut self) -> Result<EncodedJob, Error> {
        let (queue, job) = self.prepare()?;
        let queue = queue.inner.name.clone();
        Ok(EncodedJob { queue, job })
    }
}

impl EncodedJob {
    /// The name of the queue it is for.
    #[must_use]
    pub fn queue(&self) -> &str {
        self.queue.as_str()
    }

    /// The id that the job has, or will have.
    #[must_use]
    pub fn job_id(&self) -> &JobId {
        &self.job.id
    }

    /// The key that the job is [ordered by](crate::Enqueue::ordered_by), if there is one.
    #[must_use]
    pub fn ordered_by(&self) -> Option<String> {
        self.job.record.order_key()
    }

    /// The value of one of its [headers](crate::Enqueue::header), if it has it.
    #[must_use]
    pub fn header(&self, key: &str) -> Option<String> {
        let record = self.job.record.read().ok()?;
        let mut headers = record.headers.into_iter();
        headers.find_map(|(known, value)| (known == key).then_some(value))
    }

    /// The same with this header, which replaces one of that name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] as for [`Enqueue::header`](crate::Enqueue::header): all headers of a job have 1,024 bytes at most, names and values together.
    pub fn with_header(mut self, key: &str, value: &str) -> Result<Self, Error> {
        let record = self.job.record.with_header(key, value);
        self.job.record = record.map_err(|error| error.with_job(&self.job.id))?;
        Ok(self)
    }

    /// How it is kept.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let message = Message::Forward {
            target: self.queue.as_str().to_owned(),
            message: Message::Job(self.job.clone()).encode(),
        };
        message.encode()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] for bytes that are something else, were cut off, or that only a newer version can read.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let unreadable = || {
            Error::new(
                ErrorKind::Codec,
                format!(
                    "{} bytes are no request to enqueue a job, or only a newer version of oxcart can read them",
                    bytes.len()
                ),
            )
        };
        let Some(Message::Forward { target, message }) = Message::decode(bytes) else {
            return Err(unreadable());
        };
        let Some(Message::Job(job)) = Message::decode(&message) else {
            return Err(unreadable());
        };
        let queue = QueueName::new(&target)?;
        JobId::new(job.id.as_str())?;
        job.record
            .read()
            .map_err(|error| unreadable().with_source(error).with_job(&job.id))?;
        Ok(Self { queue, job })
    }

    /// Whether this queue takes it now; what was asked when it was made may have changed.
    pub(super) async fn check(&self, queue: &Queue) -> Result<(), Error> {
        let id = &self.job.id;
        self.check_here(queue).map_err(|error| error.with_job(id))?;
        let weight = self.job.record.weight();
        let checked = queue.inner.check_weight(weight).await;
        checked.map_err(|error| error.with_job(id))
    }

    fn check_here(&self, queue: &Queue) -> Result<(), Error> {
        if self.queue() != queue.name() {
            return Err(Error::invalid(format!(
                "a job for the queue `{}` is among those for `{}`",
                self.queue(),
                queue.name()
            )));
        }
        let record = self.job.record.read()?;
        check_payload_size(&record.name, &record.payload, queue.inner.setup.payload_max)
    }
}

/// Without the payload: what is in it is the application's, and may be secret.
impl fmt::Debug for EncodedJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedJob")
            .field("queue", &self.queue())
            .field("id", self.job_id())
            .field("bytes", &self.job.bytes())
            .finish_non_exhaustive()
    }
}
