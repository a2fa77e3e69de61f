//! Handlers: plain async functions.

use std::future::Future;

use crate::error::Error;
use crate::job::Job;
use crate::job::failure::{Failure, Verdict};
use crate::worker::context::Context;
use crate::worker::extract::{Extract, States};

/// An async function that can run jobs of type `J`: its first argument is the job, the others
/// are extractors ([`State`](crate::State), [`Context`], [`Queue`](crate::Queue), your own), and
/// it returns `Result<J::Output, E>` where `E` turns into a [`Failure`].
///
/// It is implemented for functions and closures of up to six extractors; there is no need to
/// implement it. The extractors run one after the other, before the function, within the time
/// limit of the job; the failure of one is the failure of the attempt. What wraps every handler of a worker is
/// [`Middleware`](crate::Middleware). A function that takes several jobs at once is a [`BatchHandler`](crate::BatchHandler).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as a handler",
    label = "not a handler of the job that is its first argument",
    note = "a handler is an async function that takes the job by value, first; whose other \
            arguments, up to six, implement `Extract` (`State<T>`, `Context`, `Queue`); which returns \
            `Result<<job as Job>::Output, E>` where `E` turns into `Failure`; and whose future \
            is `Send`",
    note = "to see which of these does not hold, name the types: \
            `.handle::<MyJob, (State<MyState>, Context)>(handler)`, with `(Context,)` for one argument \
            beside the job and `()` for none"
)]
pub trait Handler<J: Job, Args>: Send + Sync + 'static {
    /// Whether all arguments can be made.
    ///
    /// # Errors
    ///
    /// What is missing.
    fn check(states: &States) -> Result<(), Error>;

    /// Runs one attempt.
    fn call(
        &self,
        job: J,
        context: Context,
    ) -> impl Future<Output = Result<J::Output, Failure>> + Send;
}

macro_rules! handler {
    ($($arg:ident),*) => {
        impl<F, Fut, J, E, $($arg),*> Handler<J, ($($arg,)*)> for F
        where
            F: Fn(J, $($arg),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<J::Output, E>> + Send + 'static,
            E: Into<Failure>,
            J: Job,
            $($arg: Extract,)*
        {
            fn check(states: &States) -> Result<(), Error> {
                let _ = states;
                $($arg::check(states)?;)*
                Ok(())
            }

            fn call(
                &self,
                job: J,
                context: Context,
            ) -> impl Future<Output = Result<J::Output, Failure>> + Send {
                async move {
                    let _ = &context;
                    let running = self(job, $($arg::extract(&context).await?),*);
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

/// What a handler gave back, encoded: a result that may turn out to be unstorable, or a failure.
pub(crate) type Returned = Result<Result<Vec<u8>, Error>, Failed>;

/// A failure with its error already rendered: that runs code of the application, which has to
/// happen where panics are caught.
#[derive(Clone)]
pub(crate) struct Failed {
    pub(crate) verdict: Verdict,
    pub(crate) error: String,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self {
            verdict: failure.verdict,
            error: failure.to_string(),
        }
    }
}
