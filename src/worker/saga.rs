//! Sagas: jobs whose steps are undone if they cannot be finished.

mod course;
mod undo;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, Dialect};
use crate::job::failure::Failure;
use crate::job::history::cut;
use crate::policy::steps::StepKind;
use crate::worker::context::Context;
use crate::worker::extract::Extract;
use crate::worker::steps::{Called, mistake, trouble};

pub(crate) use course::{Course, Reached};
use undo::AnyUndo;
pub use undo::Undo;

const STEP: &str = "a step's output";

/// An argument of a handler that makes its job a saga: several steps that take effect in different places, and either all stand or are all
/// undone.
///
/// ```
/// use oxcart::{Failure, Saga, State};
/// # use serde::{Deserialize, Serialize};
/// # struct Stock; struct Bank;
/// # #[derive(Serialize, Deserialize)] struct Held; #[derive(Serialize, Deserialize)] struct Paid;
/// # struct Fulfil { order: u64 }
/// # impl Stock { async fn reserve(&self, _: u64) -> Result<Held, Failure> { Ok(Held) } async fn release(&self, _: Held) -> Result<(), Failure> { Ok(()) } }
/// # impl Bank { async fn charge(&self, _: u64) -> Result<Paid, Failure> { Ok(Paid) } async fn refund(&self, _: Paid) -> Result<(), Failure> { Ok(()) } }
/// # async fn ship(_: u64, _: &Held) -> Result<u64, Failure> { Ok(7) }
///
/// async fn fulfil(job: Fulfil, saga: Saga, stock: State<Stock>, bank: State<Bank>) -> Result<u64, Failure> {
///     let held = saga.step("reserve", || stock.reserve(job.order)).undo(release).await?;
///     saga.step("pay", || bank.charge(job.order)).undo(refund).await?;
///     saga.step("ship", || ship(job.order, &held)).await
/// }
///
/// async fn release(held: Held, stock: State<Stock>) -> Result<(), Failure> {
///     stock.release(held).await
/// }
///
/// async fn refund(paid: Paid, bank: State<Bank>) -> Result<(), Failure> {
///     bank.refund(paid).await
/// }
/// ```
///
/// When the job cannot be finished (its attempts are spent, a step or the handler returned `Failure::dead` or `Failure::cancel`, the job is
/// cancelled, its workers died too often), no further step begins, and the steps that were done are undone in reverse order. The job has then
/// ended as [compensated](crate::Ended::Compensated). An undo that cannot be done leaves the job on the dead-letter list, as
/// [stuck](crate::DeadReason::Stuck); a replay goes on from there. Nothing of that holds a slot while it waits. A job that has begun no step ends like any
/// other job.
///
/// The function runs from its beginning in each attempt and takes the stored outputs of steps, so the rules of
/// [`Context::step`] hold. The page [sagas](https://docs.rs/crate/oxcart/latest/source/docs/sagas.md) has the whole story.
///
/// In a test of a handler alone (`Context::builder()`), steps just run, and nothing is undone; a worker in memory
/// ([`Worker::drain`](crate::Worker::drain)) does all of it.
#[derive(Debug, Clone)]
pub struct Saga {
    context: Context,
}

impl Extract for Saga {
    async fn extract(context: &Context) -> Result<Self, Failure> {
        context.check_alone("a saga")?;
        context.inner.saga.get_or_init(Box::default);
        let context = context.clone();
        Ok(Self { context })
    }
}

impl Saga {
    /// A step of the saga: `run` has an effect somewhere, and what it gives is stored, under the fence of the attempt. A later attempt gets the
    /// stored value, and `run` is not called. Await it; give it an [undo](SagaStep::undo) before, if it needs one.
    ///
    /// That the step begins is stored, too. If its process dies before its end is stored, nobody knows whether it took effect, so the next attempt
    /// runs it again, also if the saga is to be undone by then: `run` must be harmless to repeat, by a key that is the same in each attempt, such as the job's id and
    /// the name of the step. A step that returns an error must have had no effect.
    ///
    /// # Errors
    ///
    /// Those of `run`, and those of [`Context::step`]. And if the saga is to be undone, and the step has not begun before: a failure that says why. Return
    /// it.
    ///
    /// # Cancel safety
    ///
    /// A step that is dropped may have taken effect. It runs again in a later attempt.
    pub fn step<'a, T, E, Run, Fut>(&self, name: &str, run: Run) -> SagaStep<'a, T>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Into<Failure>,
        Run: FnOnce() -> Fut + Send + 'a,
        Fut: Future<Output = Result<T, E>> + Send + 'a,
    {
        SagaStep {
            called: self.context.called(name),
            run: Box::pin(async move { run().await.map_err(Into::into) }),
            undo: None,
        }
    }
}

/// A step of a saga that runs when it is awaited; see [`Saga::step`].
#[must_use = "a step does nothing until it is awaited"]
pub struct SagaStep<'a, T> {
    called: Called,
    run: Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>,
    undo: Option<Arc<dyn AnyUndo>>,
}

impl<T> fmt::Debug for SagaStep<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaStep")
            .field("name", &self.called.name)
            .field("has_undo", &self.undo.is_some())
            .finish()
    }
}

impl<T> SagaStep<'_, T>
where
    T: DeserializeOwned + Send + 'static,
{
    /// What undoes the step: an async function that gets what the step gave, and further arguments as a handler does; see [`Undo`].
    ///
    /// It runs if the step was done and the saga cannot be finished, in any attempt and any process, after the undos of the steps behind this one. It must be harmless
    /// to repeat. It is tried as often as the job has attempts, with the job's backoff.
    pub fn undo<U, Args>(mut self, undo: U) -> Self
    where
        U: Undo<T, Args>,
        Args: 'static,
    {
        self.undo = Some(undo::typed(undo));
        self
    }
}

impl<'a, T> IntoFuture for SagaStep<'a, T>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    type Output = Result<T, Failure>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<T> SagaStep<'_, T>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    async fn run(self) -> Result<T, Failure> {
        let Self {
            mut called,
            run,
            undo,
        } = self;
        let number = called.number()?;
        let Called { context, name, .. } = called;
        if let Some(undo) = &undo {
            undo.check(context.states())
                .map_err(|error| mistake(error, &context))?;
        }
        let course = context.inner.saga.get_or_init(Box::default);
        course.called(number);
        if context.inner.alone.is_some() {
            return run.await;
        }
        let store = context.step_store();
        let call = context.call(&store, number, &name);
        let _runs = context.runs();
        let stored = call.stored(StepKind::OF_SAGAS).await.map_err(trouble)?;
        let kind = stored.as_ref().map(|stored| stored.kind);
        if matches!(kind, Some(StepKind::Undone | StepKind::Skipped)) {
            course.meets_undone();
        }
        let value = match stored.filter(|stored| stored.kind.was_done()) {
            Some(stored) => stored.value,
            None => {
                if kind != Some(StepKind::Begun) {
                    course.refuse_if_undoing(&context, &store).await?;
                    call.store(StepKind::Begun, None, &[], &[StepKind::Begun])
                        .await
                        .map_err(trouble)?;
                }
                course.began();
                let output = match run.await {
                    Ok(output) => output,
                    Err(failure) => {
                        let error = cut(failure.to_string());
                        // If this cannot be stored, the step is taken for one whose end is not known, and runs again.
                        let failed = StepKind::Failed;
                        let stored = call.store(failed, None, error.as_bytes(), &[failed]).await;
                        drop(stored);
                        return Err(failure);
                    }
                };
                // From here to the stored output is where a process that dies leaves an effect of which nothing is known.
                let value = codec::encode_to_be_read(STEP, &output).map_err(trouble)?;
                let what = format!("the output of step `{name}`");
                context.check_size(&what, &value).map_err(trouble)?;
                call.store(StepKind::Done, None, &value, &[StepKind::Done])
                    .await
                    .map_err(trouble)?;
                value
            }
        };
        let output = codec::decode(STEP, &value, Dialect::Readable).map_err(trouble)?;
        let reached = Reached { name, undo, value };
        course.reached(number, reached);
        Ok(output)
    }
}
