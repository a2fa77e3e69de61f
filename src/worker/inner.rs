//! What a worker is made of: its handlers, and what they share with the services beside them.

use std::mem;
use std::ops::Deref;
use std::sync::Arc;

use crate::maintenance::declared_settings::DeclaredSettings;
use crate::policy::job_names::{finds_its_worker, names_up_to};
use crate::runtime;
use crate::schedule::builder::DeclaredSchedule;
use crate::service::WorkerShared;
use crate::worker::any_handler::Handlers;
use crate::worker::decide::Rules;
use crate::worker::extract::States;
use crate::worker::middleware::AnyMiddleware;

/// One worker.
pub(crate) struct WorkerInner {
    pub(crate) shared: Arc<WorkerShared>,
    pub(crate) handlers: Handlers,
    /// What wraps them, the outermost first.
    pub(crate) middleware: Vec<Box<dyn AnyMiddleware>>,
    /// The names for which this worker asks for jobs that other workers handed back: those of its handlers, also with versions.
    pub(crate) names: Vec<String>,
    pub(crate) states: Arc<States>,
    pub(crate) rules: Rules,
    /// What its code declares.
    pub(crate) settings: Arc<DeclaredSettings>,
    pub(crate) schedules: Arc<[DeclaredSchedule]>,
}

impl WorkerInner {
    pub(crate) fn new(
        shared: WorkerShared,
        handlers: Handlers,
        middleware: Vec<Box<dyn AnyMiddleware>>,
        states: States,
        rules: Rules,
        settings: DeclaredSettings,
        schedules: Vec<DeclaredSchedule>,
    ) -> Self {
        let names = handlers
            .iter()
            .map(|(name, it)| names_up_to(name, it.version()));
        let mut names: Vec<_> = names.flatten().collect();
        names.retain(|name| finds_its_worker(name));
        names.sort_unstable();
        Self {
            shared: Arc::new(shared),
            handlers,
            middleware,
            names,
            states: Arc::new(states),
            rules,
            settings: Arc::new(settings),
            schedules: schedules.into(),
        }
    }
}

impl Deref for WorkerInner {
    type Target = WorkerShared;

    fn deref(&self) -> &WorkerShared {
        &self.shared
    }
}

/// States, handlers and middleware belong to the application, and are never dropped on the library's thread: there a
/// `Drop` that waits would hold up everything, and one that spawns a task would find no runtime of the application's.
impl Drop for WorkerInner {
    fn drop(&mut self) {
        if runtime::is_here() {
            let handlers = mem::take(&mut self.handlers);
            let middleware = mem::take(&mut self.middleware);
            let states = mem::take(&mut self.states);
            let strategies = mem::take(&mut self.rules.strategies);
            let theirs = (handlers, middleware, states, strategies);
            runtime::drop_elsewhere(theirs, self.shared.application.runtime());
        }
    }
}
