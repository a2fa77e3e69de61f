//! Running what is due, inline, one job after the other.

use std::sync::Arc;
use std::time::Instant;

use crate::job::attempt::Attempt;
use crate::job::outcome::Outcome;
use crate::policy::pace::Pace;
use crate::schedule::declared;
use crate::schedule::driver::Driver;
use crate::service::lease::Lease;
use crate::service::slots::NextCall;
use crate::store::advance::{Advanced, Settlement, Suspects};
use crate::store::backend::{Became, Lane, Trouble};
use crate::store::recover::{Doubt, Recover, Recovered};
use crate::store::trim::Trim;
use crate::store::{BATCH_BYTES, BATCH_JOBS};
use crate::time::millis;
use crate::worker::Worker;
use crate::worker::advance_call::AdvanceCall;
use crate::worker::attempt::attend_to;
use crate::worker::inner::WorkerInner;
use crate::worker::terms::Terms;

/// An attempt that [`Worker::drain`] ran.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ran {
    /// Which job, and which of its attempts.
    pub attempt: Attempt,
    /// How it ended.
    pub outcome: Outcome,
}

/// Only with the feature `memory`.
impl Worker {
    /// Runs everything that is due in a queue of [`Oxcart::in_memory`](crate::Oxcart::in_memory),
    /// and what becomes due by it, one job after the other in this task; says how each attempt
    /// ended, in order. Before that it stores the settings and the schedules that the worker declares, fires the
    /// ticks that are due, and takes back jobs whose lease ran out; at last it drops what has been
    /// kept long enough.
    ///
    /// It runs the jobs of the worker's own queue alone. A flow through two queues is tested with two workers, which
    /// are drained one after the other.
    ///
    /// It does not wait: a retry that is due later is run by the drain after the clock was
    /// turned ([`Oxcart::advance_time`](crate::Oxcart::advance_time)).
    ///
    /// # Panics
    ///
    /// If the queue is in a Redis. A handler that panics does not: it fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the job that runs claimed, as a crash would.
    pub async fn drain(&self) -> Vec<Ran> {
        super::in_memory(&self.inner.queue);
        let connection = self.inner.store().shared_connection();
        let drain = Drain {
            worker: &self.inner,
            lane: Lane::new(connection, Pace::careful(BATCH_BYTES)),
        };
        match drain.run().await {
            Ok(ran) => ran,
            Err(trouble) => unreachable!("memory has no trouble: {trouble}"),
        }
    }
}

struct Drain<'a> {
    worker: &'a Arc<WorkerInner>,
    lane: Lane,
}

impl Drain<'_> {
    async fn run(mut self) -> Result<Vec<Ran>, Trouble> {
        let worker = self.worker;
        worker
            .settings
            .store(worker, self.lane.connection())
            .await?;
        self.recover().await?;
        declared::store(worker, &worker.schedules).await;
        Driver::new(worker).round().await?;
        let mut ran: Vec<Ran> = Vec::new();
        let mut next = self.next(Vec::new());
        // What others handed back is looked at once more, once.
        next.again = true;
        loop {
            let (advanced, sent) = self.advance(&next).await;
            advanced.correct(&mut next.settle);
            if let (Some(last), Some(ended)) = (ran.last_mut(), next.settle.first()) {
                last.outcome.clone_from(&ended.outcome);
            }
            worker
                .hooks
                .tell_settled(&mut next.settle, &advanced.refused);
            if let Some(last) = ran.last_mut()
                && !advanced.refused.is_empty()
            {
                last.outcome = Outcome::LeaseLost;
            }
            let clock = worker.clock.heard(advanced.now_ms);
            let Some(claimed) = advanced.claimed.into_iter().next() else {
                break;
            };
            let lease = Arc::new(Lease::new(&claimed, sent, worker.config.lease));
            let mut terms = Terms::new(&claimed, clock);
            let (context, settlement) = attend_to(worker, claimed, &lease, &mut terms).await;
            ran.push(Ran {
                attempt: context.attempt().clone(),
                outcome: settlement.outcome.clone(),
            });
            next = self.next(vec![settlement]);
        }
        self.trim().await?;
        Ok(ran)
    }

    /// Stores how the last attempt ended and claims one job: a more urgent one that a handler
    /// has just enqueued comes before the others.
    fn next(&self, settle: Vec<Settlement>) -> NextCall {
        NextCall {
            claim: 1,
            by_name: true,
            ..NextCall::settling(settle)
        }
    }

    async fn advance(&mut self, next: &NextCall) -> (Advanced, Instant) {
        let mut call = AdvanceCall {
            suspects: Suspects {
                at_most: 1,
                alone: true,
            },
            // No task of this worker waits for a timer.
            keeps_timers: false,
            ..AdvanceCall::new(self.worker, next)
        };
        match self.lane.call(&mut call).await {
            Became::Done { answer, sent, .. } => (answer, sent),
            _ => unreachable!("memory has no trouble, and nobody else uses this lane"),
        }
    }

    /// No other task renews leases here: what has run out is over.
    async fn recover(&mut self) -> Result<(), Trouble> {
        let mut expected_ms = 0;
        loop {
            let recover = Recover {
                expected_ms,
                tolerance_ms: 0,
                limit: BATCH_JOBS,
                lease_ms: millis(self.worker.config.lease),
                gap_ms: 0,
                quiet_ms: 0,
                doubt: Doubt::None,
            };
            match self.lane.connection().call(&recover).await? {
                // The first call asks for the time.
                Recovered::Unsure { now_ms, .. } => expected_ms = now_ms,
                Recovered::Done {
                    stalled,
                    dead,
                    cancelled,
                    ..
                } if stalled.len() + dead.len() + cancelled.len() > 0 => {}
                Recovered::Done { .. } => return Ok(()),
            }
        }
    }

    async fn trim(&mut self) -> Result<(), Trouble> {
        let trim = Trim {
            limit: BATCH_JOBS,
            lane_ttl_ms: u64::MAX,
            lanes_cursor: "0",
        };
        while self.lane.connection().call(&trim).await?.more {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::job::Job;
    use crate::job::failure::Failure;
    use crate::oxcart::Oxcart;
    use crate::policy::settings::QueueSettings;
    use crate::worker::Worker;

    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct Nothing;

    impl Job for Nothing {
        const NAME: &'static str = "nothing";
        type Output = ();
    }

    #[tokio::test]
    async fn a_drain_stores_what_its_worker_declares_and_obeys_what_is_set() {
        let queue = Oxcart::in_memory().queue("work").unwrap();
        let declares = QueueSettings::new().keep_at_most(3);
        let worker = Worker::builder(&queue)
            .queue_settings(declares)
            .handle(async |_: Nothing| Ok::<_, Failure>(()));
        let worker = worker.build().unwrap();
        let drain = async || {
            queue.enqueue_many(vec![Nothing; 9]).await.unwrap();
            assert_eq!(worker.drain().await.len(), 9);
            queue.counts().await.unwrap().completed
        };
        assert_eq!(drain().await, 3);
        let changed = QueueSettings::new().keep_at_most(2);
        queue.change_settings(changed).await.unwrap();
        assert_eq!(drain().await, 2);
        assert_eq!(queue.settings().await.unwrap().declared, declares);
    }
}
