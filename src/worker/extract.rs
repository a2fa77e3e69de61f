//! What a handler can ask for beside its job.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::Error;
use crate::queue::Queue;
use crate::worker::context::Context;

/// Values that handlers share, one per type.
#[derive(Default)]
pub struct States {
    by_type: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl States {
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) -> bool {
        let known = self.by_type.insert(TypeId::of::<T>(), Arc::new(value));
        known.is_some()
    }

    fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = Arc::clone(self.by_type.get(&TypeId::of::<T>())?);
        value.downcast().ok()
    }
}

/// An argument of a handler that is not its job.
///
/// Implement it to make arguments of your own from the [`Context`]: a tenant from a header, a
/// client from a [`State`].
///
/// ```
/// use oxcart::{Context, Extract};
///
/// struct Tenant(String);
///
/// impl Extract for Tenant {
///     fn extract(context: &Context) -> Self {
///         Tenant(context.header("tenant").unwrap_or("default").to_owned())
///     }
/// }
/// ```
pub trait Extract: Sized + Send + 'static {
    /// Whether the argument can be made at all; asked once, when the worker is built.
    ///
    /// # Errors
    ///
    /// What is missing, and how to provide it.
    fn check(states: &States) -> Result<(), Error> {
        let _ = states;
        Ok(())
    }

    /// Makes the argument for one attempt.
    fn extract(context: &Context) -> Self;
}

/// A value that all handlers of a worker share: what was given to
/// [`WorkerBuilder::state`](crate::WorkerBuilder::state).
pub struct State<T>(Arc<T>);

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

impl<T: Send + Sync + 'static> Extract for State<T> {
    fn check(states: &States) -> Result<(), Error> {
        match states.get::<T>() {
            Some(_) => Ok(()),
            None => Err(Error::invalid(format!(
                "a handler asks for `State<{0}>`, which the worker does not have; give it with \
                 `.state({0} {{ .. }})`",
                type_name::<T>()
            ))),
        }
    }

    fn extract(context: &Context) -> Self {
        let value = context.states().get::<T>();
        Self(value.expect("the worker was built, so its states were checked"))
    }
}

impl Extract for Context {
    fn extract(context: &Context) -> Self {
        context.clone()
    }
}

/// The queue the job came from, to enqueue follow-ups.
impl Extract for Queue {
    fn extract(context: &Context) -> Self {
        context.queue().clone()
    }
}
