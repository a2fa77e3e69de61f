//! What wraps every handler of a worker.

use std::any::type_name;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt;
use serde::Serialize;

use crate::codec;
use crate::job::failure::Failure;
use crate::job::outcome::Outcome;
use crate::worker::context::Context;
use crate::worker::decide::{Happened, panicked};

/// What wraps every handler of a worker ([`WorkerBuilder::wrap`](crate::WorkerBuilder::wrap)): an
/// async function of the [`Context`] of the attempt and of what comes [`Next`], which gives an
/// [`Outcome`].
///
/// It runs in the `job` span. It sees every attempt whose job can be read, also those for
/// which the worker has no handler, and holds the outcome before it is stored: a time limit
/// that ran out and a panic are outcomes, and it sees whether a failed job is retried or dead. Whether Redis has
/// stored the outcome is told by [`WorkerEvent::Ended`](crate::WorkerEvent::Ended).
///
/// An outcome comes from [`Next`]: from what it wraps ([`Next::run`]), or decided as if the handler had
/// returned something else ([`Next::fail`], [`Next::complete`]).
///
/// ```
/// use oxcart::{Context, Failure, Next, Outcome};
/// use std::time::Instant;
///
/// /// Measures every attempt.
/// async fn timed(context: Context, next: Next) -> Outcome {
///     let began = Instant::now();
///     let outcome = next.run(context.clone()).await;
///     let name = &context.attempt().name;
///     println!("{name} took {:?}: {}", began.elapsed(), outcome.as_str());
///     outcome
/// }
///
/// /// Answers without running the handler.
/// async fn signed_only(context: Context, next: Next) -> Outcome {
///     match context.header("signature") {
///         Some("valid") => next.run(context).await,
///         _ => next.fail(Failure::dead("not signed")),
///     }
/// }
/// # fn example(builder: oxcart::WorkerBuilder) -> oxcart::WorkerBuilder {
/// builder.wrap(timed).wrap(signed_only)
/// # }
/// ```
///
/// A type with something of its own implements the trait:
///
/// ```
/// # use oxcart::{Context, Middleware, Next, Outcome};
/// # use std::sync::atomic::{AtomicU64, Ordering};
/// #[derive(Default)]
/// struct Count { dead: AtomicU64 }
///
/// impl Middleware for Count {
///     async fn run(&self, context: Context, next: Next) -> Outcome {
///         let outcome = next.run(context).await;
///         if let Outcome::Dead { .. } = outcome {
///             self.dead.fetch_add(1, Ordering::Relaxed);
///         }
///         outcome
///     }
/// }
/// ```
///
/// # When it is stopped
///
/// The time limit of a job is for its handler alone. A worker that has to stop a handler
/// ([`Context::cancellation`]) stops middleware as well: what has not returned when the handler is
/// stopped is dropped at its next await. A handler that middleware runs in a task of its own is stopped when the attempt
/// has ended. A panic of middleware ends the attempt as a panic of the handler
/// does.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot wrap handlers",
    label = "no middleware",
    note = "middleware is an async function of `(Context, Next)` that returns `Outcome`, and whose \
            future is `Send`; name the types of the arguments of a closure"
)]
pub trait Middleware: Send + Sync + 'static {
    /// Runs one attempt: usually something, then [`Next::run`], then something with the outcome.
    fn run(&self, context: Context, next: Next) -> impl Future<Output = Outcome> + Send;
}

impl<F, Fut> Middleware for F
where
    F: Fn(Context, Next) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send,
{
    fn run(&self, context: Context, next: Next) -> impl Future<Output = Outcome> + Send {
        self(context, next)
    }
}

/// What a middleware wraps: the middleware after it, and at last the handler. Cheap to clone.
#[derive(Clone)]
pub struct Next {
    wrapped: Arc<dyn Wrapped>,
    /// The position of the middleware that comes next.
    at: usize,
}

impl Next {
    /// All that wraps this attempt, and its handler.
    pub(crate) fn first(wrapped: Arc<dyn Wrapped>) -> Self {
        Self { wrapped, at: 0 }
    }

    /// Runs the rest, and the handler as part of it. It runs as often as it is called; the
    /// outcome that the middleware returns is stored, once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops the handler.
    pub async fn run(&self, context: Context) -> Outcome {
        let Some(middleware) = self.wrapped.middleware().get(self.at) else {
            return self.wrapped.run_handler(context).await;
        };
        let next = Self {
            wrapped: Arc::clone(&self.wrapped),
            at: self.at + 1,
        };
        // The application's code runs also when the future is made.
        let running = AssertUnwindSafe(async { middleware.run(context, next).await });
        match running.catch_unwind().await {
            Ok(outcome) => outcome,
            Err(panic) => self.wrapped.decide(panicked(panic)),
        }
    }

    /// The outcome as if the handler had failed with this.
    #[must_use = "it is what the middleware is to return"]
    pub fn fail(&self, failure: impl Into<Failure>) -> Outcome {
        let failed = Err(failure.into().into());
        self.wrapped.decide(Happened::Returned(failed))
    }

    /// The outcome as if the handler had given this back.
    #[must_use = "it is what the middleware is to return"]
    pub fn complete<T: Serialize>(&self, output: &T) -> Outcome {
        let encoded = codec::encode("a job's result", output);
        self.wrapped.decide(Happened::Returned(Ok(encoded)))
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = self.wrapped.middleware().iter().skip(self.at);
        let names: Vec<_> = after.map(|one| one.name()).collect();
        f.debug_tuple("Next").field(&names).finish()
    }
}

/// An attempt that middleware wraps.
pub(crate) trait Wrapped: Send + Sync {
    /// The outermost first.
    fn middleware(&self) -> &[Box<dyn AnyMiddleware>];

    fn run_handler(&self, context: Context) -> Running<'_>;

    fn decide(&self, happened: Happened) -> Outcome;
}

pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// A middleware whose type is forgotten.
pub(crate) trait AnyMiddleware: Send + Sync {
    fn run(&self, context: Context, next: Next) -> Running<'_>;

    fn name(&self) -> &'static str;
}

impl<M: Middleware> AnyMiddleware for M {
    fn run(&self, context: Context, next: Next) -> Running<'_> {
        Box::pin(Middleware::run(self, context, next))
    }

    fn name(&self) -> &'static str {
        type_name::<M>()
    }
}
