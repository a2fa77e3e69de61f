//! Async functions that take several jobs at once.

use std::future::Future;

use crate::error::Error;
use crate::job::Job;
use crate::job::failure::Failure;
use crate::worker::batch::batched::Batched;
use crate::worker::context::Context;
use crate::worker::extract::{ExtractOnce, States};

/// An async function that can run several jobs of type `J` at once: its first argument is a `Vec<Batched<J>>`, which is never
/// empty, in the order in which the jobs were claimed; the others are made once for all of them ([`State`](crate::State), [`Queue`](crate::Queue), your own, see
/// [`ExtractOnce`]). It gives each job its outcome ([`Batched`]), and returns `Result<(), E>` where `E`
/// turns into a [`Failure`]: an error is one of every job that has no outcome yet, and so is a panic.
///
/// It is implemented for functions and closures of up to six such arguments; there is no need to implement it. If an argument
/// cannot be made, all jobs of the batch fail. It is given to
/// [`WorkerBuilder::handle_batch`](crate::WorkerBuilder::handle_batch).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as a batch handler",
    label = "not a handler of batches",
    note = "a batch handler is an async function that takes `Vec<Batched<MyJob>>`, first; whose other \
            arguments, up to six, implement `ExtractOnce` (`State<T>`, `Queue`); which returns \
            `Result<(), E>` where `E` turns into `Failure`; and whose future is `Send`",
    note = "to see which of these does not hold, name the types: \
            `.handle_batch::<MyJob, (State<MyState>, Queue)>(batch, handler)`, with `(Queue,)` for one \
            argument beside the jobs and `()` for none"
)]
pub trait BatchHandler<J: Job, Args>: Send + Sync + 'static {
    /// Whether all arguments can be made.
    ///
    /// # Errors
    ///
    /// What is missing.
    fn check(states: &States) -> Result<(), Error>;

    /// Runs one batch. `first`: the context of one of its jobs, from which the arguments are made.
    fn call(
        &self,
        jobs: Vec<Batched<J>>,
        first: Context,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

macro_rules! handler {
    ($($arg:ident),*) => {
        impl<F, Fut, J, E, $($arg),*> BatchHandler<J, ($($arg,)*)> for F
        where
            F: Fn(Vec<Batched<J>>, $($arg),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<(), E>> + Send + 'static,
            E: Into<Failure>,
            J: Job,
            $($arg: ExtractOnce,)*
        {
            fn check(states: &States) -> Result<(), Error> {
                let _ = states;
                $($arg::check(states)?;)*
                Ok(())
            }

            fn call(
                &self,
                jobs: Vec<Batched<J>>,
                first: Context,
            ) -> impl Future<Output = Result<(), Failure>> + Send {
                async move {
                    let _ = &first;
                    let running = self(jobs, $($arg::extract(&first).await?),*);
                    running.await.map_err(Into::into)
                }
            }
        }
    };
}

handler!();
handler!(A1);
handler!(A1, A2);
handler!(A1, A2, A3);
handler!(A1, A2, A3, A4);
handler!(A1, A2, A3, A4, A5);
handler!(A1, A2, A3, A4, A5, A6);
