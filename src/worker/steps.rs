//! Durable steps, as a handler calls them: what is done once for a job, whatever number of attempts it takes.

mod alone;
mod attempt;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, Dialect};
use crate::error::Error;
use crate::job::failure::Failure;
use crate::policy::steps::StepKind;
use crate::time::{WAIT_MAX, millis};
use crate::worker::context::Context;

pub(crate) use alone::Alone;
use attempt::Runs;
pub(crate) use attempt::{Call, Known, Steps, Store, Suspended, Suspension};

const STEP: &str = "a step's output";
const SIGNAL: &str = "a signal's value";
const CHECKPOINT: &str = "a job's checkpoint";

/// What a handler has called, with its number; or why there is no such step.
pub(crate) struct Called {
    pub(crate) context: Context,
    pub(crate) name: String,
    number: Result<u32, Error>,
}

impl Called {
    pub(crate) fn number(&mut self) -> Result<u32, Failure> {
        std::mem::replace(&mut self.number, Ok(0)).map_err(|error| mistake(error, &self.context))
    }
}

/// An error that no further attempt mends: the handler has to be changed.
pub(crate) fn mistake(error: Error, context: &Context) -> Failure {
    Failure::dead(error.with_job(context.id()))
}

/// An error of the store. If the handler or what is stored has to be changed, no attempt mends it.
pub(crate) fn trouble(error: Error) -> Failure {
    match error.kind() {
        crate::ErrorKind::Incompatible | crate::ErrorKind::Invalid | crate::ErrorKind::Codec => {
            Failure::dead(error)
        }
        _ => Failure::retry(error),
    }
}

impl Context {
    pub(crate) fn steps(&self) -> &Steps {
        self.inner.steps.get_or_init(Box::default)
    }

    pub(crate) fn step_store(&self) -> Store {
        Store {
            queue: self.inner.queue.clone(),
            lease: self.inner.lease.clone(),
            has_stored: self.inner.has_steps,
        }
    }

    pub(crate) fn called(&self, name: &str) -> Called {
        Called {
            context: self.clone(),
            name: name.to_owned(),
            number: self.number(name),
        }
    }

    fn number(&self, name: &str) -> Result<u32, Error> {
        if self.inner.saga.get().is_some_and(|course| course.undoes()) {
            return Err(Error::invalid(format!(
                "`{name}`: an undo of a saga has no steps of its own, and cannot sleep or wait for a signal"
            )));
        }
        self.steps().call(name)
    }

    /// From here on something runs that the attempt is not put aside for.
    pub(crate) fn runs(&self) -> Runs<'_> {
        self.steps().run(&self.inner.suspension)
    }

    pub(crate) fn call<'a>(&'a self, store: &'a Store, number: u32, name: &'a str) -> Call<'a> {
        Call {
            steps: self.steps(),
            suspension: &self.inner.suspension,
            store,
            number,
            name,
        }
    }

    /// Whether the size of a value is within what is allowed.
    pub(crate) fn check_size(&self, what: &str, value: &[u8]) -> Result<(), Error> {
        let max = self.inner.queue.inner.setup.payload_max;
        if value.len() <= max {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{what} has {} bytes; {max} are allowed (OxcartBuilder::payload_max)",
            value.len()
        ))
        .with_job(self.id()))
    }

    /// A part of the work that is done once for the job, whatever number of attempts that takes. What `run` gives is stored, under
    /// the fence of the attempt; each later attempt gets the stored value, and `run` is not called.
    ///
    /// Steps are known by the order in which the handler calls them, and by their names. So what the handler does between two steps must
    /// lead to the same steps in each attempt: what comes from outside (a clock, a random number, a row that may change) belongs into
    /// a step. If a later attempt calls another name at a number, because a deploy has changed the handler, nothing is run, and the job
    /// is dead with an error that names both. Each step of a job has a name of its own; a job has at most 256 steps, with those of
    /// [`sleep`](Self::sleep) and [`wait_for`](Self::wait_for).
    ///
    /// An error of `run` is returned, and nothing is stored: the next attempt calls it again.
    ///
    /// **Once, or at least once?** A step whose output is stored never runs again. Between the effect and the moment when the output is stored,
    /// the process may die, or the lease end: then the next attempt runs the step once more. So an effect on another
    /// system is made harmless to repeat, with a key that is the same in each attempt: the job's id and the name of the step. While Redis is away the
    /// attempt tries to store the output for as long as it holds the job.
    ///
    /// ```
    /// use oxcart::{Context, Failure};
    /// # struct Bank; impl Bank { async fn charge(&self, key: &str, cents: u64) -> Result<String, std::io::Error> { Ok("r1".into()) } }
    ///
    /// async fn pay(bank: &Bank, context: Context) -> Result<(), Failure> {
    ///     let key = format!("{} charge", context.id());
    ///     let receipt: String = context
    ///         .step("charge", async || Ok(bank.charge(&key, 4_200).await?))
    ///         .await?;
    ///     context.log(format!("paid: {receipt}"));
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `run`. And failures that are not retried: two steps of one name, a step too many, an output that is larger than a payload
    /// may be or that cannot be read back ([`Job`](crate::Job)), and a step that has changed, as said above. If another attempt has the job, nothing is stored, and
    /// the error is [`ErrorKind::LeaseLost`](crate::ErrorKind::LeaseLost).
    ///
    /// # Cancel safety
    ///
    /// A step that is dropped may have run without a trace, and runs again when a later attempt calls it. It must not be called again in the same attempt.
    pub fn step<T, F, Fut>(
        &self,
        name: &str,
        run: F,
    ) -> impl Future<Output = Result<T, Failure>> + use<T, F, Fut>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        let mut called = self.called(name);
        async move {
            const DONE: &[StepKind] = &[StepKind::Done];
            let number = called.number()?;
            let Called { context, name, .. } = called;
            if context.inner.alone.is_some() {
                return run().await;
            }
            let store = context.step_store();
            let call = context.call(&store, number, &name);
            // As long as it runs, no wait beside it puts the attempt aside: what has begun is stored.
            let _runs = context.runs();
            if let Some(stored) = call.stored(DONE).await.map_err(trouble)? {
                return codec::decode(STEP, &stored.value, Dialect::Readable).map_err(trouble);
            }
            context.refuse_if_undoing(&store).await?;
            let output = run().await?;
            // From here to the stored output is where a process that dies leaves an effect that is repeated.
            let value = codec::encode_to_be_read(STEP, &output).map_err(trouble)?;
            let what = format!("the output of step `{name}`");
            context.check_size(&what, &value).map_err(trouble)?;
            call.store(StepKind::Done, None, &value, DONE)
                .await
                .map_err(trouble)?;
            Ok(output)
        }
    }

    /// The job sleeps: it is put aside, for minutes or months, without a slot, a lease or a burnt attempt. When it is due, a
    /// worker runs its handler again from the beginning, which comes past here at once: the moment is stored as a [step](Self::step) of this
    /// name.
    ///
    /// As long as it is not due, the handler does not come past this await: its worker **drops** the handler's future, with all that
    /// lies in it (locals, guards, requests under way), and ends the attempt as [`Outcome::Suspended`](crate::Outcome::Suspended). If a step
    /// runs beside it (`join!`), the worker waits until that is stored. A future that is no step is dropped in its middle.
    ///
    /// ```
    /// use oxcart::{Context, Failure};
    /// use std::time::Duration;
    /// # async fn send(_: &str) -> Result<(), Failure> { Ok(()) }
    ///
    /// async fn welcome(context: Context) -> Result<(), Failure> {
    ///     context.step("hello", async || send("hello").await).await?;
    ///     context.sleep("three days", Duration::from_secs(3 * 86_400)).await?;
    ///     context.step("tips", async || send("tips").await).await
    /// }
    /// ```
    ///
    /// The length is at most 10 years; a longer one counts as that. In a test of a handler alone (`Context::builder()`) the time is over at once.
    ///
    /// # Errors
    ///
    /// Those of a [step](Self::step); and in a batch, whose jobs have one handler together, a failure that is not retried.
    ///
    /// # Cancel safety
    ///
    /// A sleep that is dropped, because something else was faster, goes on: the moment is stored.
    pub fn sleep(
        &self,
        name: &str,
        length: Duration,
    ) -> impl Future<Output = Result<(), Failure>> + use<> {
        let mut called = self.called(name);
        async move {
            const SLEEP: &[StepKind] = &[StepKind::Sleep];
            let number = called.number()?;
            let Called { context, name, .. } = called;
            if context.inner.alone.is_some() {
                return Ok(());
            }
            context.check_alone(&name)?;
            let store = context.step_store();
            let call = context.call(&store, number, &name);
            let due_ms = {
                let _runs = context.runs();
                match call.stored(SLEEP).await.map_err(trouble)? {
                    Some(stored) => stored.due_ms,
                    None => {
                        context.refuse_if_undoing(&store).await?;
                        let after_ms = millis(length.min(WAIT_MAX));
                        let stored = call.store(StepKind::Sleep, Some(after_ms), &[], SLEEP);
                        let (now_ms, stored) = stored.await.map_err(trouble)?;
                        let due_ms = stored.map_or(Some(now_ms + after_ms), |stored| stored.due_ms);
                        due_ms.filter(|due_ms| *due_ms > now_ms)
                    }
                }
            };
            match due_ms.filter(|due_ms| !call.is_past(*due_ms)) {
                None => Ok(()),
                // The last await that the handler reaches in this attempt.
                due_ms => {
                    context.refuse_if_undoing(&store).await?;
                    Err(trouble(call.waits(due_ms).await))
                }
            }
        }
    }

    /// The job waits for a signal: [`Queue::signal`](crate::Queue::signal), from any process, with the job's id and this name. Like a
    /// [sleep](Self::sleep) it puts the job aside, without a slot or a lease; the same is dropped. The value is stored, and each later
    /// attempt gets it. `None`: no signal has come within the time. That is stored as well: a signal that comes later is refused.
    ///
    /// `within` is a [`Duration`], or `None` to wait without end.
    ///
    /// ```
    /// use oxcart::{Context, Failure};
    /// use std::time::Duration;
    ///
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Approval { by: String }
    /// async fn publish(context: Context) -> Result<(), Failure> {
    ///     let week = Duration::from_secs(7 * 86_400);
    ///     match context.wait_for::<Approval>("approved", week).await? {
    ///         Some(approval) => context.log(format!("approved by {}", approval.by)),
    ///         None => return Err(Failure::cancel("nobody has approved it in a week")),
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// In a test of a handler alone (`Context::builder()`) the value is the one that the test has given, or none.
    ///
    /// # Errors
    ///
    /// Those of a [sleep](Self::sleep); and if the value cannot be read as a `T`, a failure that is not retried.
    ///
    /// # Cancel safety
    ///
    /// A wait that is dropped goes on: a signal is stored, and a later attempt gets it.
    pub fn wait_for<T: DeserializeOwned + 'static>(
        &self,
        name: &str,
        within: impl Into<Option<Duration>>,
    ) -> Pin<Box<dyn Future<Output = Result<Option<T>, Failure>> + Send>> {
        let mut called = self.called(name);
        let within = within.into();
        Box::pin(async move {
            let number = called.number()?;
            let Called { context, name, .. } = called;
            let value = match &context.inner.alone {
                Some(alone) => alone.signal(&name),
                None => context.wait(number, &name, within).await?,
            };
            let read = |value: Vec<u8>| codec::decode(SIGNAL, &value, Dialect::Readable);
            value.map(read).transpose().map_err(trouble)
        })
    }

    async fn wait(
        &self,
        number: u32,
        name: &str,
        within: Option<Duration>,
    ) -> Result<Option<Vec<u8>>, Failure> {
        const WAIT: &[StepKind] = &[StepKind::Wait, StepKind::Signal, StepKind::Over];
        self.check_alone(name)?;
        let store = self.step_store();
        let call = self.call(&store, number, name);
        let due_ms = {
            let _runs = self.runs();
            let known = call.stored(WAIT).await.map_err(trouble)?;
            let (now_ms, known) = match known {
                Some(known) => (None, Some(known)),
                None => {
                    self.refuse_if_undoing(&store).await?;
                    let after_ms = within.map(|within| millis(within.min(WAIT_MAX)));
                    let stored = call.store(StepKind::Wait, after_ms, &[], WAIT);
                    let (now_ms, known) = stored.await.map_err(trouble)?;
                    (after_ms.map(|after_ms| now_ms + after_ms), known)
                }
            };
            match known {
                None => now_ms,
                Some(known) if known.kind == StepKind::Signal => return Ok(Some(known.value)),
                Some(known) if known.kind == StepKind::Over => return Ok(None),
                Some(known) if known.due_ms.is_some_and(|due_ms| call.is_past(due_ms)) => {
                    // The end is stored first: a signal that comes now must not change what a later attempt does.
                    let over = call.store(StepKind::Over, None, &[], WAIT);
                    match over.await.map_err(trouble)?.1 {
                        None => return Ok(None),
                        Some(known) if known.kind == StepKind::Signal => {
                            return Ok(Some(known.value));
                        }
                        Some(known) if known.kind == StepKind::Over => return Ok(None),
                        Some(known) => known.due_ms,
                    }
                }
                Some(known) => known.due_ms,
            }
        };
        self.refuse_if_undoing(&store).await?;
        // The last await that the handler reaches in this attempt. A signal that has come since is seen when the attempt ends.
        Err(trouble(call.waits(due_ms).await))
    }

    /// Jobs of a batch have one handler together, which cannot end for one of them.
    /// A saga that is to be undone waits for nothing more.
    pub(crate) async fn refuse_if_undoing(&self, store: &Store) -> Result<(), Failure> {
        match self.inner.saga.get() {
            Some(course) => course.refuse_if_undoing(self, store).await,
            None => Ok(()),
        }
    }

    pub(crate) fn check_alone(&self, name: &str) -> Result<(), Failure> {
        match self.ends {
            None => Ok(()),
            Some(_) => Err(mistake(
                Error::invalid(format!(
                    "`{name}`: a handler that takes several jobs cannot sleep, or wait for a signal or for children, for one of them"
                )),
                self,
            )),
        }
    }

    /// Remembers how far a long loop has come: any value, which replaces the last one, under the fence of the attempt. A later attempt asks for it
    /// ([`last_checkpoint`](Self::last_checkpoint)), and goes on from there. It is no [step](Self::step), and has no number.
    ///
    /// ```
    /// use oxcart::{Context, Failure};
    /// # async fn import(_: u64) -> Result<(), Failure> { Ok(()) }
    ///
    /// async fn rows(context: Context) -> Result<(), Failure> {
    ///     let first = context.last_checkpoint::<u64>().await?.unwrap_or(0);
    ///     for row in first..1_000_000 {
    ///         import(row).await?;
    ///         if row % 1_000 == 999 {
    ///             context.checkpoint(&(row + 1)).await?;
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// What was done since the last checkpoint is done again, so it must be harmless to repeat.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LeaseLost`](crate::ErrorKind::LeaseLost) if another attempt has the job; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a value larger than a payload may
    /// be; [`ErrorKind::Codec`](crate::ErrorKind::Codec).
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn checkpoint<C: Serialize + Sync + ?Sized>(&self, cursor: &C) -> Result<(), Error> {
        let value = codec::encode(CHECKPOINT, cursor)?;
        self.check_size("the checkpoint", &value)?;
        match &self.inner.alone {
            Some(alone) => alone.checkpoint(value),
            None => self.step_store().checkpoint(&value).await?,
        }
        Ok(())
    }

    /// The last [`checkpoint`](Self::checkpoint) of the attempts before this one; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`](crate::ErrorKind::Codec) if it cannot be read as a `C`; and if Redis does not answer for as long as the attempt holds the job.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn last_checkpoint<C: DeserializeOwned>(&self) -> Result<Option<C>, Error> {
        let cursor = match &self.inner.alone {
            Some(alone) => alone.cursor(),
            None => {
                let store = self.step_store();
                store.known(self.steps()).await?.cursor.clone()
            }
        };
        let read = |cursor: Vec<u8>| codec::decode(CHECKPOINT, &cursor, Dialect::Readable);
        cursor.map(read).transpose()
    }
}
