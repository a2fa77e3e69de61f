//! The list of everything that goes on beside the handlers of a worker.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::maintenance;
use crate::schedule::driver;
use crate::service::services::{Service, Until};
use crate::service::slots::LANES;
use crate::worker::inner::WorkerInner;
use crate::worker::{advance, heartbeat, lease_expiry, lease_renewal, wakeups};

/// The services of one worker, whose handlers run on the runtime `application`.
pub(crate) fn of(worker: &Arc<WorkerInner>, application: &Handle) -> Vec<Service> {
    let shared = || Arc::clone(&worker.shared);
    let settings = Arc::clone(&worker.settings);
    let schedules = || Arc::clone(&worker.schedules);
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
            maintenance::run(shared(), settings, schedules()),
        ),
        Service::new(
            "the firing of ticks",
            Until::ClaimsEnd,
            driver::run(shared(), schedules()),
        ),
        Service::new(
            "the heartbeat",
            Until::OutcomesStored,
            heartbeat::run(shared(), application.clone()),
        ),
    ];
    services.extend((0..LANES).map(|number| {
        let lane = advance::run(Arc::clone(worker), number, application.clone());
        Service::new("a lane", Until::OutcomesStored, lane)
    }));
    services
}
