//! What one attempt knows of the durable steps of its job: which are stored, which it has called, and what it waits for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as Waking, Poll};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use tokio::sync::OnceCell;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::job::outcome::Ending;
use crate::policy::steps::{STEPS_MAX, StepKind, StoredStep, check_name};
use crate::queue::Queue;
use crate::queue::saga::{OWED, reason_in};
use crate::service::lease::Lease;
use crate::store::BATCH_BYTES;
use crate::store::backend::Apply;
use crate::store::step::{Step, Stored, What};
use crate::store::steps::Steps as ReadSteps;
use crate::time::ServerClock;

/// How long it takes until what an attempt has done is offered to Redis again, after trouble.
const AGAIN: Duration = Duration::from_millis(250);

/// What is stored, and what the server's clock says.
pub(crate) struct Known {
    steps: BTreeMap<u32, StoredStep>,
    pub(crate) cursor: Option<Vec<u8>>,
    /// Whether the job is a saga: what is stored of that.
    undo: Option<Vec<u8>>,
    clock: Option<ServerClock>,
}

impl Known {
    /// Whether a step of a saga has begun.
    pub(crate) fn is_saga(&self) -> bool {
        self.undo.is_some()
    }

    /// Why the job is to be undone, if it is a saga that is.
    pub(crate) fn undoing(&self) -> Option<String> {
        let why = self.undo.as_deref().filter(|undo| *undo != OWED);
        why.map(reason_in)
    }

    pub(crate) fn kind(&self, number: u32) -> Option<StepKind> {
        self.steps.get(&number).map(|step| step.kind)
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = (u32, &StoredStep)> {
        self.steps.iter().map(|(number, step)| (*number, step))
    }
}

/// The steps of one attempt.
#[derive(Default)]
pub(crate) struct Steps {
    called: Mutex<Called>,
    known: OnceCell<Known>,
    /// Nothing more is stored: the attempt is put aside.
    closed: CancellationToken,
}

#[derive(Default)]
struct Called {
    names: Vec<String>,
    /// How many run now. As long as one does, the attempt goes on.
    running: usize,
    /// The steps that are waited for, and when they are due.
    waiting: BTreeMap<u32, Option<u64>>,
    /// Something beside the handler has just ended: the handler has to see it before the attempt is put aside.
    has_ended_beside: bool,
}

/// Where the worker hears that an attempt waits.
#[derive(Default)]
pub(crate) struct Suspension {
    waker: AtomicWaker,
}

/// An attempt waits, and does nothing else.
pub(crate) struct Suspended {
    pub(crate) steps: Vec<u32>,
    pub(crate) after: Option<Duration>,
}

impl Steps {
    fn called(&self) -> MutexGuard<'_, Called> {
        self.called.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The handler calls a step. Its number is that of the call, and not of the first poll: steps that are joined have the same
    /// numbers in each attempt.
    pub(crate) fn call(&self, name: &str) -> Result<u32, Error> {
        check_name(name)?;
        let mut called = self.called();
        if let Some(at) = called.names.iter().position(|known| known == name) {
            return Err(Error::invalid(format!(
                "step {} is called `{name}`, and so is step {}: each step of a job has a name of its own \
                 (in a loop: `format!(\"{name} {{n}}\")`)",
                called.names.len() + 1,
                at + 1
            )));
        }
        let number = called.names.len() as u32 + 1;
        if number > STEPS_MAX {
            return Err(Error::invalid(format!(
                "`{name}` would be step {number}; a job has {STEPS_MAX} at most \
                 (for long loops there is `Context::checkpoint`)"
            )));
        }
        called.names.push(name.to_owned());
        Ok(number)
    }

    /// From here on something runs that the attempt is not put aside for.
    pub(crate) fn run<'a>(&'a self, suspension: &'a Suspension) -> Runs<'a> {
        self.called().running += 1;
        Runs(self, suspension)
    }

    /// As [`run`](Self::run), for a task beside the handler.
    pub(crate) fn begin_beside(&self) {
        self.called().running += 1;
    }

    /// The task has ended, and the handler has been told.
    pub(crate) fn ended_beside(&self, suspension: &Suspension) {
        let mut called = self.called();
        called.running -= 1;
        called.has_ended_beside = true;
        drop(called);
        suspension.waker.wake();
    }

    /// Whether the handler, which waits for steps, may not have seen yet what has ended beside it.
    fn is_behind(&self) -> bool {
        let mut called = self.called();
        std::mem::take(&mut called.has_ended_beside) && !called.waiting.is_empty()
    }

    /// What the handler calls the step of this number.
    pub(crate) fn name(&self, number: u32) -> Option<String> {
        let at = number.checked_sub(1)? as usize;
        self.called().names.get(at).cloned()
    }

    /// Whether the attempt does nothing but wait for some of its steps.
    fn suspended(&self) -> Option<Suspended> {
        let called = self.called();
        if called.waiting.is_empty() || called.running > 0 {
            return None;
        }
        let clock = self.known.get().and_then(|known| known.clock);
        let due_ms = called.waiting.values().flatten().min();
        let after = due_ms
            .zip(clock)
            .map(|(due_ms, clock)| Duration::from_millis(due_ms.saturating_sub(clock.now_ms())));
        let steps = called.waiting.keys().copied().collect();
        Some(Suspended { steps, after })
    }
}

/// A step that runs.
pub(crate) struct Runs<'a>(&'a Steps, &'a Suspension);

impl Drop for Runs<'_> {
    fn drop(&mut self) {
        self.0.called().running -= 1;
        // A step of a task that the handler has spawned: the handler itself may not be polled now.
        self.1.waker.wake();
    }
}

/// A step that is waited for, until the wait is dropped.
struct Waits<'a>(&'a Steps, u32);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.called().waiting.remove(&self.1);
    }
}

impl Suspension {
    /// Ready when the attempt waits and does nothing else. To be polled behind the handler, in the same task.
    pub(crate) fn poll(&self, steps: Option<&Steps>, waking: &mut Waking<'_>) -> Poll<Suspended> {
        self.waker.register(waking.waker());
        if steps.is_some_and(Steps::is_behind) {
            waking.waker().wake_by_ref();
            return Poll::Pending;
        }
        match steps.and_then(|steps| Some((steps, steps.suspended()?))) {
            Some((steps, suspended)) => {
                steps.closed.cancel();
                Poll::Ready(suspended)
            }
            None => Poll::Pending,
        }
    }
}

/// What a step of one attempt needs to be read and stored.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) queue: Queue,
    pub(crate) lease: Arc<Lease>,
    /// Earlier attempts have stored something.
    pub(crate) has_stored: bool,
}

impl Store {
    /// What earlier attempts have stored. It is read once, unless there can be nothing.
    pub(crate) async fn known<'a>(&self, steps: &'a Steps) -> Result<&'a Known, Error> {
        steps.known.get_or_try_init(|| self.read()).await
    }

    pub(crate) async fn read(&self) -> Result<Known, Error> {
        let mut known = Known {
            steps: BTreeMap::new(),
            cursor: None,
            undo: None,
            clock: None,
        };
        let mut from = self.has_stored.then_some(1);
        while let Some(first) = from {
            let (id, bytes) = (self.lease.id.as_str(), BATCH_BYTES);
            let verb = ReadSteps {
                id,
                from: first,
                bytes,
                cut: None,
            };
            let page = self.lasting(&verb).await?;
            for (number, stored, _) in &page.steps {
                let step =
                    StoredStep::decode(stored).map_err(|error| error.with_job(&self.lease.id))?;
                known.steps.insert(*number, step);
            }
            if first == 1 {
                known.cursor = page.cursor;
                known.undo = page.undo;
                known.clock = Some(ServerClock::heard_now(page.now_ms));
                self.hear_request(page.request.as_deref());
            }
            from = page.next;
        }
        Ok(known)
    }

    /// The job is to be cancelled: the handler hears it before it goes on.
    fn hear_request(&self, request: Option<&[u8]>) {
        let request = request.map(|request| codec::decode_plain("a request", request));
        if let Some(Ok(Ending::Cancelled(reason))) = request {
            self.lease.cancel_for(reason);
        }
    }

    /// Calls a verb that may be repeated, until it is answered or the lease is over: what has been done is not to be done
    /// again because Redis was away for a moment.
    pub(crate) async fn lasting<V: Apply>(&self, verb: &V) -> Result<V::Answer, Error> {
        loop {
            match self.queue.inner.call(verb).await {
                Err(error) if error.is_retryable() && !self.lease.is_over() => sleep(AGAIN).await,
                Err(error) => return Err(error.with_job(&self.lease.id)),
                Ok(answer) => return Ok(answer),
            }
        }
    }

    pub(crate) async fn checkpoint(&self, value: &[u8]) -> Result<(), Error> {
        self.store(What::Checkpoint, value).await?;
        Ok(())
    }

    async fn store(&self, what: What<'_>, value: &[u8]) -> Result<Stored, Error> {
        let verb = Step {
            id: &self.lease.id,
            receipt: &self.lease.receipt,
            what,
            value,
        };
        let stored = self.lasting(&verb).await?;
        match stored {
            Stored::LeaseLost => Err(self.refused()),
            stored => Ok(stored),
        }
    }

    /// Another attempt has the job.
    pub(crate) fn refused(&self) -> Error {
        self.lease.lose(Instant::now());
        let message = format!(
            "a step of job {} was refused: this attempt (fence {}) no longer holds it; stop working on it",
            self.lease.id, self.lease.fence
        );
        Error::new(ErrorKind::LeaseLost, message).with_job(&self.lease.id)
    }
}

/// One step that the handler has called.
pub(crate) struct Call<'a> {
    pub(crate) steps: &'a Steps,
    pub(crate) suspension: &'a Suspension,
    pub(crate) store: &'a Store,
    pub(crate) number: u32,
    pub(crate) name: &'a str,
}

impl Call<'_> {
    /// What is stored of it. `expected`: what it may be.
    pub(crate) async fn stored(&self, expected: &[StepKind]) -> Result<Option<StoredStep>, Error> {
        if self.steps.closed.is_cancelled() {
            return Err(self.closed());
        }
        let known = self.store.known(self.steps).await?;
        let stored = known.steps.get(&self.number).cloned();
        stored
            .map(|stored| self.check(stored, expected))
            .transpose()
    }

    pub(crate) fn check(
        &self,
        stored: StoredStep,
        expected: &[StepKind],
    ) -> Result<StoredStep, Error> {
        if stored.name == self.name && expected.contains(&stored.kind) {
            return Ok(stored);
        }
        let (number, name) = (self.number, self.name);
        let what = |kind| match kind {
            StepKind::Done => "a step",
            StepKind::Begun | StepKind::Failed | StepKind::Undone | StepKind::Skipped => {
                "a step of a saga"
            }
            StepKind::Sleep => "a sleep",
            StepKind::Wait | StepKind::Signal | StepKind::Over => "a wait",
            StepKind::Children => "a wait for children",
        };
        let (before, now) = (what(stored.kind), what(expected[0]));
        let message = format!(
            "the steps of job {} have changed since it began: its step {number} is {before} named `{}` as it is stored, \
             and {now} named `{name}` as the handler calls it. Nothing of it was done. Bring back the \
             earlier handler, or enqueue the job anew",
            self.store.lease.id, stored.name
        );
        Err(Error::new(ErrorKind::Incompatible, message).with_job(&self.store.lease.id))
    }

    /// Stores it. Another one that is stored by now, if there is one: that counts.
    pub(crate) async fn store(
        &self,
        kind: StepKind,
        after_ms: Option<u64>,
        value: &[u8],
        expected: &[StepKind],
    ) -> Result<(u64, Option<StoredStep>), Error> {
        let what = What::Step {
            number: self.number,
            kind,
            name: self.name,
            after_ms,
        };
        match self.store.store(what, value).await? {
            Stored::There { now_ms, stored } => {
                let stored = StoredStep::decode(&stored)?;
                Ok((now_ms, Some(self.check(stored, expected)?)))
            }
            Stored::Yes { now_ms } => Ok((now_ms, None)),
            Stored::LeaseLost => Err(self.closed()),
        }
    }

    /// The server's clock, as far as it is known: it was heard when the stored steps were read.
    pub(crate) fn is_past(&self, due_ms: u64) -> bool {
        let clock = self.steps.known.get().and_then(|known| known.clock);
        clock.is_some_and(|clock| clock.now_ms() >= due_ms)
    }

    /// The attempt waits, and comes no further: its worker ends it once nothing of it runs. It does come further in a task that the handler has
    /// spawned, with an error.
    pub(crate) async fn waits(&self, due_ms: Option<u64>) -> Error {
        self.steps.called().waiting.insert(self.number, due_ms);
        let _waits = Waits(self.steps, self.number);
        self.suspension.waker.wake();
        self.steps.closed.cancelled().await;
        self.closed()
    }

    fn closed(&self) -> Error {
        let message = format!(
            "step `{}` of job {} was called by an attempt that has ended",
            self.name, self.store.lease.id
        );
        Error::new(ErrorKind::LeaseLost, message).with_job(&self.store.lease.id)
    }
}
