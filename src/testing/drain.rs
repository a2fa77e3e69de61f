//! Running what is due, inline, one job after the other.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::job::attempt::Attempt;
use crate::job::outcome::Outcome;
use crate::job::record::Record;
use crate::name::QueueName;
use crate::policy::pace::Pace;
use crate::queue::relay::Relay;
use crate::schedule::declared;
use crate::schedule::driver::Driver;
use crate::service::lease::Lease;
use crate::service::slots::NextCall;
use crate::store::advance::{Advanced, Claimed, Settlement, Suspects};
use crate::store::backend::{Became, Lane, Trouble};
use crate::store::recover::{Doubt, Recover, Recovered};
use crate::store::subscribed::Subscribed;
use crate::store::trim::Trim;
use crate::store::{BATCH_BYTES, BATCH_JOBS};
use crate::time::{ServerClock, millis};
use crate::topic::feeder::{Feeder, Step};
use crate::worker::Worker;
use crate::worker::advance_call::AdvanceCall;
use crate::worker::any_handler::{Gathering, Handlers, Place};
use crate::worker::attempt::attend_to;
use crate::worker::inner::WorkerInner;
use crate::worker::terms::Terms;

/// Middleware may hold up some jobs of a batch until others have ended: after so long it begins without them.
const TOGETHER_WITHIN: Duration = Duration::from_secs(1);

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
    /// ticks that are due, takes the events of [topics](crate::Topic) to which the queue is subscribed, and takes back jobs whose lease ran out; at last it drops what has been
    /// kept long enough.
    ///
    /// What the queue has for other queues is carried to them, but it runs the jobs of the worker's own queue alone. A flow through two queues is tested with two workers, which
    /// are drained one after the other.
    ///
    /// The jobs of a [batch handler](crate::BatchHandler) are collected until a batch is full or nothing else is due; then the batch
    /// runs. Their attempts are told in the order in which the jobs were claimed.
    ///
    /// It does not wait: a retry that is due later, or a job that a limit holds back, is run by the drain after the clock was
    /// turned ([`Oxcart::advance_time`](crate::Oxcart::advance_time)).
    ///
    /// # Panics
    ///
    /// If the queue is in a Redis. A handler that panics does not: it fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the jobs that run claimed, as a crash would.
    pub async fn drain(&self) -> Vec<Ran> {
        super::in_memory(&self.inner.queue);
        self.inner.inside.by_hand();
        let connection = self.inner.store().shared_connection();
        let drain = Drain {
            worker: &self.inner,
            lane: Lane::new(connection, Pace::careful(BATCH_BYTES)),
            ran: Vec::new(),
            gathered: Vec::new(),
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
    ran: Vec<Ran>,
    /// What is claimed, and waits for its batch.
    gathered: Vec<Gathered<'a>>,
}

/// Claimed jobs of one batch handler that share a batch.
struct Gathered<'a> {
    handler: &'a dyn Gathering,
    name: String,
    place: Place,
    jobs: Vec<Held>,
}

/// What runs next.
enum Due<'a> {
    Alone(Held),
    Together(Gathered<'a>),
}

/// A claimed job.
struct Held {
    claimed: Claimed,
    sent: Instant,
    clock: ServerClock,
}

impl Held {
    async fn attempt(self, worker: &Arc<WorkerInner>) -> (Ran, Settlement) {
        let lease = Arc::new(Lease::new(&self.claimed, self.sent, worker.config.lease));
        let mut terms = Terms::new(&self.claimed, self.clock);
        let (context, settlement) = attend_to(worker, self.claimed, &lease, &mut terms).await;
        let ran = Ran {
            attempt: context.attempt().clone(),
            outcome: settlement.outcome.clone(),
        };
        (ran, settlement)
    }
}

impl<'a> Drain<'a> {
    async fn run(mut self) -> Result<Vec<Ran>, Trouble> {
        let worker = self.worker;
        worker
            .settings
            .store(worker, self.lane.connection())
            .await?;
        self.recover().await?;
        self.relay().await?;
        self.feed().await?;
        declared::store(worker, &worker.schedules).await;
        Driver::new(worker).round().await?;
        let mut next = next(Vec::new());
        // What others handed back is looked at once more, once.
        next.again = true;
        loop {
            let due = match self.advance(next).await {
                Some(held) => self.gather(held),
                None if self.gathered.is_empty() => break,
                None => Some(Due::Together(self.gathered.remove(0))),
            };
            let mut ended = match due {
                Some(Due::Alone(held)) => vec![held.attempt(worker).await],
                Some(Due::Together(batch)) => together(worker, batch).await,
                None => Vec::new(),
            };
            // One outcome in a call, and one job claimed by the last of these calls.
            let last = ended.pop();
            for (ran, settlement) in ended {
                self.ran.push(ran);
                let stored = self.advance(NextCall::settling(vec![settlement])).await;
                debug_assert!(stored.is_none(), "it claims nothing");
            }
            let (ran, settle) = last.unzip();
            self.ran.extend(ran);
            next = self::next(settle.into_iter().collect());
        }
        self.trim().await?;
        Ok(self.ran)
    }

    /// What is to run now: the job, unless its handler takes batches; then its batch, if it is full.
    fn gather(&mut self, held: Held) -> Option<Due<'a>> {
        let handlers: &'a Handlers = &self.worker.handlers;
        if handlers.values().all(|one| one.gathering().is_none()) {
            return Some(Due::Alone(held));
        }
        let Held { claimed, .. } = &held;
        let record = Record::decode(&claimed.record, claimed.payload.clone());
        let (name, group) = record.map_or_else(
            |_| (String::new(), None),
            |record| (record.name, record.traits.group),
        );
        let handler = handlers.get(name.as_str());
        let Some(handler) = handler.and_then(|one| one.gathering()) else {
            return Some(Due::Alone(held));
        };
        let place = handler.place(group.as_deref());
        let up_to = place.up_to;
        let is_this = |batch: &Gathered<'_>| batch.name == name && batch.place == place;
        let known = self.gathered.iter().position(is_this);
        let at = known.unwrap_or_else(|| {
            let jobs = Vec::new();
            self.gathered.push(Gathered {
                handler,
                name,
                place,
                jobs,
            });
            self.gathered.len() - 1
        });
        let jobs = &mut self.gathered[at].jobs;
        jobs.push(held);
        let is_full = jobs.len() == up_to;
        is_full.then(|| Due::Together(self.gathered.remove(at)))
    }

    /// Stores how the last attempt ended, and claims what the call is to claim.
    async fn advance(&mut self, mut next: NextCall) -> Option<Held> {
        let (advanced, sent) = self.call(&next).await;
        let worker = self.worker;
        advanced.correct(&mut next.settle);
        if let (Some(last), Some(ended)) = (self.ran.last_mut(), next.settle.first()) {
            last.outcome.clone_from(&ended.outcome);
        }
        worker
            .hooks
            .tell_settled(&mut next.settle, &advanced.refused);
        if let Some(last) = self.ran.last_mut()
            && !advanced.refused.is_empty()
        {
            last.outcome = Outcome::LeaseLost;
        }
        let clock = worker.clock.heard(advanced.now_ms);
        if advanced.has_sent {
            let relayed = self.relay().await;
            debug_assert!(relayed.is_ok(), "memory has no trouble");
        }
        let Some(claimed) = advanced.claimed.into_iter().next() else {
            // What was carried may be for this queue.
            return match advanced.has_sent {
                true => Box::pin(self.advance(self::next(Vec::new()))).await,
                false => None,
            };
        };
        Some(Held {
            claimed,
            sent,
            clock,
        })
    }

    async fn call(&mut self, next: &NextCall) -> (Advanced, Instant) {
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

    /// Takes the events of the topics to which the queue is subscribed.
    async fn feed(&mut self) -> Result<(), Trouble> {
        let queue = &self.worker.queue;
        for to in self.worker.store().call(&Subscribed::LOOK).await? {
            let Some(mut feeder) = Feeder::new(queue, to) else {
                continue;
            };
            while feeder.step().await? == Step::More {}
        }
        Ok(())
    }

    /// Carries what waits for other queues, and for this one; and what these have for others: there may be no other worker.
    async fn relay(&mut self) -> Result<(), Trouble> {
        let setup = &self.worker.queue.inner.setup;
        loop {
            let mut is_done = true;
            let queues = setup.backend.queues(&setup.namespace).await;
            for name in queues.iter().flatten() {
                if let Ok(name) = QueueName::new(name) {
                    let run = Relay::new(Arc::clone(setup), name).run().await?;
                    is_done &= !run.more && run.carried == 0 && run.others.is_empty();
                }
            }
            if is_done {
                return Ok(());
            }
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

/// A call that claims one job: a more urgent one that a handler has just enqueued comes before the others.
fn next(settle: Vec<Settlement>) -> NextCall {
    NextCall {
        claim: 1,
        by_name: true,
        traits: true,
        ..NextCall::settling(settle)
    }
}

/// Runs the jobs of a batch. It begins as soon as each of them waits for it or has ended without it.
async fn together(worker: &Arc<WorkerInner>, batch: Gathered<'_>) -> Vec<(Ran, Settlement)> {
    let handler = batch.handler;
    let place = Place {
        up_to: batch.jobs.len(),
        ..batch.place
    };
    handler.open(place, TOGETHER_WITHIN, &worker.claims_end);
    let attempts = batch.jobs.into_iter().enumerate();
    let attempts = attempts.map(|(at, held)| async move { (at, held.attempt(worker).await) });
    let mut running: FuturesUnordered<_> = attempts.collect();
    let mut ended = Vec::with_capacity(running.len());
    let next = |context: &mut std::task::Context<'_>| {
        let polled = running.poll_next_unpin(context);
        if handler.waiting() == running.len() {
            handler.begin();
        }
        polled
    };
    let mut next = poll_fn(next);
    while let Some(one) = (&mut next).await {
        ended.push(one);
    }
    ended.sort_by_key(|(at, _)| *at);
    ended.into_iter().map(|(_, ended)| ended).collect()
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
