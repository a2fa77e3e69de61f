//! What a worker tells its own process.

use std::collections::HashMap;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{error, warn};

use crate::id::{Fence, JobId};
use crate::job::attempt::Attempt;
use crate::job::outcome::{Outcome, Output};
use crate::name::QueueName;
use crate::runtime::drop_payload;
use crate::store::advance::Settlement;

/// Something that happened in this worker, for metrics and logs of the process itself.
///
/// Unlike [`Event`](crate::Event)s these do not go through Redis. Each `Started` is followed by one
/// `Ended` of the same attempt, unless the worker is dropped or stops without having stored the
/// outcome.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum WorkerEvent {
    /// An attempt begins.
    Started(Attempt),
    /// An attempt has ended, and Redis has stored its outcome. If the outcome is
    /// [`Outcome::LeaseLost`], Redis has refused it.
    #[non_exhaustive]
    Ended {
        /// Which one.
        attempt: Attempt,
        /// How it ended, and what becomes of the job.
        outcome: Outcome,
        /// How long the handler ran, with its arguments and middleware.
        duration: Duration,
    },
    /// A job that this worker had claimed went back to its place before its attempt began: the worker
    /// stops, or the application blocks the threads of its runtime.
    #[non_exhaustive]
    Released {
        /// The queue.
        queue: QueueName,
        /// The job.
        id: JobId,
    },
    /// This worker took back jobs whose worker died.
    #[non_exhaustive]
    Recovered {
        /// The queue.
        queue: QueueName,
        /// They are tried again.
        stalled: Vec<JobId>,
        /// They had stalled too often.
        dead: Vec<JobId>,
        /// They were to be cancelled while they ran ([`Queue::cancel`](crate::Queue::cancel)), and have ended so.
        cancelled: Vec<JobId>,
    },
    /// Ticks of a schedule were given up, because no worker was there to fire them
    /// ([`Missed`](crate::Missed)). The worker that gives them up tells it, unless the answer to its
    /// call was lost. [`ScheduleInfo::missed`](crate::ScheduleInfo::missed) counts all of them.
    #[non_exhaustive]
    TicksMissed {
        /// The queue.
        queue: QueueName,
        /// The schedule.
        schedule: String,
        /// How many.
        ticks: u64,
    },
    /// A worker once declared this schedule in its code, and this worker does not declare it. The schedule
    /// goes on; remove it if it is not wanted any more.
    #[non_exhaustive]
    ScheduleUndeclared {
        /// The queue.
        queue: QueueName,
        /// The schedule.
        schedule: String,
    },
    /// A schedule that this worker declares was refused, or a stored schedule cannot be read here.
    /// It is left as it is; the others go on. Told once.
    #[non_exhaustive]
    ScheduleRefused {
        /// The queue.
        queue: QueueName,
        /// The schedule.
        schedule: String,
        /// What is wrong.
        error: String,
    },
    /// A message for another queue is of a kind that this version does not know: a newer one wrote it, and it waits for workers of that
    /// version, with all that is behind it for the same queue. Messages for other queues go on. Told once.
    #[non_exhaustive]
    MessageUnknown {
        /// The queue of the worker, in whose outbox the message waits.
        queue: QueueName,
        /// The queue that is to get it.
        target: String,
        /// The kind.
        kind: String,
    },
    /// Events were dropped from a [topic](crate::Topic) to which the queue is subscribed before the queue could take them: it was behind for longer than
    /// events are [kept](crate::Topic::keep). [`SubscriptionInfo::missed`](crate::SubscriptionInfo::missed) counts all of them.
    #[non_exhaustive]
    EventsMissed {
        /// The queue.
        queue: QueueName,
        /// The topic.
        topic: String,
        /// How many; about so many, if Redis has lost something.
        events: u64,
    },
    /// Redis does not do what it should. Told once, when it begins.
    #[non_exhaustive]
    RedisTrouble {
        /// The queue.
        queue: QueueName,
        /// What is wrong.
        error: String,
    },
    /// Redis is well again.
    #[non_exhaustive]
    RedisBack {
        /// The queue.
        queue: QueueName,
    },
}

impl WorkerEvent {
    /// The queue of the worker.
    #[must_use]
    pub fn queue(&self) -> &QueueName {
        match self {
            Self::Started(attempt) | Self::Ended { attempt, .. } => &attempt.queue,
            Self::Released { queue, .. }
            | Self::Recovered { queue, .. }
            | Self::TicksMissed { queue, .. }
            | Self::ScheduleUndeclared { queue, .. }
            | Self::ScheduleRefused { queue, .. }
            | Self::MessageUnknown { queue, .. }
            | Self::EventsMissed { queue, .. }
            | Self::RedisTrouble { queue, .. }
            | Self::RedisBack { queue } => queue,
        }
    }

    /// How an attempt ended, if it is about the end of one.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Ended { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// The job it happened to, if it is about a single job.
    #[must_use]
    pub fn job_id(&self) -> Option<&JobId> {
        match self {
            Self::Started(attempt) | Self::Ended { attempt, .. } => Some(&attempt.id),
            Self::Released { id, .. } => Some(id),
            Self::Recovered { .. }
            | Self::TicksMissed { .. }
            | Self::ScheduleUndeclared { .. }
            | Self::ScheduleRefused { .. }
            | Self::MessageUnknown { .. }
            | Self::EventsMissed { .. }
            | Self::RedisTrouble { .. }
            | Self::RedisBack { .. } => None,
        }
    }
}

/// Called on the worker's tasks and on the library's thread: it must not block. A panic of a hook is
/// logged.
pub(crate) type Hook = Arc<dyn Fn(&WorkerEvent) + Send + Sync>;

/// All hooks of a worker. Without any, nothing is measured or kept for them.
pub(crate) struct Hooks {
    queue: QueueName,
    hooks: Vec<Hook>,
    /// Attempts that have ended and are not known to be stored, and how long they took.
    ended: Mutex<HashMap<Fence, (Attempt, Duration)>>,
}

impl Hooks {
    pub(crate) fn new(queue: QueueName) -> Self {
        Self {
            queue,
            hooks: Vec::new(),
            ended: Mutex::default(),
        }
    }

    pub(crate) fn add(&mut self, hook: Hook) {
        self.hooks.push(hook);
    }

    /// Takes out the hooks, which belong to the application.
    pub(crate) fn take(&mut self) -> Vec<Hook> {
        mem::take(&mut self.hooks)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.hooks.is_empty()
    }

    /// Makes the event, of this queue, only if there is a hook.
    pub(crate) fn tell(&self, event: impl FnOnce(QueueName) -> WorkerEvent) {
        if self.is_empty() {
            return;
        }
        let event = event(self.queue.clone());
        for hook in &self.hooks {
            // A hook that panics must not take the job's outcome, or a lane, with it.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| hook(&event))) {
                drop_payload(panic);
                error!(queue = self.queue.as_str(), ?event, "a hook panicked");
            }
        }
    }

    /// An attempt has ended. It is told when its settlement is stored.
    pub(crate) fn ended(&self, attempt: &Attempt, duration: Duration) {
        if !self.is_empty() {
            let ended = (attempt.clone(), duration);
            self.lock().insert(attempt.fence, ended);
        }
    }

    /// A call has stored these settlements, but for those at the positions `refused`.
    pub(crate) fn tell_settled(&self, settled: &mut [Settlement], refused: &[usize]) {
        if self.is_empty() && refused.is_empty() {
            return;
        }
        let mut refused = refused.iter().peekable();
        for (position, settlement) in settled.iter_mut().enumerate() {
            let is_lost = refused.next_if(|refused| **refused == position).is_some();
            if is_lost {
                warn!(
                    queue = self.queue.as_str(),
                    id = %settlement.id,
                    fence = %settlement.fence,
                    "the lease was lost: the outcome of this attempt was not stored"
                );
            }
            if !self.is_empty() {
                self.tell_end(settlement, is_lost);
            }
        }
    }

    fn tell_end(&self, settlement: &mut Settlement, is_lost: bool) {
        let ended = self.lock().remove(&settlement.fence);
        match ended {
            Some((attempt, duration)) => {
                let outcome = match &mut settlement.outcome {
                    _ if is_lost => Outcome::LeaseLost,
                    // It is stored, so that only the hooks still need it: it may be large.
                    Outcome::Completed(output) => {
                        Outcome::Completed(mem::replace(output, Output::new(Vec::new())))
                    }
                    // The lease held after all: Redis has taken the job back.
                    Outcome::LeaseLost => Outcome::Released,
                    other => other.clone(),
                };
                self.tell(|_| WorkerEvent::Ended {
                    attempt,
                    outcome,
                    duration,
                });
            }
            None if !is_lost && settlement.outcome == Outcome::Released => {
                self.tell(|queue| WorkerEvent::Released {
                    queue,
                    id: settlement.id.clone(),
                });
            }
            // Its attempt never began, so no `Started` was told.
            None => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Fence, (Attempt, Duration)>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Receipt;
    use crate::job::traits::EndTraits;

    fn attempt(fence: u64) -> Attempt {
        Attempt {
            queue: QueueName::new("mail").unwrap(),
            name: "welcome".into(),
            id: JobId::new(format!("job-{fence}")).unwrap(),
            number: 1,
            attempts: 10,
            earlier: 0,
            stalls: 0,
            snoozes: 0,
            fence: Fence(fence),
        }
    }

    fn settlement(fence: u64, outcome: Outcome) -> Settlement {
        Settlement {
            id: attempt(fence).id,
            fence: Fence(fence),
            receipt: Receipt::new("1 2 worker"),
            keep: None,
            is_requested: false,
            outcome,
            traits: EndTraits::None,
        }
    }

    #[test]
    fn what_is_stored_is_told_with_its_attempt_and_what_is_refused_as_lost() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&told);
        let mut hooks = Hooks::new(QueueName::new("mail").unwrap());
        hooks.add(Arc::new(move |event: &WorkerEvent| {
            keep.lock().unwrap().push(event.clone());
        }));
        let duration = Duration::from_secs(3);
        for fence in [1, 2] {
            hooks.ended(&attempt(fence), duration);
        }
        let completed = Outcome::Completed(Output::new(vec![7]));
        // The attempts of the last two never began.
        let mut settled = [1, 2, 3, 4].map(|fence| match fence {
            1 | 2 => settlement(fence, completed.clone()),
            _ => settlement(fence, Outcome::Released),
        });
        hooks.tell_settled(&mut settled, &[1, 3]);
        let ended = |fence, outcome| WorkerEvent::Ended {
            attempt: attempt(fence),
            outcome,
            duration,
        };
        let released = WorkerEvent::Released {
            queue: attempt(3).queue,
            id: attempt(3).id,
        };
        let wanted = [ended(1, completed), ended(2, Outcome::LeaseLost), released];
        assert_eq!(*told.lock().unwrap(), wanted);
        assert!(hooks.lock().is_empty());
    }

    #[test]
    fn an_outcome_that_redis_has_taken_is_not_told_as_lost() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&told);
        let mut hooks = Hooks::new(QueueName::new("mail").unwrap());
        hooks.add(Arc::new(move |event: &WorkerEvent| {
            keep.lock().unwrap().extend(event.outcome().cloned());
        }));
        let mut settled = [1, 2].map(|fence| settlement(fence, Outcome::LeaseLost));
        for fence in [1, 2] {
            hooks.ended(&attempt(fence), Duration::ZERO);
        }
        hooks.tell_settled(&mut settled, &[1]);
        let wanted = [Outcome::Released, Outcome::LeaseLost];
        assert_eq!(*told.lock().unwrap(), wanted);
    }

    #[test]
    fn without_hooks_nothing_is_made_or_kept() {
        let hooks = Hooks::new(QueueName::new("mail").unwrap());
        hooks.ended(&attempt(1), Duration::ZERO);
        assert!(hooks.lock().is_empty());
        hooks.tell(|_| unreachable!("no hook hears it"));
        let mut settled = [settlement(1, Outcome::Completed(Output::new(vec![7])))];
        hooks.tell_settled(&mut settled, &[]);
        let untouched = Outcome::Completed(Output::new(vec![7]));
        assert_eq!(settled[0].outcome, untouched);
    }
}
