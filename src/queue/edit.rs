//! Changing a job that does not run yet.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::mem;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::Job;
use crate::job::options::JobOptions;
use crate::job::record::{OtherPayload, edited, stored_ticket};
use crate::job::state::State;
use crate::job::version::check_version;
use crate::queue::Queue;
use crate::queue::admin::Changed;
use crate::store::edit::{self as store, Edited, Rewrite};
use crate::store::enqueue::Due;
use crate::store::get::Get;
use crate::time::{Timestamp, millis};

/// A payload that a job is to get.
struct Payload {
    /// The name of the jobs that it is for.
    name: Cow<'static, str>,
    bytes: Vec<u8>,
    version: u32,
    /// It is to go to a store, and is the ticket when it is there.
    goes: bool,
}

/// A payload, if it could be encoded.
type Encoded = Result<Vec<u8>, Error>;

/// How often it is tried again because another edit was faster.
const TRIES: usize = 32;

/// A request to change a job that waits, is delayed (also between two attempts) or is dead ([`Queue::edit`]): say what is to be
/// different, then
/// await it. All of it is done at once, or nothing.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] if nothing is to be changed, an option is out of range, the payload is of another type than the
/// job, or a job with an [order](crate::Order) is to get another priority;
/// [`ErrorKind::Codec`] if it cannot be encoded; [`ErrorKind::PayloadStore`] if it is to go to a [store](crate::ClaimCheck) that does not take it; [`ErrorKind::Incompatible`] if a newer version wrote the job and its
/// payload or attempts are to be changed; and if Redis does not answer; see [`Queue`]. None of them has changed anything,
/// but [`ErrorKind::Unknown`] may have.
///
/// # Cancel safety
///
/// A request that is dropped while it is awaited may or may not be carried out; repeating it is harmless.
#[must_use = "nothing is changed until it is awaited"]
pub struct Edit {
    queue: Queue,
    id: JobId,
    options: JobOptions,
    due: Option<Due>,
    /// With the name and the version of its type.
    payload: Option<(&'static str, u32, Encoded)>,
    /// The name of the job, if its type has another one.
    name: Option<String>,
    /// The version of the payload, if its type has another one.
    version: Option<u32>,
}

impl Edit {
    pub(crate) fn new(queue: &Queue, id: &JobId) -> Self {
        Self {
            queue: queue.clone(),
            id: id.clone(),
            options: JobOptions::new(),
            due: None,
            payload: None,
            name: None,
            version: None,
        }
    }

    /// 0 to 1023, lower first. A job that gets another priority goes to the back of it; a job of a group, within its group. Not for a
    /// job with an order.
    pub fn priority(mut self, priority: u16) -> Self {
        self.options = self.options.priority(priority);
        self
    }

    /// How often the job is tried in all, from 1; what failed already counts. If that is as often or more, one attempt is left.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.options = self.options.attempts(attempts);
        self
    }

    /// Due so long from now on, by the server's clock; also a job that is in line. A job with an order keeps its place there: those
    /// behind it wait for it.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.due = Some(Due::After { ms: millis(delay) });
        self
    }

    /// Due at this moment; at once if it has passed.
    pub fn at(mut self, time: SystemTime) -> Self {
        let ms = Timestamp::from(time).as_millis();
        self.due = Some(Due::At { ms });
        self
    }

    /// Due now: a delayed job gets in line, at the back of its priority. A job that is in line stays where it is.
    pub fn now(mut self) -> Self {
        self.due = Some(Due::Now);
        self
    }

    /// Another payload, of the type that the job has.
    pub fn payload<J: Job>(mut self, job: &J) -> Self {
        let encoded = codec::encode_to_be_read("a job's payload", job);
        self.payload = Some((J::NAME, J::VERSION, encoded));
        self
    }

    /// The payload is for a job of this name, though its type has another one; see [`Enqueue::named`](crate::Enqueue::named). The
    /// name of the job itself stays.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The payload is of this version, though its type has another one; see [`Enqueue::version`](crate::Enqueue::version).
    pub fn version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }

    async fn send(mut self) -> Result<Changed, Error> {
        let mut payload = self.checked().map_err(|error| error.with_job(&self.id))?;
        self.queue.inner.asked("edit", &self.id).await?;
        // Objects of which the job has one afterwards, at most.
        let mut objects = Vec::new();
        if let Some(payload) = payload.as_mut().filter(|payload| payload.goes) {
            let bytes = mem::take(&mut payload.bytes);
            let put = self.queue.inner.put(&self.id, bytes, Duration::MAX).await;
            let ticket = put.map_err(|error| error.with_job(&self.id))?;
            payload.bytes = ticket.encode();
            objects.push((self.id.clone(), ticket.object));
        }
        let sent = self.try_to_edit(payload.as_ref(), &mut objects).await;
        // What was not answered may still be done.
        if !matches!(&sent, Err(error) if error.is_unknown()) {
            self.queue.inner.discard_unused(objects).await;
        }
        sent.map_err(|error| error.with_job(&self.id))
    }

    /// Finds all errors that can be found before anything is sent; the payload, if there is a new one.
    fn checked(&mut self) -> Result<Option<Payload>, Error> {
        let Some((name, version, payload)) = self.payload.take() else {
            self.check_options(false)?;
            return Ok(None);
        };
        let payload = payload?;
        self.check_options(true)?;
        let name = self.name.take().map_or(Cow::Borrowed(name), Cow::Owned);
        let setup = &self.queue.inner.setup;
        let goes = setup.check_payload(&name, &payload, true)?;
        let version = self.version.take().unwrap_or(version);
        check_version(&name, version)?;
        Ok(Some(Payload {
            name,
            bytes: payload,
            version,
            goes,
        }))
    }

    fn check_options(&self, has_payload: bool) -> Result<(), Error> {
        if self.options == JobOptions::new() && self.due.is_none() && !has_payload {
            return Err(Error::invalid(
                "there is nothing to change; say what: `queue.edit(&id).priority(10)`",
            ));
        }
        self.options.check()?;
        self.due.map_or(Ok(()), Due::check)
    }

    /// The same without an entry in the audit, which has one for all jobs of a [`Sweep`](crate::Sweep); of anything but the payload.
    pub(super) async fn unnoted(self) -> Result<Changed, Error> {
        self.try_to_edit(None, &mut Vec::new()).await
    }

    /// `objects`: gets the one that the job had until then, if it gets another payload.
    async fn try_to_edit(
        &self,
        payload: Option<&Payload>,
        objects: &mut Vec<(JobId, String)>,
    ) -> Result<Changed, Error> {
        let payload = payload.map(|payload| OtherPayload {
            name: &payload.name,
            bytes: &payload.bytes,
            version: Some(payload.version),
            is_ticket: payload.goes,
        });
        for _ in 0..TRIES {
            let told = match (payload, self.options.attempts) {
                (None, None) => self.call(None).await?,
                (payload, attempts) => {
                    let id = self.id.as_str();
                    let Some(found) = self.queue.inner.call(&Get { id }).await? else {
                        return Ok(Changed::NotFound);
                    };
                    if !self.may_be_edited(&found.state) {
                        return Changed::in_state(&found.state);
                    }
                    if payload.is_some() {
                        let ticket = stored_ticket(&found.record);
                        objects.extend(ticket.map(|it| (self.id.clone(), it.object)));
                    }
                    let (rest, payload) = edited(&found.record, payload, attempts)?;
                    let rewrite = Rewrite {
                        seen: &found.record,
                        rest: &rest,
                        payload: &payload,
                    };
                    self.call(Some(rewrite)).await?
                }
            };
            match told {
                Edited::Done => return Ok(Changed::Done),
                Edited::InState(state) => return Changed::in_state(&state),
                Edited::Missing => return Ok(Changed::NotFound),
                Edited::Changed => {}
                Edited::Ordered => {
                    return Err(Error::invalid(format!(
                        "job {} in `{}` has an order, which decides when it runs: its priority cannot be changed; all else can",
                        self.id,
                        self.queue.name()
                    )));
                }
            }
        }
        Err(Error::new(
            ErrorKind::Refused,
            format!(
                "job {} in `{}` is being changed by others all the time; try again",
                self.id,
                self.queue.name()
            ),
        ))
    }

    /// Of a dead job only the record can be changed.
    fn may_be_edited(&self, state: &str) -> bool {
        let moves = self.options.priority.is_some() || self.due.is_some();
        let states = [State::Waiting, State::Blocked, State::Delayed];
        states.map(State::as_str).contains(&state) || (state == State::Dead.as_str() && !moves)
    }

    async fn call(&self, rewrite: Option<Rewrite<'_>>) -> Result<Edited, Error> {
        let verb = store::Edit {
            id: &self.id,
            priority: self.options.priority,
            due: self.due,
            rewrite,
        };
        self.queue.inner.call(&verb).await
    }
}

/// Without the payload: what is in it is the application's, and may be secret.
impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit")
            .field("queue", &self.queue.name())
            .field("id", &self.id)
            .field("options", &self.options)
            .field("due", &self.due)
            .finish_non_exhaustive()
    }
}

impl IntoFuture for Edit {
    type Output = Result<Changed, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl Queue {
    /// Changes a job that waits, is delayed (also between two attempts) or is dead: its priority, when it is due, its payload, its
    /// attempts. It keeps its id, its history, and all that is not said. Readers of events get
    /// [`EventKind::Edited`](crate::EventKind::Edited).
    ///
    /// Nothing is changed of a job that runs ([`Changed::InState`] with `Active`) or has ended: its worker may have read
    /// it. A dead job gets another payload or other attempts, which hold when it is [replayed](Self::replay); its priority and due time
    /// are changed after that.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct Remind { user: u64 }
    /// # impl Job for Remind { const NAME: &'static str = "remind"; type Output = (); }
    /// # async fn example(queue: Queue, id: JobId) -> Result<(), Error> {
    /// queue.edit(&id).now().priority(10).await?;
    /// match queue.edit(&id).payload(&Remind { user: 8 }).attempts(3).await? {
    ///     Changed::Done => println!("it will remind another user"),
    ///     Changed::InState(state) => println!("too late: it is {state}"),
    ///     _ => println!("there is no such job"),
    /// }
    /// # Ok(()) }
    /// ```
    pub fn edit(&self, id: &JobId) -> Edit {
        Edit::new(self, id)
    }
}
