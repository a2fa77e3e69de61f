//! Running what is due, inline, one job after the other.

use std::sync::Arc;
use std::time::Instant;

use crate::id::incarnation;
use crate::job::attempt::Attempt;
use crate::job::outcome::Outcome;
use crate::memory;
use crate::schedule::declared;
use crate::schedule::driver::Driver;
use crate::store::advance::{Advance, Advanced, Answer, Settlement, Suspects};
use crate::store::recover::{Doubt, Recover, Recovered};
use crate::store::trim::Trim;
use crate::store::{BATCH_BYTES, BATCH_JOBS};
use crate::time::millis;
use crate::worker::Worker;
use crate::worker::attempt::{Terms, attend_to};
use crate::worker::lease::Lease;
use crate::worker::pump::Pump;

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
        let queue = super::in_memory(&self.pump.queue).clone();
        Drain {
            pump: &self.pump,
            queue,
            lane: incarnation(),
            call: 0,
        }
        .run()
        .await
    }
}

struct Drain<'a> {
    pump: &'a Arc<Pump>,
    queue: memory::Queue,
    lane: String,
    call: u64,
}

impl Drain<'_> {
    async fn run(mut self) -> Vec<Ran> {
        let mut line = self.pump.store().shared_line();
        if let Err(error) = self.pump.declaration.store(self.pump, &mut line).await {
            unreachable!("memory has no trouble: {error}");
        }
        self.recover();
        declared::store(self.pump).await;
        if let Err(trouble) = Driver::new(self.pump).round().await {
            unreachable!("memory has no trouble: {trouble}");
        }
        let mut ran: Vec<Ran> = Vec::new();
        let mut settle: Vec<Settlement> = Vec::new();
        loop {
            let (advanced, sent) = self.advance(&settle);
            self.pump.hooks.tell_settled(&mut settle, &advanced.refused);
            if let Some(last) = ran.last_mut()
                && !advanced.refused.is_empty()
            {
                last.outcome = Outcome::LeaseLost;
            }
            let clock = self.pump.heard(advanced.now_ms);
            let Some(claimed) = advanced.claimed.into_iter().next() else {
                break;
            };
            let length = self.pump.config.lease;
            let lease = Lease::new(&claimed, sent, length);
            let lease = Arc::new(lease);
            let mut terms = Terms::new(&claimed, clock);
            let (context, settlement) = attend_to(self.pump, claimed, &lease, &mut terms).await;
            ran.push(Ran {
                attempt: context.attempt().clone(),
                outcome: settlement.outcome.clone(),
            });
            settle = vec![settlement];
        }
        self.trim();
        ran
    }

    /// Stores how the last attempt ended and claims one job: a more urgent one that a handler
    /// has just enqueued comes before the others.
    fn advance(&mut self, settle: &[Settlement]) -> (Advanced, Instant) {
        self.call += 1;
        let config = &self.pump.config;
        let sent = Instant::now();
        let answer = self.queue.call(&Advance {
            lane: &self.lane,
            call: self.call,
            worker: &self.pump.id,
            settle,
            claim: 1,
            claim_bytes: BATCH_BYTES,
            suspects: Suspects {
                at_most: 1,
                alone: true,
            },
            lease_ms: millis(config.lease),
            hold: false,
            handlers: Some(&self.pump.names),
            heard: 0,
            again: self.call == 1,
            ask: false,
        });
        match answer {
            Answer::Advanced(advanced) => (advanced, sent),
            Answer::Superseded | Answer::Asked => unreachable!("nobody else uses this lane"),
        }
    }

    /// Nobody else renews leases here: what has run out is over.
    fn recover(&self) {
        let mut expected_ms = 0;
        loop {
            let recovered = self.queue.call(&Recover {
                expected_ms,
                tolerance_ms: 0,
                limit: BATCH_JOBS,
                lease_ms: millis(self.pump.config.lease),
                gap_ms: 0,
                quiet_ms: 0,
                doubt: Doubt::None,
            });
            match recovered {
                // The first call asks for the time.
                Recovered::Unsure { now_ms, .. } => expected_ms = now_ms,
                Recovered::Done { stalled, dead, .. } if stalled.len() + dead.len() > 0 => {}
                Recovered::Done { .. } => return,
            }
        }
    }

    fn trim(&self) {
        let trim = Trim {
            limit: BATCH_JOBS,
            lane_ttl_ms: u64::MAX,
            lanes_cursor: "0",
        };
        while self.queue.call(&trim).more {}
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
