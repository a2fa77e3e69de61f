//! Undos: async functions that take back what a step did.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::codec::{self, Dialect};
use crate::error::Error;
use crate::job::failure::Failure;
use crate::worker::context::Context;
use crate::worker::extract::{Extract, States};

/// An async function that undoes a [step of a saga](crate::Saga::step): its first argument is what the step gave, the others are
/// arguments as a [`Handler`](crate::Handler) has them, and it returns `Result<(), E>` where `E` turns into a [`Failure`].
///
/// It is implemented for functions and closures of up to six further arguments; there is no need to implement it. It may run more than
/// once, if its process dies before it is stored that it has run. What its failure says counts as for a handler: it is tried again after the
/// job's backoff, and `Failure::dead` or `Failure::cancel` says that it can never be done.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot undo a step",
    label = "not an undo of a step that gives `{T}`",
    note = "an undo is an async function that takes what the step gave by value, first; whose other arguments, up to six, implement \
            `Extract` (`State<T>`, `Context`, `Queue`); which returns `Result<(), E>` where `E` turns into `Failure`; and whose future \
            is `Send`"
)]
pub trait Undo<T, Args>: Send + Sync + 'static {
    /// Whether all arguments can be made.
    ///
    /// # Errors
    ///
    /// What is missing.
    fn check(states: &States) -> Result<(), Error>;

    /// Runs once.
    fn call(&self, given: T, context: Context) -> impl Future<Output = Result<(), Failure>> + Send;
}

macro_rules! undo {
    ($($arg:ident),*) => {
        impl<F, Fut, T, E, $($arg),*> Undo<T, ($($arg,)*)> for F
        where
            F: Fn(T, $($arg),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<(), E>> + Send + 'static,
            E: Into<Failure>,
            T: Send + 'static,
            $($arg: Extract,)*
        {
            fn check(states: &States) -> Result<(), Error> {
                let _ = states;
                $($arg::check(states)?;)*
                Ok(())
            }

            fn call(
                &self,
                given: T,
                context: Context,
            ) -> impl Future<Output = Result<(), Failure>> + Send {
                async move {
                    let _ = &context;
                    let running = self(given, $($arg::extract(&context).await?),*);
                    running.await.map_err(Into::into)
                }
            }
        }
    };
}

undo!();
undo!(A1);
undo!(A1, A2);
undo!(A1, A2, A3);
undo!(A1, A2, A3, A4);
undo!(A1, A2, A3, A4, A5);
undo!(A1, A2, A3, A4, A5, A6);

pub(crate) type Undoing = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// An undo whose types are forgotten.
pub(crate) trait AnyUndo: Send + Sync {
    fn check(&self, states: &States) -> Result<(), Error>;

    /// Undoes what a step gave, as it is stored. Nothing of the application runs before the first poll.
    fn start(&self, given: Vec<u8>, context: Context) -> Undoing;
}

struct Typed<U, T, Args> {
    undo: Arc<U>,
    types: PhantomData<fn() -> (T, Args)>,
}

impl<U, T, Args> AnyUndo for Typed<U, T, Args>
where
    U: Undo<T, Args>,
    T: DeserializeOwned + Send + 'static,
    Args: 'static,
{
    fn check(&self, states: &States) -> Result<(), Error> {
        U::check(states)
    }

    fn start(&self, given: Vec<u8>, context: Context) -> Undoing {
        let undo = Arc::clone(&self.undo);
        Box::pin(async move {
            let given: T = codec::decode("what a step gave", &given, Dialect::Readable)
                .map_err(Failure::dead)?;
            undo.call(given, context).await
        })
    }
}

pub(crate) fn typed<U, T, Args>(undo: U) -> Arc<dyn AnyUndo>
where
    U: Undo<T, Args>,
    T: DeserializeOwned + Send + 'static,
    Args: 'static,
{
    Arc::new(Typed {
        undo: Arc::new(undo),
        types: PhantomData,
    })
}
