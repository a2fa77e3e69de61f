//! Producers that go on whatever happens, and remember what they were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use oxcart::{Error, Queue};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::jobs::{Work, now_ms};

/// The default call timeout of a producer, and what a busy machine may add to it.
const ANSWER_WITHIN: Duration = Duration::from_secs(5 + 2);
/// How long a producer waits after an error.
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// A job of 0 to 40 ms.
pub(crate) fn short(rng: &mut fastrand::Rng) -> Work {
    Work::Sleep {
        ms: rng.u64(0..=40),
    }
}

/// How much, and how fast.
#[derive(Clone)]
pub(crate) struct Pace {
    pub(crate) callers: usize,
    /// Each of them ends after so many.
    pub(crate) each: usize,
    /// Each waits so long between two jobs.
    pub(crate) pause: Duration,
}

impl Pace {
    /// Until it is stopped.
    pub(crate) fn steady(callers: usize, pause_ms: u64) -> Self {
        Self {
            callers,
            each: usize::MAX,
            pause: Duration::from_millis(pause_ms),
        }
    }

    /// So many jobs altogether, as fast as can be.
    pub(crate) fn of(jobs: usize, callers: usize) -> Self {
        Self {
            callers,
            each: jobs / callers,
            pause: Duration::ZERO,
        }
    }
}

/// One acknowledged job.
pub(crate) struct Acknowledged {
    pub(crate) id: String,
    pub(crate) at_ms: u64,
}

/// What the producers were told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) acknowledged: Vec<Acknowledged>,
    pub(crate) errors: usize,
    /// Errors that were not what is promised.
    pub(crate) wrong: Vec<String>,
    pub(crate) longest_wait: Duration,
}

impl Told {
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.acknowledged.iter().map(|job| job.id.as_str())
    }

    fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.errors += other.errors;
        self.wrong.extend(other.wrong);
        self.longest_wait = self.longest_wait.max(other.longest_wait);
    }

    /// An error says whether the job may be there, which one it is, and that it can be tried
    /// again; and no caller waits longer for it than was promised.
    fn heard(&mut self, error: &Error, waited: Duration) {
        self.errors += 1;
        if error.job_id().is_none() || !error.is_retryable() || waited > ANSWER_WITHIN {
            self.wrong.push(format!("after {waited:?}: {error:?}"));
        }
    }
}

/// Producers at work.
pub(crate) struct Load {
    callers: JoinSet<Told>,
    stop: CancellationToken,
    last_ack_ms: Arc<AtomicU64>,
}

impl Load {
    /// Starts them; `make` makes the jobs.
    pub(crate) fn start(
        queue: &Queue,
        pace: &Pace,
        rng: &mut fastrand::Rng,
        make: fn(&mut fastrand::Rng) -> Work,
    ) -> Self {
        let stop = CancellationToken::new();
        let last_ack_ms = Arc::new(AtomicU64::new(0));
        let mut callers = JoinSet::new();
        for _ in 0..pace.callers {
            let caller = Caller {
                queue: queue.clone(),
                pace: pace.clone(),
                rng: rng.fork(),
                stop: stop.clone(),
                last_ack_ms: Arc::clone(&last_ack_ms),
            };
            callers.spawn(caller.run(make));
        }
        Self {
            callers,
            stop,
            last_ack_ms,
        }
    }

    /// When the last job was acknowledged.
    pub(crate) fn last_ack_ms(&self) -> u64 {
        self.last_ack_ms.load(Ordering::SeqCst)
    }

    /// Every job that was begun is acknowledged first, however long that takes.
    pub(crate) async fn stop(self) -> Told {
        self.stop.cancel();
        self.end().await
    }

    /// Waits until each has made all its jobs.
    pub(crate) async fn end(mut self) -> Told {
        let mut told = Told::default();
        while let Some(one) = self.callers.join_next().await {
            told.add(one.expect("a producer does not panic"));
        }
        told
    }
}

struct Caller {
    queue: Queue,
    pace: Pace,
    rng: fastrand::Rng,
    stop: CancellationToken,
    last_ack_ms: Arc<AtomicU64>,
}

impl Caller {
    async fn run(mut self, make: fn(&mut fastrand::Rng) -> Work) -> Told {
        let mut told = Told::default();
        while told.acknowledged.len() < self.pace.each && !self.stop.is_cancelled() {
            let job = make(&mut self.rng);
            self.enqueue(job, &mut told).await;
            if !self.pace.pause.is_zero() {
                tokio::time::sleep(self.pace.pause).await;
            }
        }
        told
    }

    async fn enqueue(&self, job: Work, told: &mut Told) {
        let mut request = self.queue.enqueue(job);
        loop {
            let asked = Instant::now();
            let answer = (&mut request).await;
            told.longest_wait = told.longest_wait.max(asked.elapsed());
            match answer {
                Ok(handle) => {
                    let at_ms = now_ms();
                    let id = handle.id().to_string();
                    told.acknowledged.push(Acknowledged { id, at_ms });
                    self.last_ack_ms.fetch_max(at_ms, Ordering::SeqCst);
                    return;
                }
                Err(error) => {
                    told.heard(&error, asked.elapsed());
                    assert!(error.is_retryable(), "{error:?}");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
            }
        }
    }
}
