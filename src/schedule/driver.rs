//! Firing ticks. Any worker may fire them; one worker keeps the timer for the next tick, and any worker that sees
//! that the timer is late takes it over. The jobs of a tick and the next tick are stored in one
//! call, which changes nothing if another worker was faster.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tracing::{debug, warn};

use crate::error::Error;
use crate::policy::pauses::Pauses;
use crate::schedule::builder::DeclaredSchedule;
use crate::schedule::declared;
use crate::schedule::plan;
use crate::schedule::rule::{left_alone, unreadable};
use crate::service::WorkerShared;
use crate::service::hooks::WorkerEvent;
use crate::store::backend::{Connection, Trouble};
use crate::store::fire::{Entry, Fire, Fired};
use crate::store::schedules::{Found, Schedules};
use crate::store::{BATCH_BYTES, BATCH_JOBS};

/// Schedules dealt with in one call.
const PAGE: usize = 64;
/// So many ticks of one schedule are fired in one call, so that other schedules get their turn.
const TICKS_PER_CALL: usize = 64;
/// Before what failed is tried again.
const PAUSES: Pauses = Pauses::between(Duration::from_millis(50), Duration::from_secs(1));
/// How often a worker hands the next tick on because it cannot read one that is due: another
/// version may.
const HANDS_ON_EVERY: Duration = Duration::from_secs(20);
/// After it has handed the tick on, the worker looks itself this much later than the tick, in case no other worker
/// took it.
const AFTER_OTHERS_MS: u64 = 100;

/// Stores what the worker's code declares, then fires ticks until it is dropped.
pub(crate) async fn run(shared: Arc<WorkerShared>, schedules: Arc<[DeclaredSchedule]>) {
    let shared = &*shared;
    declared::store(shared, &schedules).await;
    let mut driver = Driver::new(shared);
    let mut pauses = PAUSES;
    loop {
        shared.timers.tick.fires().await;
        match driver.round().await {
            Ok(()) => pauses.reset(),
            Err(trouble) => {
                if pauses.is_fresh() {
                    let queue = shared.queue.name();
                    warn!(queue, %trouble, "firing ticks is held up; the worker goes on trying");
                }
                sleep(pauses.next(fastrand::f64())).await;
                shared.timers.tick.set(Instant::now());
            }
        }
    }
}

/// Fires ticks, for one worker.
pub(crate) struct Driver<'a> {
    shared: &'a WorkerShared,
    connection: Connection,
    /// The schedules that were reported because they cannot be read.
    reported: HashSet<String>,
    handed_on: Option<Instant>,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(shared: &'a WorkerShared) -> Self {
        Self {
            shared,
            connection: shared.store().shared_connection(),
            reported: HashSet::new(),
            handed_on: None,
        }
    }

    /// Fires everything that is due.
    pub(crate) async fn round(&mut self) -> Result<(), Trouble> {
        let (mut offset, mut in_vain) = (0, InVain::new());
        loop {
            let due = Schedules::due(offset, PAGE);
            let found = self.connection.call(&due).await?;
            let page = self.plan(&found, &in_vain);
            if page.entries.is_empty() && found.schedules.len() == PAGE {
                offset += PAGE;
                continue;
            }
            if page.entries.is_empty() && offset + page.unreadable > 0 {
                return self.pass_over(&found).await;
            }
            let fired = self.fire(&page.entries).await?;
            for (entry, verdict) in page.entries.into_iter().zip(&fired.verdicts) {
                if verdict.is_none() {
                    in_vain.insert((entry.name, entry.revision, entry.tick_ms));
                }
            }
            let clock = self.shared.clock.heard(fired.now_ms);
            if fired.tick_ms.is_none_or(|tick_ms| tick_ms > fired.now_ms) {
                self.shared.timers.tick.set_by(clock, fired.tick_ms);
                return Ok(());
            }
            offset = 0;
        }
    }

    /// All schedules that are due cannot be read here. They stay due, for a worker that can read them. The next tick
    /// is then the next one of the other schedules, or a moment to look again.
    async fn pass_over(&mut self, found: &Found) -> Result<(), Trouble> {
        let hands_on = self
            .handed_on
            .is_none_or(|at| at.elapsed() >= HANDS_ON_EVERY);
        let verb = Fire {
            worker: &self.shared.id,
            hold: !hands_on,
            entries: &[],
            passed_ms: Some(found.now_ms),
        };
        let fired = self.connection.call(&verb).await?;
        let clock = self.shared.clock.heard(fired.now_ms);
        let mut tick_ms = fired.tick_ms;
        if hands_on {
            self.handed_on = Some(Instant::now());
            tick_ms = found.next_ms.map(|next_ms| next_ms + AFTER_OTHERS_MS);
        }
        self.shared.timers.tick.set_by(clock, tick_ms);
        Ok(())
    }

    async fn fire(&mut self, entries: &[Entry]) -> Result<Fired, Trouble> {
        let verb = Fire {
            worker: &self.shared.id,
            hold: true,
            entries,
            passed_ms: None,
        };
        let fired = self.connection.call(&verb).await?;
        let queue = self.shared.queue.name();
        for (entry, verdict) in entries.iter().zip(&fired.verdicts) {
            match verdict {
                Some(jobs) => {
                    debug!(
                        queue,
                        schedule = entry.name,
                        jobs,
                        missed = entry.missed,
                        "fired"
                    );
                    self.report_missed(entry);
                }
                None => debug!(queue, schedule = entry.name, "another worker was faster"),
            }
        }
        Ok(fired)
    }

    fn report_missed(&self, entry: &Entry) {
        if entry.missed == 0 {
            return;
        }
        warn!(
            queue = self.shared.queue.name(),
            schedule = entry.name,
            missed = entry.missed,
            "no worker fired these ticks in time; they are given up"
        );
        self.shared.hooks.tell(|queue| WorkerEvent::TicksMissed {
            queue,
            schedule: entry.name.clone(),
            ticks: entry.missed,
        });
    }

    /// What to do about a page of schedules that are due, as much of it as fits into one call.
    fn plan(&mut self, found: &Found, in_vain: &InVain) -> Page {
        let mut page = Page {
            entries: Vec::new(),
            unreadable: 0,
        };
        let (mut jobs, mut bytes) = (BATCH_JOBS, BATCH_BYTES as u64);
        for stored in &found.schedules {
            let fit = bytes / stored.job_bytes.max(1);
            let fit = usize::try_from(fit).unwrap_or(jobs).min(jobs);
            // A single job may be larger than a call.
            let room = match page.entries.is_empty() {
                true => fit.max(1),
                false => fit,
            };
            let entry = plan::entry(stored, found.now_ms, room.min(TICKS_PER_CALL));
            match entry.and_then(|entry| unless_in_vain(entry, in_vain)) {
                Ok(Some(entry)) => {
                    jobs = jobs.saturating_sub(entry.ticks.len());
                    bytes = bytes.saturating_sub(stored.job_bytes * entry.ticks.len() as u64);
                    page.entries.push(entry);
                }
                Ok(None) => break,
                Err(error) => {
                    page.unreadable += 1;
                    if self.reported.insert(stored.name.clone()) {
                        let error = left_alone(error, &stored.name);
                        declared::refused(self.shared, &stored.name, &error);
                    }
                }
            }
        }
        page
    }
}

/// What was fired in vain in this round: name, revision and tick.
type InVain = HashSet<(String, u64, u64)>;

/// An error if the same tick was fired in vain before in this round: if another worker had been faster, the
/// schedule would have changed.
fn unless_in_vain(entry: Option<Entry>, in_vain: &InVain) -> Result<Option<Entry>, Error> {
    let seen = entry
        .as_ref()
        .map(|e| (e.name.clone(), e.revision, e.tick_ms));
    if seen.is_some_and(|seen| in_vain.contains(&seen)) {
        return Err(unreadable("it is not what it says it is"));
    }
    Ok(entry)
}

struct Page {
    entries: Vec<Entry>,
    unreadable: usize,
}
