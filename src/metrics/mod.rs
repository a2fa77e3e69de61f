//! What the library tells the recorder of the [`metrics`](https://docs.rs/metrics) facade that the application has installed. Names,
//! kinds, units and labels are in [`all`]; `docs/metrics.md` is made from it.
//!
//! Handles are made once for each queue and job name, and kept: an update is then a few atomic operations. A recorder that is
//! installed later does not hear of those that were made before.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use ::metrics::{
    Counter, Gauge, Histogram, SharedString, Unit, counter, describe_counter, describe_gauge,
    describe_histogram, gauge, histogram,
};

const JOBS: &str = "oxcart_jobs_total";
const WAIT: &str = "oxcart_job_wait_seconds";
const RUN: &str = "oxcart_job_run_seconds";
const STALLED: &str = "oxcart_stalled_total";
const REFUSED: &str = "oxcart_refused_total";
const SLOTS: &str = "oxcart_worker_slots";
const ENQUEUED: &str = "oxcart_enqueued_total";
const ENQUEUE_ERRORS: &str = "oxcart_enqueue_errors_total";
const BATCH: &str = "oxcart_batch_jobs";
const CALL: &str = "oxcart_redis_call_seconds";
const CALL_ERRORS: &str = "oxcart_redis_call_errors_total";
const IN_STATE: &str = "oxcart_jobs_in_state";
const OLDEST: &str = "oxcart_oldest_waiting_seconds";
const BREAKER_CHANGES: &str = "oxcart_breaker_changes_total";
const BREAKER_REFUSED: &str = "oxcart_breaker_refused_total";

/// What a metric counts or measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How values are distributed.
    Histogram,
}

/// One metric: a part of the contract with those who read the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name. Seconds and jobs are the only units, and the name says which; a counter ends in `_total`.
    pub name: &'static str,
    /// What it counts or measures.
    pub kind: MetricKind,
    /// The names of its labels. None of them is ever an id: their values come from the application's code, and from the library.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

const fn metric(
    name: &'static str,
    kind: MetricKind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        help,
    }
}

const ALL: &[Metric] = {
    use MetricKind::{Counter, Gauge, Histogram};
    &[
        metric(
            JOBS,
            Counter,
            &["queue", "job", "outcome"],
            "Attempts that ended in this process, by what became of the job",
        ),
        metric(
            WAIT,
            Histogram,
            &["queue", "job"],
            "From the moment a job was enqueued to the start of its first attempt, with its delay",
        ),
        metric(
            RUN,
            Histogram,
            &["queue", "job"],
            "How long an attempt ran, with its arguments and middleware",
        ),
        metric(
            STALLED,
            Counter,
            &["queue"],
            "Jobs that this process took back from workers that had died",
        ),
        metric(
            REFUSED,
            Counter,
            &["queue"],
            "Outcomes that were not stored, because the job had been taken back from this process",
        ),
        metric(
            SLOTS,
            Gauge,
            &["queue", "state"],
            "Slots of this process's workers: busy, free",
        ),
        metric(
            ENQUEUED,
            Counter,
            &["queue"],
            "Jobs that this process enqueued and that are new",
        ),
        metric(
            ENQUEUE_ERRORS,
            Counter,
            &["queue", "kind"],
            "Jobs of requests to enqueue that failed, by the kind of the error",
        ),
        metric(
            BATCH,
            Histogram,
            &["verb"],
            "Jobs in one call: those that are enqueued, settled or claimed together",
        ),
        metric(
            CALL,
            Histogram,
            &["verb"],
            "From sending a call to Redis to its answer",
        ),
        metric(
            CALL_ERRORS,
            Counter,
            &["verb"],
            "Calls to Redis that failed; most are repeated",
        ),
        metric(
            IN_STATE,
            Gauge,
            &["queue", "state"],
            "Jobs in each state, as `Queue::record_counts` has read them last",
        ),
        metric(
            OLDEST,
            Gauge,
            &["queue"],
            "For how long the oldest waiting job has waited, as `Queue::record_counts` has read it last; 0 if none waits",
        ),
        metric(
            BREAKER_CHANGES,
            Counter,
            &["breaker", "state"],
            "Changes of a breaker to this state that calls of this process have brought about",
        ),
        metric(
            BREAKER_REFUSED,
            Counter,
            &["breaker"],
            "Calls of this process whose jobs wait, because a breaker was open or had no probe or pass left",
        ),
    ]
};

/// All metrics of the library.
#[must_use]
pub fn all() -> &'static [Metric] {
    ALL
}

/// Tells the recorder what each metric means and which unit it has. Call it once, after the recorder is installed.
///
/// ```
/// // After the recorder of your choice is installed, for example by `PrometheusBuilder::new().install()`:
/// oxcart::metrics::describe();
/// ```
pub fn describe() {
    for Metric {
        name, kind, help, ..
    } in ALL
    {
        let unit = match name.ends_with("_seconds") {
            true => Unit::Seconds,
            false => Unit::Count,
        };
        match kind {
            MetricKind::Counter => describe_counter!(*name, unit, *help),
            MetricKind::Gauge => describe_gauge!(*name, unit, *help),
            MetricKind::Histogram => describe_histogram!(*name, unit, *help),
        }
    }
}

/// The metrics of one worker.
pub(crate) struct WorkerMetrics {
    queue: SharedString,
    rare: OnceLock<Rare>,
    names: RwLock<HashMap<String, Name>>,
}

struct Rare {
    stalled: Counter,
    refused: Counter,
    slots: Mutex<Slots>,
    settled: Histogram,
    claimed: Histogram,
}

/// What one worker has added to the gauges, which the workers of its queue in this process share.
struct Slots {
    busy: Gauge,
    free: Gauge,
    shown: (f64, f64),
}

impl Slots {
    fn of(queue: SharedString) -> Self {
        Self {
            busy: gauge!(SLOTS, "queue" => queue.clone(), "state" => "busy"),
            free: gauge!(SLOTS, "queue" => queue, "state" => "free"),
            shown: (0.0, 0.0),
        }
    }

    fn show(&mut self, busy: f64, free: f64) {
        let shown = std::mem::replace(&mut self.shown, (busy, free));
        self.busy.increment(busy - shown.0);
        self.free.increment(free - shown.1);
    }
}

/// A worker that has ended has no slots.
impl Drop for Slots {
    fn drop(&mut self) {
        self.show(0.0, 0.0);
    }
}

/// The metrics of one job name.
struct Name {
    wait: Histogram,
    run: Histogram,
    outcomes: HashMap<&'static str, Counter>,
}

impl Name {
    fn ended(&self, outcome: &'static str, waited: Option<Duration>, ran: Duration) {
        self.run.record(ran);
        if let Some(waited) = waited {
            self.wait.record(waited);
        }
        if let Some(counter) = self.outcomes.get(outcome) {
            counter.increment(1);
        }
    }
}

impl WorkerMetrics {
    pub(crate) fn new(queue: &str) -> Self {
        Self {
            queue: queue.to_owned().into(),
            rare: OnceLock::new(),
            names: RwLock::default(),
        }
    }

    /// An attempt has ended. Attempts of all threads end here, so none holds up the others, but for the first of its kind.
    pub(crate) fn ended(
        &self,
        name: &str,
        outcome: &'static str,
        waited: Option<Duration>,
        ran: Duration,
    ) {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let of_name = names
            .get(name)
            .filter(|it| it.outcomes.contains_key(outcome));
        if let Some(of_name) = of_name {
            return of_name.ended(outcome, waited, ran);
        }
        drop(names);
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        let (queue, job) = (&self.queue, SharedString::from(name.to_owned()));
        let of_name = names.entry(name.to_owned()).or_insert_with(|| Name {
            wait: histogram!(WAIT, "queue" => queue.clone(), "job" => job.clone()),
            run: histogram!(RUN, "queue" => queue.clone(), "job" => job.clone()),
            outcomes: HashMap::new(),
        });
        of_name.outcomes.entry(outcome).or_insert_with(
            || counter!(JOBS, "queue" => queue.clone(), "job" => job, "outcome" => outcome),
        );
        of_name.ended(outcome, waited, ran);
    }

    /// A call has settled and claimed so many jobs. `slots`: how many are busy now, and how many there are.
    pub(crate) fn advanced(
        &self,
        settled: usize,
        claimed: usize,
        slots: impl FnOnce() -> (usize, usize),
    ) {
        let (busy, slots) = slots();
        let rare = self.rare();
        if settled > 0 {
            rare.settled.record(settled as f64);
        }
        if claimed > 0 {
            rare.claimed.record(claimed as f64);
        }
        let mut shown = rare.slots.lock().unwrap_or_else(PoisonError::into_inner);
        shown.show(busy as f64, slots.saturating_sub(busy) as f64);
    }

    pub(crate) fn stalled(&self, jobs: usize) {
        self.rare().stalled.increment(jobs as u64);
    }

    pub(crate) fn refused(&self, outcomes: usize) {
        if outcomes > 0 {
            self.rare().refused.increment(outcomes as u64);
        }
    }

    fn rare(&self) -> &Rare {
        let queue = || self.queue.clone();
        self.rare.get_or_init(|| Rare {
            stalled: counter!(STALLED, "queue" => queue()),
            refused: counter!(REFUSED, "queue" => queue()),
            slots: Mutex::new(Slots::of(queue())),
            settled: histogram!(BATCH, "verb" => "settle"),
            claimed: histogram!(BATCH, "verb" => "claim"),
        })
    }
}

/// Redis has answered a call, or has not.
pub(crate) fn called(verb: &'static str, took: Duration, is_ok: bool) {
    histogram!(CALL, "verb" => verb).record(took);
    if !is_ok {
        counter!(CALL_ERRORS, "verb" => verb).increment(1);
    }
}

/// A call has enqueued `jobs`, of which so many are new.
pub(crate) fn enqueued(queue: &str, jobs: usize, new: usize) {
    histogram!(BATCH, "verb" => "enqueue").record(jobs as f64);
    counter!(ENQUEUED, "queue" => queue.to_owned()).increment(new as u64);
}

/// A caller is told that so many jobs are not, or may not be, enqueued.
pub(crate) fn enqueue_failed(queue: &str, kind: &'static str, jobs: usize) {
    counter!(ENQUEUE_ERRORS, "queue" => queue.to_owned(), "kind" => kind).increment(jobs as u64);
}

/// So many jobs of a queue are in each of these states, and the oldest of those that wait has waited for so long.
pub(crate) fn counted(queue: &str, states: &[(&'static str, u64)], oldest: Duration) {
    for (state, jobs) in states {
        gauge!(IN_STATE, "queue" => queue.to_owned(), "state" => *state).set(*jobs as f64);
    }
    gauge!(OLDEST, "queue" => queue.to_owned()).set(oldest.as_secs_f64());
}

/// A call of this process has changed the state of a breaker.
pub(crate) fn breaker_changed(breaker: &str, state: &'static str) {
    counter!(BREAKER_CHANGES, "breaker" => breaker.to_owned(), "state" => state).increment(1);
}

/// The job of a call waits because of a breaker.
pub(crate) fn breaker_refused(breaker: &str) {
    counter!(BREAKER_REFUSED, "breaker" => breaker.to_owned()).increment(1);
}
