//! What the services of a worker (the tasks beside its handlers) share, in small parts, and how services run.
//!
//! This module lies below the services themselves. A service (waiting for work, renewing leases,
//! maintenance, firing ticks) uses this module; no code here knows which services there are
//! (`worker/services.rs` has the list).

pub(crate) mod application;
pub(crate) mod clock;
pub(crate) mod counting;
pub(crate) mod drift;
pub(crate) mod hooks;
pub(crate) mod job_log;
pub(crate) mod lease;
pub(crate) mod replies;
pub(crate) mod services;
pub(crate) mod slots;
pub(crate) mod suspect;
pub(crate) mod timer;
pub(crate) mod trouble;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::id::incarnation;
use crate::metrics::WorkerMetrics;
use crate::propagation::Relation;
use crate::queue::Queue;
use crate::queue::inside::Inside;
use crate::runtime;
use crate::service::application::Application;
use crate::service::clock::ClockWatch;
use crate::service::counting::Counting;
use crate::service::hooks::Hooks;
use crate::service::lease::Leases;
use crate::service::slots::Slots;
use crate::service::timer::Timers;
use crate::service::trouble::TroubleLog;
use crate::store::backend::Store;
use crate::time::ServerClock;

/// Settings that do not change while the worker runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Config {
    pub(crate) lease: Duration,
    pub(crate) grace: Duration,
    pub(crate) dead_warning: u64,
    pub(crate) trace_relation: Relation,
}

/// Everything that the services of one worker share, and its handlers with them.
pub(crate) struct WorkerShared {
    pub(crate) queue: Queue,
    /// The id of this worker, made when the worker was built.
    pub(crate) id: String,
    pub(crate) config: Config,
    pub(crate) slots: Slots,
    pub(crate) leases: Leases,
    pub(crate) timers: Timers,
    pub(crate) clock: ClockWatch,
    pub(crate) hooks: Hooks,
    pub(crate) counting: Counting,
    pub(crate) metrics: WorkerMetrics,
    pub(crate) trouble: TroubleLog,
    pub(crate) application: Application,
    /// Something waits in the outbox of the queue.
    pub(crate) outbox: Notify,
    /// The queue is subscribed to topics, or may be.
    pub(crate) subscribed: Notify,
    /// Handlers that wait for jobs of this queue.
    pub(crate) inside: Arc<Inside>,
    /// The worker claims nothing more: the service that waits for work comes to an end.
    pub(crate) claims_end: CancellationToken,
}

impl WorkerShared {
    pub(crate) fn new(queue: Queue, concurrency: usize, config: Config, hooks: Hooks) -> Self {
        let id = incarnation();
        Self {
            inside: Arc::new(Inside::new(&queue, &id, concurrency)),
            trouble: TroubleLog::new(queue.name()),
            metrics: WorkerMetrics::new(queue.name()),
            queue,
            id,
            config,
            slots: Slots::new(concurrency),
            leases: Leases::default(),
            timers: Timers::default(),
            clock: ClockWatch::default(),
            hooks,
            counting: Counting::default(),
            application: Application::default(),
            outbox: Notify::new(),
            subscribed: Notify::new(),
            claims_end: CancellationToken::new(),
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.queue.inner.store
    }

    /// The server has said what its clock shows, in answer to a call that was sent at `sent`. If the clock
    /// has jumped, all leases are renewed at once, and recovery learns of it.
    pub(crate) fn heard_after(&self, sent: Instant, now_ms: u64) -> ServerClock {
        if self.clock.has_jumped(sent, now_ms) {
            warn!(
                queue = self.queue.name(),
                "the clock of Redis jumped: all leases are renewed, and none is judged"
            );
            self.leases.renew_all();
        }
        self.clock.heard(now_ms)
    }
}

/// Hooks belong to the application, and are never dropped on the library's thread: there a `Drop` that waits would
/// hold up everything, and one that spawns a task would find no runtime of the application's.
impl Drop for WorkerShared {
    fn drop(&mut self) {
        if runtime::is_here() {
            let hooks = self.hooks.take();
            runtime::drop_elsewhere(hooks, self.application.runtime());
        }
    }
}
