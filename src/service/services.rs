//! The shape of a service, and several of them that run and end together.

use std::collections::HashMap;
use std::future::{Future, pending};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::task::{Id, JoinSet};

/// How long a service goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Until the worker claims nothing more.
    ClaimsEnd,
    /// Until the last outcome is stored; then it ends by itself.
    OutcomesStored,
    /// Until no handler runs any more that needs its lease.
    LeasesEnd,
    /// Until the worker has stopped.
    WorkerStopped,
}

/// Something that goes on beside the handlers of a worker. It does not end by itself while it is needed,
/// unless by a bug.
pub(crate) struct Service {
    /// For the error that says what broke: "a lane", "the renewal of leases".
    name: &'static str,
    until: Until,
    task: BoxFuture<'static, ()>,
}

impl Service {
    pub(crate) fn new(
        name: &'static str,
        until: Until,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let task = task.boxed();
        Self { name, until, task }
    }

    #[cfg(test)]
    pub(crate) fn until(&self) -> (Until, &'static str) {
        (self.until, self.name)
    }
}

/// The services of one kind that run; they are stopped when this is dropped.
pub(crate) struct RunningServices {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    broken: Option<&'static str>,
}

impl RunningServices {
    /// Starts the `services` that run until `until`.
    pub(crate) fn start(services: &mut Vec<Service>, until: Until, runtime: &Handle) -> Self {
        let (mut tasks, mut names) = (JoinSet::new(), HashMap::new());
        for service in services.extract_if(.., |service| service.until == until) {
            let task = tasks.spawn_on(service.task, runtime);
            names.insert(task.id(), service.name);
        }
        Self {
            tasks,
            names,
            broken: None,
        }
    }

    /// Waits until a service has ended, which it does on its own only by a bug; its name. Cancel safe.
    pub(crate) async fn broken(&mut self) -> &'static str {
        if let Some(name) = self.broken {
            return name;
        }
        let Some(ended) = self.tasks.join_next_with_id().await else {
            return pending().await;
        };
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        let name = self.names.get(&id).copied().unwrap_or("a service");
        self.broken = Some(name);
        name
    }

    /// Waits until one more of them has ended, as it was asked to. Cancel safe.
    pub(crate) async fn one_ended(&mut self) {
        self.tasks.join_next().await;
    }

    /// Waits until all of them have ended, as they were asked to. Cancel safe.
    pub(crate) async fn all_ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Stops the services that have not ended, and waits until they are dropped.
    pub(crate) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    #[tokio::test]
    async fn a_service_that_ends_is_named_as_often_as_asked() {
        let goes_on = || Service::new("the other", Until::ClaimsEnd, pending());
        let panics = async { panic!("as asked") };
        let mut services = vec![
            goes_on(),
            Service::new("a service that panics", Until::ClaimsEnd, panics),
            Service::new("the one of another kind", Until::LeasesEnd, ready(())),
        ];
        let handle = Handle::current();
        let mut running = RunningServices::start(&mut services, Until::ClaimsEnd, &handle);
        assert_eq!(services.len(), 1);
        for _ in 0..2 {
            assert_eq!(running.broken().await, "a service that panics");
        }
        running.stop().await;
        let mut running = RunningServices::start(&mut services, Until::LeasesEnd, &handle);
        assert_eq!(running.broken().await, "the one of another kind");
        running.all_ended().await;
        let mut none = RunningServices::start(&mut services, Until::OutcomesStored, &handle);
        assert!(none.broken().now_or_never().is_none());
    }
}
