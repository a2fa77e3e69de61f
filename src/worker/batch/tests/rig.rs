//! Attempts of a worker whose handler takes batches, with leases in the hands of the test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::LONG;
use crate::id::{Fence, JobId, Receipt};
use crate::job::Job;
use crate::job::failure::Failure;
use crate::job::options::JobOptions;
use crate::job::outcome::Outcome;
use crate::job::record::EncodedRecord;
use crate::memory::Server;
use crate::oxcart::Oxcart;
use crate::service::lease::Lease;
use crate::service::slots::Brought;
use crate::store::advance::Claimed;
use crate::time::ServerClock;
use crate::worker::Worker;
use crate::worker::attempt::attend;
use crate::worker::batch::Batch;
use crate::worker::batch::batched::Batched;
use crate::worker::extract::State;
use crate::worker::inner::WorkerInner;

const SLOTS: usize = 100;

/// What the handler does with a job.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) enum Work {
    Succeed,
    Refuse,
    Skip,
    /// Waits for a permit, or for the job's token.
    Wait,
    FailAll,
    Panic,
}

impl Job for Work {
    const NAME: &'static str = "work";
    type Output = usize;
}

#[derive(Default)]
pub(super) struct Seen {
    /// How many jobs each batch had.
    pub(super) sizes: Mutex<Vec<usize>>,
    /// The groups of the jobs of each batch.
    pub(super) groups: Mutex<Vec<Vec<Option<String>>>>,
    pub(super) ids: Mutex<Vec<JobId>>,
    pub(super) cancelled: Mutex<Vec<JobId>>,
    pub(super) ended: Mutex<usize>,
}

impl Seen {
    pub(super) fn sizes(&self) -> Vec<usize> {
        self.sizes.lock().unwrap().clone()
    }

    pub(super) fn ended(&self) -> usize {
        *self.ended.lock().unwrap()
    }
}

/// The handler has ended, or was dropped.
struct Ends(Arc<Seen>);

impl Drop for Ends {
    fn drop(&mut self) {
        *self.0.ended.lock().unwrap() += 1;
    }
}

pub(super) struct Stage {
    pub(super) seen: Arc<Seen>,
    pub(super) permits: Semaphore,
    /// The handler goes on after the last outcome until there is one.
    pub(super) tail: Option<Semaphore>,
}

pub(super) async fn handle(jobs: Vec<Batched<Work>>, stage: State<Stage>) -> Result<(), Failure> {
    let (seen, size) = (&stage.seen, jobs.len());
    seen.sizes.lock().unwrap().push(size);
    let ids = jobs.iter().map(|job| job.context().id().clone());
    seen.ids.lock().unwrap().extend(ids);
    let groups = jobs
        .iter()
        .map(|job| job.context().group().map(str::to_owned));
    seen.groups.lock().unwrap().push(groups.collect());
    let _ends = Ends(Arc::clone(seen));
    for one in jobs {
        match one.job {
            Work::Succeed => one.complete(size),
            Work::Refuse => one.fail(Failure::dead("refused")),
            Work::Skip => drop(one),
            Work::Wait => {
                tokio::select! {
                    biased;
                    () = one.context().cancellation().cancelled() => {
                        let id = one.context().id().clone();
                        seen.cancelled.lock().unwrap().push(id);
                    }
                    permit = stage.permits.acquire() => {
                        permit?.forget();
                        one.complete(size);
                    }
                }
            }
            Work::FailAll => return Err(Failure::dead("all of them")),
            Work::Panic => panic!("as asked"),
        }
    }
    if let Some(tail) = &stage.tail {
        tail.acquire().await?.forget();
    }
    Ok(())
}

pub(super) struct Rig {
    pub(super) worker: Arc<WorkerInner>,
    pub(super) seen: Arc<Seen>,
    pub(super) stage: State<Stage>,
}

/// An attempt, and what the test needs of it.
pub(super) struct Attempt {
    pub(super) id: JobId,
    pub(super) lease: Arc<Lease>,
    pub(super) running: tokio::task::JoinHandle<()>,
}

impl Rig {
    pub(super) fn new(batch: Batch) -> Self {
        Self::with_tail(batch, None)
    }

    pub(super) fn with_tail(batch: Batch, tail: Option<Semaphore>) -> Self {
        Self::with(batch, tail, SLOTS)
    }

    pub(super) fn with_slots(batch: Batch, slots: usize) -> Self {
        Self::with(batch, None, slots)
    }

    fn with(batch: Batch, tail: Option<Semaphore>, slots: usize) -> Self {
        let oxcart = Oxcart::builder().build(Server::default().into()).unwrap();
        let queue = oxcart.queue("work").unwrap();
        let seen = Arc::new(Seen::default());
        let stage = Stage {
            seen: Arc::clone(&seen),
            permits: Semaphore::new(0),
            tail,
        };
        let builder = Worker::builder(&queue).concurrency(slots).state(stage);
        let worker = builder.handle_batch(batch, handle).build().unwrap().inner;
        let stage = worker.states.get().map(State).unwrap();
        Self {
            worker,
            seen,
            stage,
        }
    }

    /// The answer to a call of a lane.
    pub(super) async fn call(&self, claimed: usize) -> HashMap<JobId, Outcome> {
        let call = self.worker.slots.next_call(0).await.unwrap();
        self.worker.slots.brought(&Brought {
            reserved: call.claim,
            settled: call.settle.len(),
            claimed,
            more: false,
            traits: false,
            traits_asked: false,
            held: false,
            suspects: false,
            suspects_asked: false,
            unhandled: 0,
            by_name: false,
            made_news: false,
            woken: false,
        });
        let settled = call.settle.into_iter();
        settled.map(|one| (one.id, one.outcome)).collect()
    }

    pub(super) async fn claim(&self, jobs: impl IntoIterator<Item = Work>) -> Vec<Attempt> {
        self.claim_limited(jobs, None).await
    }

    pub(super) async fn claim_limited(
        &self,
        jobs: impl IntoIterator<Item = Work>,
        limit: Option<Duration>,
    ) -> Vec<Attempt> {
        let mut options = JobOptions::new();
        options.timeout = limit;
        let jobs = jobs.into_iter().map(|job| (job, options.clone()));
        self.claim_with(jobs).await
    }

    /// Jobs of these groups, in this order.
    pub(super) async fn claim_of(
        &self,
        job: Work,
        groups: impl IntoIterator<Item = Option<&str>>,
    ) -> Vec<Attempt> {
        let options = |group: Option<&str>| match group {
            Some(group) => JobOptions::new().group(group),
            None => JobOptions::new(),
        };
        let jobs = groups.into_iter().map(|group| (job, options(group)));
        self.claim_with(jobs).await
    }

    async fn claim_with(&self, jobs: impl IntoIterator<Item = (Work, JobOptions)>) -> Vec<Attempt> {
        let jobs: Vec<_> = jobs.into_iter().collect();
        self.worker.slots.look();
        assert!(self.call(jobs.len()).await.is_empty());
        let attempts = jobs
            .into_iter()
            .map(|(job, options)| self.attempt(job, options));
        attempts.collect()
    }

    fn attempt(&self, job: Work, options: JobOptions) -> Attempt {
        let options = options.attempts(3);
        let payload = crate::codec::encode("a job", &job).unwrap();
        let record = EncodedRecord::new(Work::NAME, payload, &options, Vec::new());
        let claimed = Claimed {
            id: JobId::generate(),
            fence: Fence(1),
            receipt: Receipt::new("1 2 worker"),
            record: crate::memory::stored_record(&record, 1_000, 1),
            payload: None,
            counters: None,
            stalls: 0,
            alone: false,
        };
        let id = claimed.id.clone();
        let length = self.worker.config.lease;
        let lease = Arc::new(Lease::new(&claimed, Instant::now(), length));
        let clock = ServerClock::heard_now(1_000);
        let worker = Arc::clone(&self.worker);
        let attempt = attend(worker, claimed, Arc::clone(&lease), clock, None);
        let running = tokio::spawn(attempt);
        Attempt { id, lease, running }
    }

    /// The outcomes of so many attempts, as soon as these have ended.
    pub(super) async fn outcomes(&self, attempts: usize) -> HashMap<JobId, Outcome> {
        let mut outcomes = HashMap::new();
        while outcomes.len() < attempts {
            let next = timeout(LONG, self.call(0)).await;
            outcomes.extend(next.expect("attempts end"));
        }
        outcomes
    }

    /// Waits until so many batches have begun.
    pub(super) async fn begun(&self, batches: usize) {
        while self.seen.sizes().len() < batches {
            yield_now().await;
        }
    }
}
