//! Jobs that leave a queue as CloudEvents, and CloudEvents that become jobs.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::error::Error;
use crate::id::JobId;
use crate::job::Job;
use crate::job::cloud_event::{CloudEvent, Described};
use crate::queue::Queue;
use crate::queue::enqueue::Enqueue;
use crate::queue::info::JobInfo;

/// The type of jobs and events that were made of a [`CloudEvent`]: their name and their payload are those of the event. Await the result of such a job only
/// if its handler gives back nothing; [`Queue::job`] tells any.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Untyped;

impl Job for Untyped {
    /// Each of them has the name of its event instead.
    const NAME: &'static str = "untyped";
    type Output = ();
}

impl fmt::Debug for Untyped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Untyped")
    }
}

impl Queue {
    /// A job of this queue as a [`CloudEvent`], whose data is the payload: as the type of the job, or as a type that holds any value. Secret fields are masked, as in
    /// [`JobInfo::payload`], unless they were [revealed](JobInfo::reveal). The payload is given in the version in which it is stored, and the attribute `schemaversion` tells which.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(billing: Queue, id: JobId) -> Result<(), Box<dyn std::error::Error>> {
    /// if let Some(job) = billing.job(&id).await? {
    ///     let event: CloudEvent<serde_json::Value> = billing.cloud_event(&job)?;
    ///     println!("{}", serde_json::to_string(&event)?);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`](crate::ErrorKind::Codec) if the payload cannot be read as a `D`, or is in a [store](crate::ClaimCheck): [`load_payload`](Self::load_payload) gets it.
    pub fn cloud_event<D: DeserializeOwned>(&self, job: &JobInfo) -> Result<CloudEvent<D>, Error> {
        let described = Described {
            id: &job.id,
            name: &job.name,
            source: self.inner.source(),
            headers: &job.headers,
            enqueued_at: job.enqueued_at,
            version: job.version,
        };
        Ok(CloudEvent::of(&described, job.whole_payload()?))
    }

    /// A request to enqueue a job that is made of a [`CloudEvent`]: its id, its name and its payload are those of the event, and what else the event says
    /// travels as headers, within their 1,024 bytes. Set what else it needs, then await it. An event whose id is in the queue is not enqueued again.
    ///
    /// Nobody checks that the data is what jobs of that name have. If it is not, no handler can read the job: it is handed back, and dead in the end. Data
    /// without the attribute `schemaversion` is of version 1. Which fields are [secret](Job::SECRET) is not known, and they are shown. If this program knows the type, use
    /// [`enqueue_typed_event`](Self::enqueue_typed_event).
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(billing: Queue) -> Result<(), Box<dyn std::error::Error>> {
    /// let text = r#"{"specversion": "1.0", "id": "17", "type": "charge", "source": "/shop", "data": {"order": 17}}"#;
    /// let event: CloudEvent<serde_json::Value> = serde_json::from_str(text)?;
    /// billing.enqueue_event(event).attempts(3).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Awaiting it gives [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an event that is not as CloudEvents 1.0 says, whose id or type cannot be those of a job, or whose data
    /// is binary (`data_base64`); otherwise as [`Enqueue`].
    pub fn enqueue_event<D: Serialize>(&self, event: CloudEvent<D>) -> Enqueue<Untyped> {
        Enqueue::of_event(self, event)
    }

    /// The same for data that this program knows: the job has the options, the [secret fields](Job::SECRET) and the [version](Job::VERSION) of its type.
    ///
    /// ```
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct Charge { order: u64, card: String }
    /// impl Job for Charge {
    ///     const NAME: &'static str = "charge";
    ///     const SECRET: &'static [&'static str] = &["card"];
    ///     type Output = ();
    /// }
    ///
    /// # async fn example(billing: Queue) -> Result<(), Box<dyn std::error::Error>> {
    /// let text = r#"{"specversion": "1.0", "id": "17", "type": "charge", "source": "/shop", "data": {"order": 17, "card": "4111"}}"#;
    /// let event: CloudEvent<Charge> = serde_json::from_str(text)?;
    /// billing.enqueue_typed_event(event).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`enqueue_event`](Self::enqueue_event); and [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an event of another type, without data, or whose `schemaversion` is not the
    /// version of the type.
    pub fn enqueue_typed_event<J: Job>(&self, event: CloudEvent<J>) -> Enqueue<J> {
        Enqueue::of_typed_event(self, event)
    }
}

impl<J: Job> Enqueue<J> {
    pub(crate) fn of_typed_event(queue: &Queue, mut event: CloudEvent<J>) -> Self {
        let data = event.data.take();
        let read = || {
            event.check_type(J::NAME, J::VERSION)?;
            let id = JobId::new(&event.id)?;
            let absent = || Error::invalid(format!("the CloudEvent {:?} has no data", event.id));
            Ok((id, data.ok_or_else(absent)?))
        };
        let request = match read() {
            Err(error) => return Self::failed(error),
            Ok((id, data)) => queue.enqueue(data).id(id),
        };
        request.with_headers_of(&event)
    }

    fn with_headers_of<D>(self, event: &CloudEvent<D>) -> Self {
        let headers = event.headers();
        headers.fold(self, |request, (name, value)| request.header(name, value))
    }
}

impl Enqueue<Untyped> {
    pub(crate) fn of_event<D: Serialize>(queue: &Queue, event: CloudEvent<D>) -> Self {
        let read = || {
            event.check()?;
            let (id, version) = (JobId::new(&event.id)?, event.version()?);
            let payload = codec::encode("the data of a CloudEvent", &event.data)?;
            Ok((id, version, payload))
        };
        let request = match read() {
            Err(error) => return Self::failed(error),
            Ok((id, version, payload)) => {
                let request = Self::encoded(queue, payload).id(id).version(version);
                request.named(event.name.clone())
            }
        };
        request.with_headers_of(&event)
    }
}
