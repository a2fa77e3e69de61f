//! Who works on a queue.

use std::collections::{BTreeMap, HashMap};

use crate::error::Error;
use crate::id::JobId;
use crate::job::state::State;
use crate::policy::about::About;
use crate::queue::Queue;
use crate::store::workers::{Said, Workers};
use crate::time::Timestamp;

/// What about so many workers have said is read in one call.
const WORKERS_PER_CALL: usize = 64;
/// No more workers than this are told.
const WORKERS_MAX: usize = 10_000;
/// So many pages of jobs that run are read, of 256 each.
const PAGES_MAX: usize = 64;

/// A worker of a queue, by what it has said of itself ([`Queue::workers`]).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerInfo {
    /// An id that each worker makes when it is built ([`JobInfo::worker`](crate::JobInfo::worker)).
    pub id: String,
    /// The name of its machine or container; empty if the system does not tell it.
    pub host: String,
    /// The id of its process there.
    pub process: u32,
    /// The version of the library.
    pub version: String,
    /// How many jobs it runs at a time.
    pub concurrency: u64,
    /// The names of the jobs that it has handlers for, in order; the first 8 KiB of names.
    pub handlers: Vec<String>,
    /// So many more handlers it has.
    pub unnamed_handlers: u64,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it said so last: less than 150 s ago.
    pub seen_at: Timestamp,
    /// What it runs now, in the order in which the jobs were claimed.
    pub running: Vec<RunningJob>,
}

/// A job that a worker runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningJob {
    /// The id of the job.
    pub id: JobId,
    /// The name of its type.
    pub name: String,
    /// When the worker took it.
    pub claimed_at: Option<Timestamp>,
}

impl WorkerInfo {
    fn new(said: Said) -> Self {
        let about = About::decode(&said.about);
        Self {
            id: said.worker,
            host: about.host,
            process: about.process,
            version: about.version,
            concurrency: about.concurrency,
            handlers: about.handlers,
            unnamed_handlers: about.unnamed,
            started_at: Timestamp::from_millis(said.since_ms),
            seen_at: Timestamp::from_millis(said.at_ms),
            running: Vec::new(),
        }
    }

    /// Whether it has a handler for jobs of this name, or may have one.
    #[must_use]
    pub fn handles(&self, job_name: &str) -> bool {
        // A version whose words cannot be read names no handler at all.
        let is_unknown = self.handlers.is_empty() || self.unnamed_handlers > 0;
        is_unknown || self.handlers.iter().any(|name| name == job_name)
    }
}

impl Queue {
    /// The workers of this queue, in all processes, in the order in which they were started; and what each of them runs at the moment. At
    /// most 10,000 workers.
    ///
    /// ```no_run
    /// # async fn example(mail: oxcart::Queue) -> Result<(), oxcart::Error> {
    /// for worker in mail.workers().await? {
    ///     println!("{} of {} on {}: {}", worker.running.len(), worker.concurrency, worker.host, worker.handlers.join(", "));
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// A worker says about once a minute that it is there; it is not told in its first second. A worker that has stopped is gone at once, one
    /// that died after 150 s. It is for people to look at: which worker gets a job, and when a job is taken back, do not depend on it. A worker whose
    /// clock is wrong is told right, because only the server's clock is asked.
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>, Error> {
        // One that moves while the pages are read may come twice.
        let mut found: BTreeMap<String, WorkerInfo> = BTreeMap::new();
        let mut cursor = Workers::FIRST.to_owned();
        loop {
            let verb = Workers {
                cursor: &cursor,
                limit: WORKERS_PER_CALL,
            };
            let page = self.inner.call(&verb).await?;
            let workers = page.workers.into_iter();
            found.extend(workers.map(|said| (said.worker.clone(), WorkerInfo::new(said))));
            cursor = page.cursor;
            if cursor == Workers::FIRST || found.len() >= WORKERS_MAX {
                break;
            }
        }
        if !found.is_empty() {
            for (worker, running) in self.running().await? {
                if let Some(worker) = found.get_mut(&worker) {
                    worker.running = running;
                }
            }
        }
        let mut workers: Vec<WorkerInfo> = found.into_values().collect();
        workers.sort_by_key(|worker| worker.started_at);
        Ok(workers)
    }

    /// Whether any worker has reported lately. It costs one small call for a queue with workers, whatever their number.
    pub(crate) async fn has_worker(&self) -> Result<bool, Error> {
        let mut cursor = Workers::FIRST.to_owned();
        loop {
            let verb = Workers {
                cursor: &cursor,
                limit: 1,
            };
            let page = self.inner.call(&verb).await?;
            if !page.workers.is_empty() || page.cursor == Workers::FIRST {
                return Ok(!page.workers.is_empty());
            }
            cursor = page.cursor;
        }
    }

    /// What each worker runs.
    async fn running(&self) -> Result<HashMap<String, Vec<RunningJob>>, Error> {
        let mut running: HashMap<String, Vec<RunningJob>> = HashMap::new();
        let mut request = Some(self.jobs(State::Active));
        for _ in 0..PAGES_MAX {
            let Some(jobs) = request.take() else {
                break;
            };
            let page = jobs.await?;
            for job in page.jobs {
                let (id, name, claimed_at) = (job.id, job.name, job.claimed_at);
                let jobs = running.entry(job.worker.unwrap_or_default()).or_default();
                // A job whose lease is renewed between two pages comes again.
                if !jobs.iter().any(|known| known.id == id) {
                    jobs.push(RunningJob {
                        id,
                        name,
                        claimed_at,
                    });
                }
            }
            request = page.next.map(|next| self.jobs(State::Active).after(next));
        }
        for jobs in running.values_mut() {
            jobs.sort_by_key(|job| job.claimed_at);
        }
        Ok(running)
    }
}
