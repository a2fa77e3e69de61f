//! What a handler can ask for beside its job.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::future::{Future, ready};
use std::ops::Deref;
use std::sync::Arc;

use crate::error::Error;
use crate::job::failure::Failure;
use crate::queue::Queue;
use crate::worker::context::Context;

/// Values that handlers share, one per type.
#[derive(Default)]
pub struct States {
    by_type: HashMap<TypeId, Shared>,
}

struct Shared {
    type_name: &'static str,
    value: Arc<dyn Any + Send + Sync>,
}

impl States {
    /// Whether there was one of this type.
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) -> bool {
        let shared = Shared {
            type_name: type_name::<T>(),
            value: Arc::new(value),
        };
        self.by_type.insert(TypeId::of::<T>(), shared).is_some()
    }

    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = Arc::clone(&self.by_type.get(&TypeId::of::<T>())?.value);
        value.downcast().ok()
    }
}

/// The names of the types.
impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut types: Vec<_> = self.by_type.values().map(|one| one.type_name).collect();
        types.sort_unstable();
        f.debug_tuple("States").field(&types).finish()
    }
}

/// An argument of a handler that is not its job.
///
/// Implement it to make arguments of your own from the [`Context`]: a tenant from a header, a
/// client from a [`State`]. It may await, and it may fail: its [`Failure`] is the failure of the attempt, which
/// is retried or not as the failure says, and the handler is not called.
///
/// ```
/// use oxcart::{Context, Error, Extract, Failure, State, States};
///
/// struct Tenants { known: Vec<String> }
///
/// struct Tenant(String);
///
/// impl Extract for Tenant {
///     // What it needs is looked for when the worker is built.
///     fn check(states: &States) -> Result<(), Error> {
///         State::<Tenants>::check(states)
///     }
///
///     async fn extract(context: &Context) -> Result<Self, Failure> {
///         let tenants = State::<Tenants>::extract(context).await?;
///         let name = context.header("tenant").ok_or_else(|| Failure::dead("no tenant"))?;
///         match tenants.known.iter().any(|known| known == name) {
///             true => Ok(Tenant(name.to_owned())),
///             false => Err(Failure::dead(format!("unknown tenant `{name}`"))),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a handler",
    label = "no extractor",
    note = "after the job, a handler takes `State<T>`, `Context`, `Queue`, and types that implement `Extract`"
)]
pub trait Extract: Sized + Send + 'static {
    /// Whether the argument can be made at all; asked once, when the worker is built.
    ///
    /// An extractor that uses a [`State`] asks for it here: `State::<T>::check(states)`. If it does not, a
    /// worker without that state is built all the same, and each attempt fails and is retried.
    ///
    /// # Errors
    ///
    /// What is missing, and how to provide it.
    fn check(states: &States) -> Result<(), Error> {
        let _ = states;
        Ok(())
    }

    /// Makes the argument for one attempt.
    ///
    /// # Errors
    ///
    /// Why this attempt cannot be made, and what is to become of the job.
    fn extract(context: &Context) -> impl Future<Output = Result<Self, Failure>> + Send;
}

/// A value that all handlers of a worker share: what was given to
/// [`WorkerBuilder::state`](crate::WorkerBuilder::state). With the feature `memory`, a test makes one
/// with `State::new`.
///
/// A handler that enqueues into other queues is given the [`Oxcart`](crate::Oxcart) in this way:
/// `.state(oxcart.clone())`, and `State<Oxcart>` as an argument.
pub struct State<T>(pub(crate) Arc<T>);

impl<T> State<T> {
    /// The shared value itself, to be kept beyond the attempt.
    #[must_use]
    pub fn into_inner(self) -> Arc<T> {
        self.0
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The type alone: a state may hold secrets.
impl<T> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State<{}>", type_name::<T>())
    }
}

impl<T: Send + Sync + 'static> Extract for State<T> {
    fn check(states: &States) -> Result<(), Error> {
        let found = states.get::<T>().is_some();
        found.then_some(()).ok_or_else(missing::<T>)
    }

    fn extract(context: &Context) -> impl Future<Output = Result<Self, Failure>> + Send {
        let value = context.states().get::<T>();
        ready(value.map(Self).ok_or_else(|| missing::<T>().into()))
    }
}

fn missing<T>() -> Error {
    Error::invalid(format!(
        "there is no `State<{0}>`; give a `{0}` to the builder of the worker, or of the context in a test, \
         with `.state(..)`",
        type_name::<T>()
    ))
}

impl Extract for Context {
    fn extract(context: &Context) -> impl Future<Output = Result<Self, Failure>> + Send {
        ready(Ok(context.clone()))
    }
}

/// The queue the job came from, to enqueue follow-ups.
impl Extract for Queue {
    fn extract(context: &Context) -> impl Future<Output = Result<Self, Failure>> + Send {
        ready(Ok(context.queue().clone()))
    }
}

/// An argument that is made once for all jobs of a batch: it does not depend on the job.
///
/// [`State`] and [`Queue`] are such arguments. An argument of your own that is made from states alone says so with one
/// line:
///
/// ```
/// use oxcart::{Context, Extract, ExtractOnce, Failure, State};
///
/// struct Pool { /* .. */ }
///
/// struct Connection { /* .. */ }
///
/// impl Extract for Connection {
///     async fn extract(context: &Context) -> Result<Self, Failure> {
///         let _pool = State::<Pool>::extract(context).await?;
///         Ok(Connection { /* .. */ })
///     }
/// }
///
/// impl ExtractOnce for Connection {}
/// ```
///
/// What differs from job to job (a tenant from a header, the [`Context`] itself) is no argument of a batch handler: take it
/// from the job, `Tenant::extract(job.context()).await?`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a batch handler: it may differ from job to job",
    label = "not made once for all jobs of a batch",
    note = "take it from the job: `{Self}::extract(job.context()).await?`, or `job.context()` for the context",
    note = "if it is the same for all jobs, because it is made from states alone, say so: `impl ExtractOnce for {Self} {{}}`"
)]
pub trait ExtractOnce: Extract {}

impl<T: Send + Sync + 'static> ExtractOnce for State<T> {}

impl ExtractOnce for Queue {}
