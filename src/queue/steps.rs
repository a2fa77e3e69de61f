//! Durable steps, for the people who look after jobs: what a job has done, and what it waits for.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::codec::{self, Dialect};
use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::outcome::Ending;
use crate::job::secret::masked;
use crate::job::state::State;
use crate::policy::flow::StepChildren;
use crate::policy::steps::{StepKind, StoredStep};
use crate::queue::Queue;
use crate::queue::info::JobInfo;
use crate::store::BATCH_BYTES;
use crate::store::steps::{Page, Steps};
use crate::time::Timestamp;

/// So much is read of a step whose output nobody asks for: more than what stands before it, and the longest error.
const WITHOUT_OUTPUT: usize = 5 * 1024;

/// The [durable steps](crate::Context::step) of a job, for the people who look after it ([`Queue::steps`]).
#[derive(Debug, Clone)]
#[must_use = "nothing is read until `info` is awaited"]
pub struct StepsHandle {
    queue: Queue,
    id: JobId,
    with_outputs: bool,
    revealed: bool,
}

/// What is stored of the steps of a job ([`StepsHandle::info`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepsInfo {
    /// Its steps, in the order in which its handler calls them; 256 at most.
    pub steps: Vec<StepInfo>,
    /// How large the last [checkpoint](crate::Context::checkpoint) is, in bytes, if there is one.
    pub checkpoint_size: Option<u64>,
    /// Why the job is to end, if it was asked to while it runs ([`Queue::cancel`]). It says nothing of a job that is not active any more: one that
    /// completed all the same keeps it.
    pub cancel_requested: Option<String>,
    checkpoint: Option<Value>,
}

/// A durable step, or a step of a saga.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepInfo {
    /// Its name; of a wait the name of the signal.
    pub name: String,
    /// What has become of it.
    pub state: StepState,
    /// When it came to that. Of a sleep, and of a wait that has no answer yet: when it began.
    pub at: Timestamp,
    /// When a sleep is, or was, over; and when a wait is over at the latest, if it has an end.
    pub due: Option<Timestamp>,
    /// How large the output is, or the value of the signal, in bytes as it is stored; 0 if there is none.
    pub size: u64,
    /// The error, if it has failed.
    pub error: Option<String>,
    output: Option<Value>,
}

/// What has become of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StepState {
    /// Of a saga: it has begun, and may or may not have taken effect.
    Begun,
    /// It was done.
    Done,
    /// Of a saga: it returned an error, and had no effect.
    Failed,
    /// Of a saga: it was done, and is undone.
    Undone,
    /// Of a saga: it was done, and its undo was left out ([`SagaHandle::skip_undo`](crate::SagaHandle::skip_undo)).
    Skipped,
    /// The job sleeps ([`Context::sleep`](crate::Context::sleep)) until the step is due.
    Sleeping,
    /// The job has slept.
    Slept,
    /// The job waits for a signal ([`Context::wait_for`](crate::Context::wait_for)): [`Queue::signal`] gives it.
    Waiting,
    /// The signal has come.
    Signalled,
    /// No signal has come in time.
    TimedOut,
    /// The job waits for children that it has added ([`Context::spawn_children`](crate::Context::spawn_children)). Once they have ended, the step is
    /// [`Done`](Self::Done).
    Children,
}

impl StepState {
    /// The state in one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Undone => "undone",
            Self::Skipped => "skipped",
            Self::Sleeping => "sleeping",
            Self::Slept => "slept",
            Self::Waiting => "waiting",
            Self::Signalled => "signalled",
            Self::TimedOut => "timed-out",
            Self::Children => "children",
        }
    }

    fn of(step: &StoredStep, now_ms: u64) -> Self {
        match step.kind {
            StepKind::Begun => Self::Begun,
            StepKind::Done => Self::Done,
            StepKind::Failed => Self::Failed,
            StepKind::Undone => Self::Undone,
            StepKind::Skipped => Self::Skipped,
            StepKind::Sleep if step.due_ms.is_some_and(|due_ms| due_ms <= now_ms) => Self::Slept,
            StepKind::Sleep => Self::Sleeping,
            StepKind::Wait => Self::Waiting,
            StepKind::Signal => Self::Signalled,
            StepKind::Over => Self::TimedOut,
            StepKind::Children => match StepChildren::decode(&step.value) {
                Ok(children) if !children.is_over() => Self::Children,
                _ => Self::Done,
            },
        }
    }
}

impl fmt::Display for StepState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An output as it is stored. It may be secret, so it is not printed.
#[derive(Clone, PartialEq, Eq)]
struct Value(Vec<u8>);

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

fn read<T: DeserializeOwned>(what: &str, value: Option<&Value>) -> Result<Option<T>, Error> {
    let read = value.map(|Value(bytes)| codec::decode(what, bytes, Dialect::Readable));
    read.transpose()
}

impl StepInfo {
    /// What the step gave, or the value of the signal, as the type that it was (or any other that can be read from it). In the place of each
    /// [secret](crate::Job::SECRET) field there is the text `(secret)`, unless they were [revealed](StepsHandle::reveal). `None` if there is
    /// none, or it was not [asked for](StepsHandle::with_outputs).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if it cannot be read as a `T`.
    pub fn output<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        read("what a step gave", self.output.as_ref())
    }
}

impl StepsInfo {
    /// The last [checkpoint](crate::Context::checkpoint), in the way of [`StepInfo::output`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if it cannot be read as a `T`.
    pub fn checkpoint<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        read("a checkpoint", self.checkpoint.as_ref())
    }

    /// The steps that are not over: sleeps, and signals that have not come.
    pub fn waits(&self) -> impl Iterator<Item = &StepInfo> {
        let waits =
            |step: &&StepInfo| matches!(step.state, StepState::Sleeping | StepState::Waiting);
        self.steps.iter().filter(waits)
    }
}

impl StepsInfo {
    /// Those of them for which the job, read at about the same time, is put aside now: it goes on with the first of them. There are none if it runs,
    /// has ended, or waits for something else, as for its next attempt.
    pub fn holding_up(&self, job: &JobInfo) -> impl Iterator<Item = &StepInfo> {
        let is_due_with_a_step = || self.waits().any(|step| step.due == job.due_at);
        let is_put_aside = match job.state {
            State::Blocked => true,
            State::Delayed => is_due_with_a_step(),
            _ => false,
        };
        self.waits().filter(move |_| is_put_aside)
    }
}

impl Queue {
    /// The durable steps of a job, to look at them: what it has done, and what it waits for.
    ///
    /// ```no_run
    /// # async fn example(orders: oxcart::Queue, id: oxcart::JobId) -> Result<(), oxcart::Error> {
    /// let info = orders.steps(&id).info().await?;
    /// for step in &info.steps {
    ///     println!("{}: {}, {} bytes", step.name, step.state, step.size);
    /// }
    /// for step in info.waits() {
    ///     println!("it waits for {}, until {:?}", step.name, step.due);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn steps(&self, id: &JobId) -> StepsHandle {
        StepsHandle {
            queue: self.clone(),
            id: id.clone(),
            with_outputs: false,
            revealed: false,
        }
    }
}

impl StepsHandle {
    /// What the steps gave is read as well ([`StepInfo::output`]), and the checkpoint. Default: only how large they are.
    pub fn with_outputs(mut self) -> Self {
        self.with_outputs = true;
        self
    }

    /// Secret fields of outputs are shown: those that the type of the job declares ([`Job::SECRET`](crate::Job::SECRET)), wherever they are. Who may
    /// see them is up to the program; see [`Queue::note_in_audit`].
    pub fn reveal(mut self) -> Self {
        self.revealed = true;
        self
    }

    /// What is stored. Empty if there is no such job, or it has no steps. At most 5 KiB of each step are read, mostly in one
    /// call to Redis; with outputs in as many calls as these need.
    ///
    /// # Errors
    ///
    /// If Redis does not answer; [`ErrorKind::Incompatible`] if a newer version wrote what this one cannot read; and [`ErrorKind::Codec`] if
    /// an output has secret fields, and is not as oxcart writes it.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn info(&self) -> Result<StepsInfo, Error> {
        let mut secret = Vec::new();
        if self.with_outputs && !self.revealed {
            let Some(job) = self.queue.job(&self.id).await? else {
                return Ok(StepsInfo::default());
            };
            secret = job.secret;
        }
        let cut = (!self.with_outputs).then_some(WITHOUT_OUTPUT);
        let all = AllSteps::read(&self.queue, &self.id, cut).await?;
        let show = |bytes: Vec<u8>| match (self.with_outputs, secret.is_empty()) {
            (false, _) => Ok(None),
            (true, true) => Ok(Some(Value(bytes))),
            (true, false) => shown(&bytes, &secret).map(Some),
        };
        let mut info = StepsInfo {
            cancel_requested: all.request.as_deref().map(reason_of_request),
            ..StepsInfo::default()
        };
        if let Some((cursor, size)) = all.cursor {
            info.checkpoint_size = Some(size);
            info.checkpoint = show(cursor).map_err(|error| error.with_job(&self.id))?;
        }
        for (mut step, value) in all.steps {
            if step.size > 0 {
                step.output = show(value).map_err(|error| error.with_job(&self.id))?;
            }
            info.steps.push(step);
        }
        Ok(info)
    }
}

fn shown(bytes: &[u8], secret: &[String]) -> Result<Value, Error> {
    let masked = masked(bytes, secret).ok_or_else(|| {
        let what = "the job has secret fields, and what a step gave is not as oxcart writes it";
        Error::new(ErrorKind::Codec, what)
    })?;
    Ok(Value(masked))
}

fn reason_of_request(stored: &[u8]) -> String {
    match codec::decode_plain("why a job is to end", stored) {
        Ok(Ending::Cancelled(reason)) => reason,
        _ => "it was asked for".to_owned(),
    }
}

/// All that is stored of the steps of a job.
#[derive(Default)]
pub(crate) struct AllSteps {
    /// Whether it is a saga: what is stored of that.
    pub(crate) undo: Option<Vec<u8>>,
    request: Option<Vec<u8>>,
    /// The checkpoint, or the beginning of it, and how large it is.
    cursor: Option<(Vec<u8>, u64)>,
    /// Each with its value, or the beginning of it.
    pub(crate) steps: Vec<(StepInfo, Vec<u8>)>,
}

impl AllSteps {
    /// `cut`: so many bytes of each at most.
    async fn read(queue: &Queue, id: &JobId, cut: Option<usize>) -> Result<Self, Error> {
        let mut all = Self::default();
        let mut from = Some(1);
        while let Some(first) = from {
            let verb = Steps {
                id: id.as_str(),
                from: first,
                bytes: BATCH_BYTES,
                cut,
            };
            let page: Page = queue.inner.call(&verb).await?;
            if first == 1 {
                (all.undo, all.request) = (page.undo, page.request);
                all.cursor = page.cursor.map(|cursor| (cursor, page.cursor_size));
            }
            for (_, stored, size) in &page.steps {
                let step = StoredStep::decode(stored).map_err(|error| error.with_job(id))?;
                let before = stored.len() - step.value.len();
                let size = size.saturating_sub(before as u64);
                all.steps.push(step_info(step, size, page.now_ms));
            }
            from = page.next;
        }
        Ok(all)
    }

    /// Without what the steps gave.
    pub(crate) async fn without_outputs(queue: &Queue, id: &JobId) -> Result<Self, Error> {
        Self::read(queue, id, Some(WITHOUT_OUTPUT)).await
    }
}

fn step_info(step: StoredStep, size: u64, now_ms: u64) -> (StepInfo, Vec<u8>) {
    let state = StepState::of(&step, now_ms);
    let failed = state == StepState::Failed;
    let error = failed.then(|| String::from_utf8_lossy(&step.value).into_owned());
    let info = StepInfo {
        name: step.name,
        state,
        at: Timestamp::from_millis(step.at_ms),
        due: step.due_ms.map(Timestamp::from_millis),
        size: if failed { 0 } else { size },
        error,
        output: None,
    };
    (info, step.value)
}
