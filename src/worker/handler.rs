//! Handlers: plain async functions, and how a worker calls them.

use std::collections::HashMap;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crate::codec::{self, Dialect};
use crate::error::Error;
use crate::job::Job;
use crate::job::failure::{Failure, Verdict};
use crate::job::options::JobOptions;
use crate::worker::context::Context;
use crate::worker::extract::{Extract, States};

/// An async function that can run jobs of type `J`: its first argument is the job, the others
/// are extractors ([`State`](crate::State), [`Context`], [`Queue`](crate::Queue), your own), and
/// it returns `Result<J::Output, E>` where `E` turns into a [`Failure`].
///
/// It is implemented for functions and closures of up to six extractors; there is no need to
/// implement it. The extractors run one after the other, before the function, within the time
/// limit of the job; the failure of one is the failure of the attempt. What wraps every handler of a worker is
/// [`Middleware`](crate::Middleware).
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

pub(crate) type Running = Pin<Box<dyn Future<Output = Returned> + Send>>;

/// A handler whose job type is forgotten.
pub(crate) trait AnyHandler: Send + Sync {
    fn check(&self, states: &States) -> Result<(), Error>;

    fn options(&self) -> JobOptions;

    /// Decodes the payload. Nothing of the handler runs before the first poll, its arguments
    /// included.
    fn start(&self, payload: &[u8], dialect: Dialect, context: Context) -> Result<Running, Error>;
}

struct Typed<H, J, Args> {
    handler: Arc<H>,
    types: PhantomData<fn() -> (J, Args)>,
}

impl<H, J, Args> AnyHandler for Typed<H, J, Args>
where
    H: Handler<J, Args>,
    J: Job,
    Args: 'static,
{
    fn check(&self, states: &States) -> Result<(), Error> {
        H::check(states)
    }

    fn options(&self) -> JobOptions {
        J::options()
    }

    fn start(&self, payload: &[u8], dialect: Dialect, context: Context) -> Result<Running, Error> {
        let job: J = codec::decode("a job's payload", payload, dialect)?;
        let handler = Arc::clone(&self.handler);
        // Everything of the handler is inside the future: its panics are caught there.
        Ok(Box::pin(async move {
            let output = handler.call(job, context).await.map_err(Failed::from)?;
            Ok(codec::encode_to_be_read("a job's result", &output))
        }))
    }
}

/// All handlers of a worker, by the name of the job.
pub(crate) type Handlers = HashMap<&'static str, Box<dyn AnyHandler>>;

pub(crate) fn typed<H, J, Args>(handler: H) -> Box<dyn AnyHandler>
where
    H: Handler<J, Args>,
    J: Job,
    Args: 'static,
{
    Box::new(Typed {
        handler: Arc::new(handler),
        types: PhantomData,
    })
}
