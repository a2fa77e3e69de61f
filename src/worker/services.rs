//! The list of a worker's services: the tasks beside its handlers.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::error::Error;
use crate::maintenance;
use crate::maintenance::feeding;
use crate::maintenance::payloads;
use crate::maintenance::relaying;
use crate::maintenance::reporting::Reporting;
use crate::schedule::driver;
use crate::service::services::{Service, Until};
use crate::service::slots::LANES;
use crate::worker::inner::WorkerInner;
use crate::worker::{
    advance, cancel_requests, heartbeat, lease_expiry, lease_renewal, lifecycle, wakeups,
};

/// Runs a worker until `shutdown` completes, then stops it gracefully. Its handlers run on the caller's
/// runtime.
pub(crate) async fn run(
    worker: Arc<WorkerInner>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let application = Handle::current();
    worker.application.is_on(application.clone());
    let services = services(&worker, &application);
    // `worker` outlives the services, so that values of the application (states, handlers) are dropped here, and not
    // on the library's thread.
    lifecycle::run(&worker.shared, services, shutdown).await
}

/// The services of one worker, whose handlers run on the runtime `application`.
fn services(worker: &Arc<WorkerInner>, application: &Handle) -> Vec<Service> {
    let shared = || Arc::clone(&worker.shared);
    let settings = Arc::clone(&worker.settings);
    let schedules = || Arc::clone(&worker.schedules);
    let reporting = Reporting::new(worker.handlers.keys().copied());
    let mut services = vec![
        Service::new(
            "the renewal of leases",
            Until::LeasesEnd,
            lease_renewal::run(shared()),
        ),
        Service::new(
            "the expiry of leases",
            Until::LeasesEnd,
            lease_expiry::run(shared()),
        ),
        Service::new(
            "the wait for requests to cancel jobs",
            Until::LeasesEnd,
            cancel_requests::run(shared()),
        ),
        Service::new(
            "the wait for work",
            Until::ClaimsEnd,
            wakeups::listen(shared()),
        ),
        Service::new(
            "the watch on timers",
            Until::ClaimsEnd,
            wakeups::keep_time(shared()),
        ),
        Service::new(
            "maintenance",
            Until::ClaimsEnd,
            maintenance::run(shared(), settings, schedules(), reporting),
        ),
        Service::new(
            "the relay of messages",
            Until::ClaimsEnd,
            relaying::run(shared()),
        ),
        Service::new(
            "the deletion of payloads",
            Until::ClaimsEnd,
            payloads::run(shared(), application.clone()),
        ),
        Service::new(
            "the feeding from topics",
            Until::ClaimsEnd,
            feeding::run(shared()),
        ),
        Service::new(
            "the firing of ticks",
            Until::ClaimsEnd,
            driver::run(shared(), schedules()),
        ),
        Service::new(
            "the heartbeat",
            Until::WorkerStopped,
            heartbeat::run(shared(), application.clone()),
        ),
    ];
    services.extend((0..LANES).map(|number| {
        let lane = advance::run(Arc::clone(worker), number, application.clone());
        Service::new("a lane", Until::OutcomesStored, lane)
    }));
    services
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Job;
    use crate::job::failure::Failure;
    use crate::memory::Server;
    use crate::oxcart::Oxcart;
    use crate::worker::Worker;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Nothing;

    impl Job for Nothing {
        const NAME: &'static str = "nothing";
        type Output = ();
    }

    /// A worker that stops waits for these; any other service would hold it up.
    #[tokio::test]
    async fn only_lanes_end_by_themselves_when_the_last_outcome_is_stored() {
        let oxcart = Oxcart::builder().build(Server::default().into()).unwrap();
        let queue = oxcart.queue("work").unwrap();
        let worker = Worker::builder(&queue).handle(async |_: Nothing| Ok::<_, Failure>(()));
        let worker = worker.build().unwrap().inner;
        let services = services(&worker, &Handle::current());
        let untils = services.iter().map(Service::until);
        let waited_for = untils.filter(|(until, _)| *until == Until::OutcomesStored);
        let names: Vec<_> = waited_for.map(|(_, name)| name).collect();
        assert_eq!(names, ["a lane"; LANES]);
    }
}
