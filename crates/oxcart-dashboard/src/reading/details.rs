//! What a single page shows: read when somebody asks, and shared by all who ask within a second.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use oxcart::{DeadGroups, Error, ErrorKind, Oxcart, Queue, SagaInfo, StepsInfo};
use tokio::time::{sleep, timeout};

use crate::model::{self, Audit, AuditLine, DeadGroupLine, JobList, JobQuery, QueueView, Running};
use crate::place::Place;
use crate::reading::all::All;
use crate::reading::budget::Budget;
use crate::reading::clock::{self, Clock};
use crate::reading::kept::{Kept, Shelf};
use crate::reading::{ANSWER_WITHIN, NotRead, Reading, View, job, queue};

/// Commands a second for this, and how many at once.
const PER_SECOND: f64 = 18.0;
const AT_ONCE: f64 = 100.0;
/// Pages that are kept.
const PAGES: usize = 256;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The history of a day is read in so many calls, and changes once a minute.
const DAY_COMMANDS: usize = 46;
const DAY_FRESH: Duration = Duration::from_secs(60);
/// Jobs on a page.
const JOBS: usize = 50;
/// Calls for one page of jobs that pass a filter.
const CALLS: usize = 8;
/// Queues that are looked at for a page of all queues.
const QUEUES: usize = 64;
/// Jobs of one queue on the page of all that runs.
const RUNNING: usize = 64;
/// Dead letters that are read to group them.
const DEAD_READ: u64 = 10_000;
const AUDIT: usize = 50;

pub(super) struct Details {
    pub(super) oxcart: Oxcart,
    pub(super) all: Arc<All>,
    clock: Arc<Clock>,
    /// The queue that tells of the alerts of the application.
    pub(super) alerts: String,
    pub(super) budget: Budget,
    pages: Shelf<Place, Reading>,
    days: Shelf<String, Day>,
    /// When somebody last changed something: what was read before is read again.
    changed_at: Mutex<Option<Instant>>,
}

/// What changes slowly in a queue.
#[derive(Clone)]
struct Day {
    covers: Duration,
    names: oxcart::History,
    settings: Vec<model::SettingLine>,
    workers: u64,
}

impl Details {
    pub(super) fn new(oxcart: Oxcart, alerts: String, all: Arc<All>, clock: Arc<Clock>) -> Self {
        Self {
            oxcart,
            alerts,
            all,
            clock,
            budget: Budget::new(PER_SECOND, AT_ONCE),
            pages: Shelf::new(PAGES),
            days: Shelf::new(PAGES),
            changed_at: Mutex::default(),
        }
    }

    fn changed_at(&self) -> MutexGuard<'_, Option<Instant>> {
        let changed_at = self.changed_at.lock();
        changed_at.unwrap_or_else(PoisonError::into_inner)
    }

    /// What was read until now may be otherwise.
    pub(super) fn forget(&self) {
        *self.changed_at() = Some(Instant::now());
    }

    pub(super) async fn read(&self, place: &Place) -> Result<Reading, NotRead> {
        let slot = self.pages.slot(place);
        let mut kept = slot.lock().await;
        let (fresh_for, commands) = price(place);
        let changed_at = *self.changed_at();
        let old = kept.as_ref().filter(|kept| !kept.is_older_than(changed_at));
        if let Some(kept) = old
            && (kept.is_younger_than(fresh_for) || !self.budget.take(commands))
        {
            return Ok(kept.value.clone());
        }
        if old.is_none() {
            let wait = self.budget.lend(commands, ANSWER_WITHIN);
            sleep(wait.ok_or(NotRead::Crowded)?).await;
        }
        // Many dead letters are read in many calls.
        let within = match place {
            Place::Dead(_) => 4 * ANSWER_WITHIN,
            _ => ANSWER_WITHIN,
        };
        let read = match timeout(within, self.view(place)).await {
            Ok(read) => read,
            Err(_) => Err(NotRead::Lost(format!(
                "no answer within {} s",
                within.as_secs()
            ))),
        };
        match (read, &mut *kept) {
            (Ok(view), _) => {
                let reading = Reading::new(view, Some(self.clock.now()), None);
                *kept = Some(Kept::new(reading.clone()));
                Ok(reading)
            }
            (Err(NotRead::Lost(why)), Some(old)) => {
                *old = Kept::new(old.value.now_lost(why));
                Ok(old.value.clone())
            }
            (Err(other), _) => {
                *kept = None;
                Err(other)
            }
        }
    }

    async fn view(&self, place: &Place) -> Result<View, NotRead> {
        if !self.clock.is_known() {
            self.budget.borrow(clock::COMMANDS);
            self.clock.ask(&self.oxcart).await?;
        }
        match place {
            Place::Queue(name) => self.queue(name).await,
            Place::Jobs(name, query) => self.jobs(name, query).await,
            Place::Job(name, id) => self.job(name, id).await,
            Place::Running(name) => self.running(name.as_deref()).await,
            Place::Dead(name) => self.dead(name).await,
            Place::Schedules(name) => self.schedules(name.as_deref()).await,
            Place::Workers(name) => self.workers(name.as_deref()).await,
            Place::Audit(name, before) => self.audit(name, *before).await,
            Place::Alerts => self.rules().await,
            Place::Overview | Place::Tasks | Place::Task(_) => {
                Err(NotRead::Missing("it is no page of Redis".to_owned()))
            }
        }
    }

    /// A queue that was ever used: a name that was mistyped shows as such.
    async fn existing(&self, name: &str) -> Result<(Queue, oxcart::Counts), NotRead> {
        let queue = self.oxcart.queue(name)?;
        let counts = queue.counts().await?;
        let is_known = counts != oxcart::Counts::default() || self.all.known(name).is_some();
        if !is_known {
            self.budget.borrow(1);
            let names = self.oxcart.queues().await?;
            if !names.iter().any(|known| known == name) {
                return Err(NotRead::Missing(format!("there is no queue `{name}`")));
            }
        }
        Ok((queue, counts))
    }

    async fn queue(&self, name: &str) -> Result<View, NotRead> {
        let (queue, counts) = self.existing(name).await?;
        let oldest = queue.oldest_waiting().await?;
        let mut lease_over = None;
        if counts.active > 0 {
            self.budget.borrow(1);
            lease_over = queue::lease_over(&queue, self.clock.now()).await?;
        }
        let mut outgoing = Vec::new();
        if counts.has_sent {
            outgoing = queue::outbox(&queue).await?;
            self.budget.borrow(outgoing.len().max(1));
        }
        let day = self.day(&queue).await?;
        let now = self.clock.now();
        let lately = queue::lately(&day.names, now);
        let known = self.all.known(name);
        // The rates of the last minutes, if they are known; else those of the day.
        let lately = known
            .and_then(|line| Some((line.rates?, line.departures)))
            .unwrap_or(lately);
        let age = oldest.as_ref().map(|oldest| oldest.age);
        Ok(View::Queue(Box::new(QueueView {
            line: queue::line(
                name,
                &counts,
                (age, lease_over),
                outgoing,
                Some(&lately),
                now,
            ),
            oldest_waiting_id: oldest.map(|oldest| oldest.id.to_string()),
            rate: counts.rate.as_ref().map(queue::rate),
            rate_started: counts.started,
            concurrency: counts.concurrency,
            totals: queue::totals(&counts.totals),
            settings: day.settings,
            covers_ms: queue::ms(day.covers),
            names: queue::names(&day.names, &counts.paused_names),
            minutes: queue::minutes(&day.names),
            workers: day.workers,
        })))
    }

    async fn day(&self, queue: &Queue) -> Result<Day, Error> {
        let slot = self.days.slot(&queue.name().to_owned());
        let mut kept = slot.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_younger_than(DAY_FRESH)) {
            return Ok(kept.value.clone());
        }
        self.budget.borrow(DAY_COMMANDS + 3);
        let history = queue.history(DAY).await?;
        let day = Day {
            covers: history.covers,
            names: history,
            settings: queue::settings(&queue.settings().await?),
            workers: queue.workers().await?.len() as u64,
        };
        *kept = Some(Kept::new(day.clone()));
        Ok(day)
    }

    async fn jobs(&self, name: &str, query: &JobQuery) -> Result<View, NotRead> {
        let (queue, counts) = self.existing(name).await?;
        let mut request = Some(wanted(&queue, query)?.limit(JOBS));
        let (mut jobs, mut unreadable, mut next) = (Vec::new(), Vec::new(), None);
        for call in 0..CALLS {
            let Some(asked) = request.take() else { break };
            if call > 0 {
                self.budget.borrow(1);
            }
            let page = asked.await?;
            // Redis knows no fingerprints.
            let same = |found: &&oxcart::JobInfo| {
                query.fingerprint.is_empty() || found.fingerprint().to_string() == query.fingerprint
            };
            let matching = page.jobs.iter().filter(same);
            jobs.extend(matching.map(|found| job::line(name, found)));
            let ids = page.unreadable.iter().map(|error| match error.job_id() {
                Some(id) => id.to_string(),
                None => error.to_string(),
            });
            unreadable.extend(ids);
            next = page.next;
            if jobs.len() >= JOBS {
                break;
            }
            if let Some(next) = &next {
                let rest = JOBS - jobs.len();
                request = Some(wanted(&queue, query)?.limit(rest).after(next.clone()));
            }
        }
        let counts = [
            counts.waiting,
            counts.blocked,
            counts.delayed,
            counts.active,
            counts.completed,
            0,
            counts.dead,
        ];
        Ok(View::Jobs(JobList {
            queue: name.to_owned(),
            query: query.clone(),
            jobs,
            unreadable,
            next: next.map(|next| next.to_string()),
            counts: model::JobState::ALL.iter().copied().zip(counts).collect(),
        }))
    }

    async fn job(&self, name: &str, id: &str) -> Result<View, NotRead> {
        let queue = self.oxcart.queue(name)?;
        let id = oxcart::JobId::new(id)?;
        let gone = || {
            NotRead::Missing(format!(
                "there is no job {id} in `{name}`: it never was there, was removed, or ended and was not kept any longer"
            ))
        };
        let found = queue.job(&id).await?.ok_or_else(gone)?;
        let log = queue.logs(&id).await?;
        let is_paused = self.all.known(name).is_some_and(|line| line.paused);
        let mut children = oxcart::Children::default();
        if found.children > 0 {
            self.budget.borrow(1);
            children = queue.children(&id).await?;
        }
        let steps = match self.steps(&queue, &id).await {
            // The rest of the job can be shown.
            Err(error) if !matches!(error.kind(), ErrorKind::Codec | ErrorKind::Incompatible) => {
                return Err(error.into());
            }
            other => other,
        };
        let read = job::Read {
            job: &found,
            log: &log,
            children: &children,
            steps,
        };
        let view = job::view(name, read, is_paused);
        Ok(View::Job(Box::new(view)))
    }

    async fn steps(
        &self,
        queue: &Queue,
        id: &oxcart::JobId,
    ) -> Result<(StepsInfo, Option<SagaInfo>), Error> {
        let steps = queue.steps(id).info().await?;
        let mut saga = None;
        if !steps.steps.is_empty() {
            self.budget.borrow(2);
            saga = queue.saga(id).info().await?;
        }
        Ok((steps, saga))
    }

    async fn running(&self, name: Option<&str>) -> Result<View, NotRead> {
        let (names, left_out, mut active) = self.names(name, |line| line.active > 0).await?;
        let limit = if name.is_some() { 256 } else { RUNNING };
        let mut jobs = Vec::new();
        for name in &names {
            self.budget.borrow(1);
            let page = self.oxcart.queue(name)?.jobs(oxcart::JobState::Active);
            let page = page.limit(limit).await?;
            jobs.extend(page.jobs.iter().map(|found| job::line(name, found)));
        }
        jobs.sort_by_key(|job| job.claimed_at);
        active = active.max(jobs.len() as u64);
        Ok(View::Running(Running {
            queue: name.map(str::to_owned),
            jobs,
            active,
            left_out,
        }))
    }

    /// The queue, or the busiest of all those that pass; how many are left out, and how many jobs run in all of them.
    pub(super) async fn names(
        &self,
        name: Option<&str>,
        passes: impl Fn(&model::QueueLine) -> bool,
    ) -> Result<(Vec<String>, u64, u64), NotRead> {
        if let Some(name) = name {
            let (_, counts) = self.existing(name).await?;
            return Ok((vec![name.to_owned()], 0, counts.active));
        }
        let known = self.all.look().await;
        if let (None, Some(why)) = (known.read_at, known.lost) {
            return Err(NotRead::Lost(why));
        }
        let lines = self.all.busiest();
        let active = lines.iter().map(|line| line.active).sum();
        let mut names: Vec<String> = lines
            .into_iter()
            .filter(|line| passes(line))
            .map(|line| line.queue)
            .collect();
        let left_out = names.len().saturating_sub(QUEUES) as u64;
        names.truncate(QUEUES);
        Ok((names, left_out, active))
    }

    async fn dead(&self, name: &str) -> Result<View, NotRead> {
        let (queue, counts) = self.existing(name).await?;
        let to_read = counts.dead.min(DEAD_READ).div_ceil(256) as usize;
        self.budget.borrow(to_read);
        let found: DeadGroups = queue
            .dead_letters()
            .groups()
            .read_at_most(DEAD_READ)
            .await?;
        let groups = found.groups.iter().map(|group| DeadGroupLine {
            fingerprint: group.fingerprint.to_string(),
            name: group.name.clone(),
            count: group.count,
            first_at: group.first_at.into(),
            last_at: group.last_at.into(),
            sample: group.sample.clone(),
            sample_id: group.sample_id.to_string(),
        });
        Ok(View::Dead(model::DeadGroups {
            queue: name.to_owned(),
            groups: groups.collect(),
            dead: found.dead,
            read: found.read,
        }))
    }

    async fn audit(&self, name: &str, before: Option<u64>) -> Result<View, NotRead> {
        let (queue, _) = self.existing(name).await?;
        let mut asked = queue.audit().limit(AUDIT);
        if let Some(before) = before {
            asked = asked.before(before);
        }
        let entries = asked.await?;
        let is_full = entries.len() == AUDIT;
        let next = entries.last().map(|entry| entry.number);
        let entries = entries.into_iter().map(|entry| AuditLine {
            number: entry.number,
            at: entry.at.into(),
            operator: entry.operator,
            action: entry.action,
            target: entry.target,
            phase: match entry.phase {
                oxcart::AuditPhase::Asked => "asked",
                oxcart::AuditPhase::Began => "began",
                oxcart::AuditPhase::Ended => "ended",
                _ => "other",
            },
            jobs: entry.jobs,
        });
        Ok(View::Audit(Audit {
            queue: name.to_owned(),
            entries: entries.collect(),
            next: next.filter(|_| is_full),
        }))
    }
}

/// The request for jobs that a query stands for.
pub(crate) fn wanted(queue: &Queue, query: &JobQuery) -> Result<oxcart::Jobs, NotRead> {
    let mut jobs = queue.jobs(query.state);
    if !query.name.is_empty() {
        jobs = jobs.named(&query.name);
    }
    if !query.id.is_empty() {
        jobs = jobs.id_prefix(&query.id);
    }
    if !query.group.is_empty() {
        jobs = jobs.in_group(&query.group);
    }
    if !query.error.is_empty() {
        jobs = jobs.error_contains(&query.error);
    }
    if !query.failed.is_empty() {
        let failed = query.failed.parse();
        let failed = failed.map_err(|_| wrong("`failed` is a number"))?;
        jobs = jobs.failed_at_least(failed);
    }
    if let Some(age) = age(&query.older, "older")? {
        jobs = jobs.older_than(age);
    }
    if let Some(age) = age(&query.newer, "newer")? {
        jobs = jobs.newer_than(age);
    }
    if !query.after.is_empty() {
        jobs = jobs.after(query.after.parse()?);
    }
    Ok(jobs)
}

fn wrong(what: &str) -> NotRead {
    NotRead::Wrong(what.to_owned())
}

/// `90s`, `2h`, `7d`; nothing if it is empty.
pub(crate) fn age(text: &str, what: &str) -> Result<Option<Duration>, NotRead> {
    if text.is_empty() {
        return Ok(None);
    }
    let age = humantime::parse_duration(text);
    age.map(Some)
        .map_err(|_| NotRead::Wrong(format!("`{what}` is a time such as 90s, 2h or 7d")))
}

/// For how long a page is fresh, and how many commands it takes at least.
fn price(place: &Place) -> (Duration, usize) {
    let (ms, commands) = match place {
        Place::Queue(_) | Place::Jobs(..) => (900, 2),
        Place::Job(..) => (900, 4),
        Place::Running(Some(_)) => (900, 1),
        Place::Running(None) => (1_900, 0),
        Place::Audit(..) => (1_900, 2),
        Place::Alerts => (1_900, 1),
        Place::Dead(_) => (4_900, 3),
        Place::Schedules(Some(_)) | Place::Workers(Some(_)) => (1_900, 3),
        _ => (19_900, 0),
    };
    (Duration::from_millis(ms), commands)
}
