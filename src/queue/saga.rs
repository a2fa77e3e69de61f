//! Sagas, for the people who look after them: what became of each step, and leaving out an undo.

use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::outcome::Ending;
use crate::job::state::State;
use crate::policy::steps::{StepKind, check_name};
use crate::queue::Queue;
use crate::queue::info::Ended;
use crate::queue::steps::{AllSteps, StepInfo, StepState};
use crate::store::skip_undo::{SkipUndo, Skipped};

/// What is stored while a saga goes forward.
pub(crate) const OWED: &[u8] = b"owed";

/// A job that is a [saga](crate::Saga), for the people who look after it.
#[derive(Debug, Clone)]
pub struct SagaHandle {
    queue: Queue,
    id: JobId,
}

/// A saga, and what became of its steps ([`SagaHandle::info`]).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SagaInfo {
    /// How far it is.
    pub state: SagaState,
    /// Why it is to be undone, or was.
    pub reason: Option<String>,
    /// Its steps, in the order in which its handler calls them.
    pub steps: Vec<StepInfo>,
}

/// How far a saga is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SagaState {
    /// It goes forward, or waits for its next attempt.
    Forward,
    /// Its steps are being undone, or wait for that.
    Undoing,
    /// It is on the dead-letter list, and goes on from there when it is replayed.
    Stuck,
    /// All of its steps stand.
    Completed,
    /// All of its steps are undone.
    Compensated,
}

impl SagaState {
    /// The state in one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Undoing => "undoing",
            Self::Stuck => "stuck",
            Self::Completed => "completed",
            Self::Compensated => "compensated",
        }
    }
}

impl fmt::Display for SagaState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Queue {
    /// A job that is a [saga](crate::Saga), to look at it, and to help if it is stuck. To let a stuck saga go on, replay it
    /// ([`Queue::replay`]); to give it up, and leave what is not undone, remove it ([`Queue::remove`]).
    ///
    /// ```no_run
    /// # async fn example(orders: oxcart::Queue, id: oxcart::JobId) -> Result<(), oxcart::Error> {
    /// let saga = orders.saga(&id);
    /// if let Some(info) = saga.info().await? {
    ///     println!("{}: {}", info.state, info.reason.unwrap_or_default());
    ///     for step in info.steps {
    ///         println!("  {} is {}", step.name, step.state);
    ///     }
    /// }
    /// saga.skip_undo("pay").await?;    // the bank has refunded it by hand
    /// let _ = orders.replay(&id).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn saga(&self, id: &JobId) -> SagaHandle {
        let (queue, id) = (self.clone(), id.clone());
        SagaHandle { queue, id }
    }
}

impl SagaHandle {
    /// How far the saga is, and what became of each step. `None` if there is no such job, or it has begun no step of a saga.
    ///
    /// # Errors
    ///
    /// If Redis does not answer; and [`ErrorKind::Incompatible`] if a newer version wrote what this one cannot read.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn info(&self) -> Result<Option<SagaInfo>, Error> {
        let Some(job) = self.queue.job(&self.id).await? else {
            return Ok(None);
        };
        let all = AllSteps::without_outputs(&self.queue, &self.id).await?;
        let Some(undo) = all.undo else {
            return Ok(None);
        };
        let steps = all.steps.into_iter().map(|(step, _)| step);
        let steps = steps.filter(|step| is_of_a_saga(step.state)).collect();
        let reason = (undo != OWED).then(|| reason_in(&undo));
        let state = match (&job.ended, job.state) {
            (Some(Ended::Completed), _) => SagaState::Completed,
            (Some(Ended::Compensated(_)), _) => SagaState::Compensated,
            (_, State::Dead) => SagaState::Stuck,
            _ if reason.is_some() => SagaState::Undoing,
            _ => SagaState::Forward,
        };
        Ok(Some(SagaInfo {
            state,
            reason,
            steps,
        }))
    }

    /// Leaves out the undo of one step of a stuck saga, because somebody has done it by hand. It is not undone when the saga is replayed. Of a step that
    /// has begun, and whose end is not known, it says that it has no effect (any more): it counts as failed, and has nothing to leave out from then on.
    /// Done twice, it changes nothing the second time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if there is no such job; [`ErrorKind::Invalid`] if it is no saga, is not stuck, or has no step of that name that
    /// was done or has begun. Nothing is written then. And if Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn skip_undo(&self, step: &str) -> Result<(), Error> {
        check_name(step)?;
        let id = &self.id;
        self.queue
            .inner
            .asked("skip undo", format!("{id} {step}"))
            .await?;
        let invalid = |what: String| Err(Error::invalid(what).with_job(id));
        match self.queue.inner.call(&SkipUndo { id, step }).await? {
            Skipped::Yes | Skipped::Is(StepKind::Skipped) => Ok(()),
            Skipped::Missing => Err(Error::new(
                ErrorKind::NotFound,
                format!("there is no job {id} in `{}`", self.queue.name()),
            )
            .with_job(id)),
            Skipped::NoStep => invalid(format!("job {id} has no step `{step}` of a saga")),
            Skipped::InState(state) => invalid(format!(
                "job {id} is {state}: an undo can be left out only while the saga is stuck, on the dead-letter list"
            )),
            Skipped::Is(kind) => invalid(format!(
                "step `{step}` of job {id} is {}: only a step that was done, and is not undone, has an undo that can be left out",
                kind.as_str()
            )),
        }
    }
}

/// What a saga undoes, or has undone: the job may have other steps as well, that sleep or wait.
fn is_of_a_saga(state: StepState) -> bool {
    use StepState::{Begun, Done, Failed, Skipped, Undone};
    matches!(state, Begun | Done | Failed | Undone | Skipped)
}

/// Why a saga is to be undone, from what is stored.
pub(crate) fn reason_in(stored: &[u8]) -> String {
    match crate::codec::decode_plain("why a saga is undone", stored) {
        Ok(Ending::Cancelled(reason)) => reason,
        _ => "it was asked for".to_owned(),
    }
}
