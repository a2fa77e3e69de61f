//! Looks after schedules: that the schedules which this worker declares are there, that each stored
//! schedule ticks, and that some worker comes for the next tick. What was lost (evicted, deleted, a
//! Redis emptied under running workers) is stored anew.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::warn;

use crate::error::Error;
use crate::maintenance::{Duty, Left};
use crate::schedule::builder::{DeclaredSchedule, Scheduled};
use crate::schedule::{declared, edit};
use crate::service::WorkerShared;
use crate::service::trouble::CallKind;
use crate::store::BATCH_JOBS;
use crate::store::backend::{Connection, Trouble};
use crate::store::schedules::Schedules;
use crate::store::tend::{Tend, Tended};

const PERIOD: Duration = Duration::from_secs(30);
/// A worker that declares schedules looks soon after its start.
const FIRST_MAX: Duration = Duration::from_secs(1);
/// Fields looked at in one call. The server reads their values, which may be payloads.
const FIELDS_PER_CALL: usize = 64;
/// How often all schedules are read (a survey); the other looks read only what is lost.
const SURVEY_EVERY: Duration = Duration::from_secs(600);
/// Schedules read in one call.
const PAGE: usize = 64;

pub(crate) struct ScheduleUpkeep {
    /// The schedules that this worker's code declares.
    schedules: Arc<[DeclaredSchedule]>,
    /// Whether the queue is known to have schedules. A queue without schedules is not asked for them.
    known: Arc<AtomicBool>,
    /// Where the last look ended.
    cursor: String,
    /// Which of the declared ones are to be looked for next.
    declared_from: usize,
    /// Where the survey under way goes on.
    survey: Option<String>,
    /// When the last survey began.
    surveyed: Option<Instant>,
    /// Schedules that were reported because they cannot be mended.
    reported: HashSet<String>,
}

impl ScheduleUpkeep {
    pub(crate) fn new(schedules: Arc<[DeclaredSchedule]>, known: Arc<AtomicBool>) -> Self {
        Self {
            schedules,
            known,
            cursor: Schedules::ALL.to_owned(),
            declared_from: 0,
            survey: None,
            surveyed: None,
            reported: HashSet::new(),
        }
    }

    /// Asks what is lost, and stores it anew.
    async fn tend(
        &mut self,
        shared: &WorkerShared,
        connection: &mut Connection,
    ) -> Result<Left, Trouble> {
        let declared = Arc::clone(&self.schedules);
        let rest = &declared[self.declared_from.min(declared.len())..];
        let page = &rest[..rest.len().min(BATCH_JOBS)];
        // A schedule that was refused when it was declared is not looked for: it would be refused every time.
        let own = page.iter().filter(|own| own.stored.load(Ordering::Relaxed));
        let own: Vec<&DeclaredSchedule> = own.collect();
        let names: Vec<&str> = own.iter().map(|own| own.name.as_str()).collect();
        let verb = Tend {
            worker: &shared.id,
            hold: shared.slots.is_claiming(),
            names: &names,
            cursor: &self.cursor,
            limit: FIELDS_PER_CALL,
        };
        let tended: Tended = connection.call(&verb).await?;
        let clock = shared.clock.heard(tended.now_ms);
        shared.timers.tick.set_by(clock, tended.tick_ms);
        if tended.mended {
            warn!(
                queue = shared.queue.name(),
                "it was lost when the next tick of all schedules is; it is known again"
            );
        }
        for own in tended.gone.iter().filter_map(|at| own.get(*at)) {
            let stored = edit::upsert(&shared.queue, &own.name, &own.rule, &own.job).await;
            let stored = match stored {
                // A schedule that has ended since, for instance.
                Err(error) if !error.is_retryable() => {
                    own.stored.store(false, Ordering::Relaxed);
                    Err(error)
                }
                other => other.map(|done| done == Scheduled::Created),
            };
            self.report(shared, &own.name, stored, "it was gone; it is stored anew");
        }
        for name in &tended.lost {
            let mended = edit::mend(&shared.queue, name).await;
            self.report(
                shared,
                name,
                mended,
                "its next tick was lost; it ticks again",
            );
        }
        let all_named = page.len() == rest.len();
        self.declared_from = match all_named {
            true => 0,
            false => self.declared_from + page.len(),
        };
        self.cursor = tended.cursor;
        // One page a round is enough where nothing seems to be lost.
        let goes_on = self.cursor != Schedules::ALL && (tended.short || !tended.lost.is_empty());
        Ok(match all_named && !goes_on {
            true => Left::Nothing,
            false => Left::More,
        })
    }

    /// A page of the survey, which finds schedules that wait for a tick they cannot have.
    async fn look_over(
        &mut self,
        shared: &WorkerShared,
        connection: &mut Connection,
        cursor: &str,
    ) -> Result<Left, Trouble> {
        let page = Schedules::Some {
            cursor,
            limit: PAGE,
        };
        let found = connection.call(&page).await?;
        shared.clock.heard(found.now_ms);
        for stored in &found.schedules {
            if edit::is_off(stored, found.now_ms) {
                let mended = edit::mend(&shared.queue, &stored.name).await;
                let why =
                    "its next tick was further ahead than it can have been set; it is set anew";
                self.report(shared, &stored.name, mended, why);
            }
        }
        self.survey = Some(found.cursor).filter(|cursor| cursor != Schedules::ALL);
        Ok(Left::More)
    }

    fn report(
        &mut self,
        shared: &WorkerShared,
        name: &str,
        mended: Result<bool, Error>,
        how: &str,
    ) {
        match mended {
            Ok(true) => warn!(queue = shared.queue.name(), schedule = name, "{how}"),
            Ok(false) => {}
            Err(error) if error.is_retryable() => {
                warn!(queue = shared.queue.name(), schedule = name, %error, "a schedule is to be mended");
            }
            Err(error) => {
                if self.reported.insert(name.to_owned()) {
                    declared::refused(shared, name, &error);
                }
            }
        }
    }
}

impl Duty for ScheduleUpkeep {
    const KIND: CallKind = CallKind::ScheduleUpkeep;

    fn period(&self, _: &WorkerShared) -> Duration {
        PERIOD
    }

    fn first(&self, _: &WorkerShared) -> Duration {
        match self.schedules.is_empty() {
            true => PERIOD,
            false => FIRST_MAX,
        }
    }

    async fn call(
        &mut self,
        shared: &WorkerShared,
        connection: &mut Connection,
    ) -> Result<Left, Trouble> {
        if self.schedules.is_empty() && !self.known.load(Ordering::Relaxed) {
            return Ok(Left::NoCall);
        }
        // When this worker begins, when the clock has jumped since, and now and then.
        let again = |at: Instant| {
            let since = at.elapsed();
            since > SURVEY_EVERY || shared.clock.jumped_within(since)
        };
        if self.survey.is_none() && self.surveyed.is_none_or(again) {
            self.surveyed = Some(Instant::now());
            self.survey = Some(Schedules::ALL.to_owned());
        }
        // A call that fails is made again: its cursor is kept.
        match self.survey.clone() {
            Some(cursor) => self.look_over(shared, connection, &cursor).await,
            None => self.tend(shared, connection).await,
        }
    }
}
