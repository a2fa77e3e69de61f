//! Firing ticks. Any worker may; one of them keeps the timer for the next tick, and whoever sees
//! that this one is late takes over. Which job a tick makes and what comes next is stored in one
//! call, which changes nothing if somebody else was faster.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};

use crate::policy::schedule::Overlap;
use crate::redis::trouble::Trouble;
use crate::schedule::declared;
use crate::schedule::info::decode;
use crate::store::backend::Line;
use crate::store::fire::{Entry, Fire, Fired};
use crate::store::schedules::{Found, Schedules, StoredSchedule};
use crate::store::{BATCH_BYTES, BATCH_JOBS};
use crate::time::ServerClock;
use crate::worker::hooks::WorkerEvent;
use crate::worker::pump::Pump;

/// Schedules dealt with in one call.
const PAGE: usize = 64;
/// Ticks of one schedule fired in one call: the others get their turn.
const TICKS_PER_CALL: usize = 64;
/// An answer that takes longer is asked for again, on a new connection: nothing fires twice by that.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long a worker looks away after all that was due is what it cannot read.
const PAUSE_UNREADABLE: Duration = Duration::from_secs(1);

/// When a worker has to see to a tick.
pub(crate) struct Ticker {
    at: watch::Sender<Option<Instant>>,
}

impl Ticker {
    pub(crate) fn new() -> Self {
        Self {
            at: watch::Sender::new(None),
        }
    }

    /// An answer said that this worker has to see to the tick at `tick_ms`, if to any.
    pub(crate) fn see_to(&self, clock: ServerClock, tick_ms: Option<u64>) {
        if let Some(tick_ms) = tick_ms {
            self.look_at(Instant::from_std(clock.instant_of(tick_ms)));
        }
    }

    /// Look then, or earlier if that was asked for before.
    fn look_at(&self, at: Instant) {
        self.at.send_if_modified(|known| {
            let earlier = known.is_none_or(|known| at < known);
            if earlier {
                *known = Some(at);
            }
            earlier
        });
    }

    /// Waits until it is time. Cancel safe.
    async fn due(&self) {
        let mut changes = self.at.subscribe();
        loop {
            let at = *changes.borrow_and_update();
            let waiting = async {
                match at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The sender lives as long as we do.
                _ = changes.changed() => {}
                () = waiting => {
                    self.at.send_replace(None);
                    return;
                }
            }
        }
    }
}

/// Stores what the worker's code declares, then fires ticks until it is dropped.
pub(crate) async fn run(pump: &Pump) {
    declared::store(pump).await;
    let mut driver = Driver::new(pump);
    let mut pause = PAUSE_MIN;
    loop {
        pump.ticker.due().await;
        match driver.round().await {
            Ok(()) => pause = PAUSE_MIN,
            Err(trouble) => {
                if pause == PAUSE_MIN {
                    warn!(%trouble, "firing ticks is held up; the worker goes on trying");
                }
                sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
                pause = (pause * 2).min(PAUSE_MAX);
                pump.ticker.look_at(Instant::now());
            }
        }
    }
}

/// Fires ticks, for one worker.
pub(crate) struct Driver<'a> {
    pump: &'a Pump,
    line: Line,
    /// The schedules that were reported because they cannot be read.
    reported: HashSet<String>,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(pump: &'a Pump) -> Self {
        Self {
            pump,
            line: pump.store().line(ANSWER_PATIENCE),
            reported: HashSet::new(),
        }
    }

    /// Fires everything that is due.
    pub(crate) async fn round(&mut self) -> Result<(), Trouble> {
        let mut offset = 0;
        loop {
            let due = Schedules::due(offset, PAGE);
            let found = self.line.call(&due).await?;
            let page = self.plan(&found);
            if page.entries.is_empty() && found.schedules.len() == PAGE {
                offset += PAGE;
                continue;
            }
            let fired = self.fire(&page.entries).await?;
            let clock = self.pump.heard(fired.now_ms);
            if page.entries.is_empty() && offset + page.unreadable > 0 {
                self.pass_over(clock, found.next_ms).await;
                return Ok(());
            }
            if fired.tick_ms.is_none_or(|tick_ms| tick_ms > fired.now_ms) {
                self.pump.ticker.see_to(clock, fired.tick_ms);
                return Ok(());
            }
            offset = 0;
        }
    }

    /// All that is due is what cannot be read here. It stays the next tick of all, for somebody who
    /// can; this worker goes on with what comes later, and does not look all the time.
    async fn pass_over(&self, clock: ServerClock, next_ms: Option<u64>) {
        self.pump.ticker.see_to(clock, next_ms);
        let now = std::time::Instant::now();
        let pause = next_ms.map(|next_ms| clock.instant_of(next_ms).saturating_duration_since(now));
        sleep(pause.map_or(PAUSE_UNREADABLE, |pause| pause.min(PAUSE_UNREADABLE))).await;
    }

    async fn fire(&mut self, entries: &[Entry]) -> Result<Fired, Trouble> {
        let verb = Fire {
            worker: &self.pump.id,
            hold: true,
            entries,
        };
        let fired = self.line.call(&verb).await?;
        for (entry, verdict) in entries.iter().zip(&fired.verdicts) {
            match verdict {
                Some(jobs) => {
                    debug!(schedule = entry.name, jobs, missed = entry.missed, "fired");
                    self.report_missed(entry);
                }
                None => debug!(schedule = entry.name, "somebody else was faster"),
            }
        }
        Ok(fired)
    }

    fn report_missed(&self, entry: &Entry) {
        if entry.missed == 0 {
            return;
        }
        warn!(
            schedule = entry.name,
            missed = entry.missed,
            "nobody was there to fire these ticks; they are given up"
        );
        self.pump.hooks.tell(|| WorkerEvent::TicksMissed {
            schedule: entry.name.clone(),
            ticks: entry.missed,
        });
    }

    /// What to do about a page of schedules that are due, as much of it as fits into one call.
    fn plan(&mut self, found: &Found) -> Page {
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
            match entry(stored, found.now_ms, room.min(TICKS_PER_CALL)) {
                Ok(Some(entry)) => {
                    jobs = jobs.saturating_sub(entry.ticks.len());
                    bytes = bytes.saturating_sub(stored.job_bytes * entry.ticks.len() as u64);
                    page.entries.push(entry);
                }
                Ok(None) => break,
                Err(error) => {
                    page.unreadable += 1;
                    if self.reported.insert(stored.name.clone()) {
                        declared::refused(self.pump, &stored.name, &error);
                    }
                }
            }
        }
        page
    }
}

struct Page {
    entries: Vec<Entry>,
    unreadable: usize,
}

/// What to do about one schedule; `None` if there is no room for it.
fn entry(
    stored: &StoredSchedule,
    now_ms: u64,
    room: usize,
) -> Result<Option<Entry>, crate::error::Error> {
    let (definition, progress) = decode(stored)?;
    let timing = definition.timing()?;
    let Some(tick_ms) = stored.tick_ms else {
        return Ok(None);
    };
    let left = definition
        .limit
        .map(|limit| limit.saturating_sub(progress.fired));
    let left = left.map_or(room, |left| usize::try_from(left).unwrap_or(room));
    let Some(plan) = timing.plan(tick_ms, now_ms, definition.missed, room.min(left.max(1))) else {
        return Ok(None);
    };
    let due_ms = |tick: &u64| {
        let jitter = match definition.jitter_ms {
            0 => 0,
            longest => fastrand::u64(0..=longest),
        };
        tick.saturating_add(definition.delay_ms)
            .saturating_add(jitter)
    };
    Ok(Some(Entry {
        name: stored.name.clone(),
        revision: progress.revision,
        tick_ms,
        due_ms: plan.fire.iter().map(due_ms).collect(),
        ticks: plan.fire,
        missed: plan.missed,
        last_ms: plan.last,
        next_ms: plan.next,
        limit: definition.limit,
        no_overlap: definition.overlap == Overlap::Skip,
        priority: definition.priority,
        front: definition.front,
    }))
}
