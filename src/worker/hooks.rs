//! What a worker tells its own process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tracing::{error, warn};

use crate::id::{Fence, JobId};
use crate::job::outcome::{DeadReason, Outcome};
use crate::store::advance::Settlement;
use crate::worker::quietly::drop_payload;

/// Something that happened in this worker, for metrics and logs of the process itself.
///
/// Unlike [`Event`](crate::Event)s these do not go through Redis. An end of an attempt is told
/// when Redis has stored it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum WorkerEvent {
    /// An attempt begins.
    Started {
        /// The job.
        id: JobId,
        /// Which attempt it is, from 1.
        attempt: u32,
    },
    /// The job ended well.
    Completed {
        /// The job.
        id: JobId,
    },
    /// The attempt failed and the job is tried again.
    Retrying {
        /// The job.
        id: JobId,
        /// After this time.
        after: Duration,
        /// What went wrong.
        error: String,
    },
    /// The job is on the dead-letter list.
    Dead {
        /// The job.
        id: JobId,
        /// Why.
        reason: DeadReason,
        /// What went wrong.
        error: String,
    },
    /// The job was cancelled: it was no longer wanted.
    Cancelled {
        /// The job.
        id: JobId,
        /// Why.
        reason: String,
    },
    /// The job was handed back without burning an attempt.
    Released {
        /// The job.
        id: JobId,
    },
    /// No handler here can take the job; it waits for another worker.
    Bounced {
        /// The job.
        id: JobId,
        /// Whichever worker is free looks at it again after this time. One that has a handler of
        /// the job's name takes it before that.
        after: Duration,
        /// Why: the name, or what cannot be read of its payload.
        error: String,
    },
    /// The attempt has lost its job; its outcome was not stored.
    LeaseLost {
        /// The job.
        id: JobId,
        /// The fence that is stale.
        fence: Fence,
    },
    /// This worker took back jobs whose worker died.
    Recovered {
        /// They are tried again.
        stalled: Vec<JobId>,
        /// They had stalled too often.
        dead: Vec<JobId>,
    },
    /// Ticks of a schedule were given up, because nobody was there to fire them
    /// ([`Missed`](crate::Missed)). Told by the worker that did so; by nobody if the answer to its
    /// call was lost. [`ScheduleInfo::missed`](crate::ScheduleInfo::missed) counts them all.
    TicksMissed {
        /// The schedule.
        schedule: String,
        /// How many.
        ticks: u64,
    },
    /// A schedule that a worker once declared in its code is not among those that this one
    /// declares. It goes on; remove it if it is not wanted any more.
    ScheduleUndeclared {
        /// The schedule.
        schedule: String,
    },
    /// A schedule that this worker declares was refused, or one that is stored cannot be read here.
    /// It is left as it is; the others go on. Told once.
    ScheduleRefused {
        /// The schedule.
        schedule: String,
        /// What is wrong.
        error: String,
    },
    /// Redis does not do what it should. Told once, when it begins.
    RedisTrouble {
        /// What is wrong.
        error: String,
    },
    /// Redis is well again.
    RedisBack,
}

impl WorkerEvent {
    /// An ended attempt, once it is stored.
    pub(crate) fn of(settlement: &Settlement) -> Self {
        let id = settlement.id.clone();
        match &settlement.outcome {
            Outcome::Completed(_) => Self::Completed { id },
            Outcome::Retry { after, entry } => Self::Retrying {
                id,
                after: *after,
                error: entry.error.clone(),
            },
            Outcome::Dead { reason, entry } => Self::Dead {
                id,
                reason: *reason,
                error: entry.error.clone(),
            },
            Outcome::Cancelled(reason) => Self::Cancelled {
                id,
                reason: reason.clone(),
            },
            Outcome::Released => Self::Released { id },
            Outcome::Bounced { after, entry, .. } => Self::Bounced {
                id,
                after: *after,
                error: entry.error.clone(),
            },
        }
    }

    /// The job it happened to, if it is about one.
    #[must_use]
    pub fn job_id(&self) -> Option<&JobId> {
        match self {
            Self::Started { id, .. }
            | Self::Completed { id }
            | Self::Retrying { id, .. }
            | Self::Dead { id, .. }
            | Self::Cancelled { id, .. }
            | Self::Released { id }
            | Self::Bounced { id, .. }
            | Self::LeaseLost { id, .. } => Some(id),
            Self::Recovered { .. }
            | Self::TicksMissed { .. }
            | Self::ScheduleUndeclared { .. }
            | Self::ScheduleRefused { .. }
            | Self::RedisTrouble { .. }
            | Self::RedisBack => None,
        }
    }
}

/// Called on the worker's tasks and on the thread that keeps the leases: it must not block. If
/// it panics, that is logged.
pub(crate) type Hook = Arc<dyn Fn(&WorkerEvent) + Send + Sync>;

/// All hooks of a worker.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    hooks: Vec<Hook>,
}

impl Hooks {
    pub(crate) fn add(&mut self, hook: Hook) {
        self.hooks.push(hook);
    }

    /// Makes the event only if somebody listens.
    pub(crate) fn tell(&self, event: impl FnOnce() -> WorkerEvent) {
        if !self.hooks.is_empty() {
            let event = event();
            for hook in &self.hooks {
                // A hook that panics must not take the job's outcome, or a lane, with it.
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| hook(&event))) {
                    drop_payload(panic);
                    error!(?event, "a hook panicked");
                }
            }
        }
    }

    /// What became of these attempts, now that it is stored; of the refused ones, by their
    /// positions, that it was not.
    pub(crate) fn tell_settled(&self, settled: &[Settlement], refused: &[usize]) {
        let mut refused = refused.iter().peekable();
        for (position, settlement) in settled.iter().enumerate() {
            if refused.next_if(|refused| **refused == position).is_some() {
                warn!(
                    job = %settlement.id,
                    fence = %settlement.fence,
                    "the lease was lost: the outcome of this attempt was not stored"
                );
                self.tell(|| WorkerEvent::LeaseLost {
                    id: settlement.id.clone(),
                    fence: settlement.fence,
                });
            } else {
                self.tell(|| WorkerEvent::of(settlement));
            }
        }
    }
}
