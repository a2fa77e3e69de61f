//! What can be wrong with a queue.

use std::collections::BTreeSet;
use std::time::Duration;

use oxcart::{Counts, ErrorKind, JobInfo, JobState, OnFailure, Queue, Timestamp};

use super::Doctor;
use super::report::{Finding, Level, Report};
use super::server::Clock;
use super::workers;
use crate::noun::queue::orphans::watched;
use crate::noun::queue::{differ_from_code, is_rate_used_up};
use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::look::jobs;
use crate::text::quoted::quoted;
use crate::text::rates;
use crate::text::when::rough;
use crate::trouble::Trouble;

/// What workers do by themselves, within some seconds, is late after this time.
const LATE: Duration = Duration::from_secs(30);
/// Between two looks at a queue in which nothing seems to run.
pub(super) const SECOND_LOOK: Duration = Duration::from_secs(1);
/// Reading the records of all jobs for orphans may take this long.
const ORPHANS_LIMIT: Duration = Duration::from_secs(20);

/// What the first pages of a queue show.
struct Seen<'a> {
    queue: &'a Queue,
    name: &'a str,
    counts: Counts,
    clock: Clock,
    report: &'a mut Report,
}

pub(super) async fn check(
    queue: &Queue,
    doctor: &Doctor,
    clock: Clock,
    session: &mut Session,
    report: &mut Report,
) -> Result<(), Trouble> {
    let counts = queue.counts().await?;
    let name = queue.name();
    let mut seen = Seen {
        queue,
        name,
        counts,
        clock,
        report,
    };
    seen.pause();
    seen.held();
    seen.totals();
    seen.backlog().await?;
    workers::check(queue, &seen.counts, clock, seen.report).await?;
    seen.leases().await?;
    seen.overdue().await?;
    seen.outbox().await?;
    seen.dead_and_held().await?;
    seen.schedules().await?;
    seen.settings().await?;
    if !doctor.quick {
        seen.orphans(doctor.fix, session).await?;
    }
    Ok(())
}

impl Seen<'_> {
    /// How long ago, if it is late.
    fn late(&self, time: Timestamp) -> Option<Duration> {
        let by = self.clock.now().duration_since(time);
        (by > LATE).then_some(by)
    }

    fn add(
        &mut self,
        level: Level,
        check: &'static str,
        what: String,
        advice: &str,
        command: &str,
    ) {
        let mut finding = Finding::new(level, check, Some(self.name), what);
        if !advice.is_empty() {
            finding = finding.advice(advice);
        }
        if !command.is_empty() {
            finding = finding.command(command.replacen("{}", self.name, 1));
        }
        self.report.add(finding);
    }

    /// Jobs in a state, and those that a newer version wrote.
    async fn first(&mut self, state: JobState) -> Result<Vec<JobInfo>, Trouble> {
        let page = self.queue.jobs(state).await?;
        if let Some(error) = page.unreadable.first() {
            let what = format!(
                "{} {state} cannot be read by this version: {error}",
                jobs(page.unreadable.len() as u64)
            );
            self.add(
                Level::Warning,
                "newer-version",
                what,
                "use the `oxcart` of the newest version that writes here",
                "",
            );
        }
        Ok(page.jobs)
    }

    fn pause(&mut self) {
        if self.counts.paused {
            let what = format!("it is paused; {} waiting", jobs(self.counts.waiting));
            let level = if self.counts.waiting > 0 {
                Level::Warning
            } else {
                Level::Note
            };
            self.add(level, "paused", what, "", "oxcart queue resume {}");
        }
    }

    /// What keeps jobs from starting, and ends by itself or by an operator.
    fn held(&mut self) {
        if let Some(until) = self.counts.held_until {
            let left = rough(until.duration_since(self.clock.now()));
            let what = format!("nothing starts for {left}: a handler was told to wait");
            let advice = "it goes on by itself; `resume` ends it at once";
            self.add(Level::Note, "held", what, advice, "oxcart queue resume {}");
        }
        if self.counts.waiting > 0 && is_rate_used_up(&self.counts) {
            let rate = self.counts.rate.as_ref().map(rates::shown);
            let what = format!(
                "{} waiting: the rate of the queue, {}, is used up",
                jobs(self.counts.waiting),
                rate.unwrap_or_default()
            );
            let advice =
                "jobs go on as the rate allows; a higher one, if what they call can bear it";
            let command = "oxcart queue settings {} --rate 200/1s";
            self.add(Level::Note, "rate-used-up", what, advice, command);
        }
        for name in self.counts.paused_names.clone() {
            let what = format!("the jobs named {name} are paused");
            let command = format!("oxcart queue resume {{}} --name {}", quoted(&name));
            self.add(Level::Warning, "paused-name", what, "", &command);
        }
    }

    fn totals(&mut self) {
        let all = self.counts.totals;
        if all.without_record > 0 {
            let what = format!("{} ids stood in line without a job", all.without_record);
            self.add(
                Level::Warning,
                "foreign-writes",
                what,
                "another program has written to the keys of the queue, or Redis has evicted some",
                "",
            );
        }
        if all.clashed > 0 {
            let what = format!("{} ids were made twice", all.clashed);
            self.add(
                Level::Warning,
                "id-clashes",
                what,
                "look for errors in the logs of the producers",
                "",
            );
        }
    }

    /// Jobs that could run, and nothing that runs them.
    async fn backlog(&mut self) -> Result<(), Trouble> {
        let first = self.counts.clone();
        let stands = |counts: &Counts| {
            let may_start =
                !counts.paused && counts.held_until.is_none() && !is_rate_used_up(counts);
            may_start && counts.waiting > 0 && counts.active == 0
        };
        if !stands(&first) {
            return Ok(());
        }
        let waiting = self.first(JobState::Waiting).await?;
        let is_paused = |job: &JobInfo| first.paused_names.contains(&job.name);
        if waiting.iter().all(is_paused) {
            return Ok(());
        }
        tokio::time::sleep(SECOND_LOOK).await;
        let second = self.queue.counts().await?;
        let ended = |counts: &Counts| {
            counts.totals.completed
                + counts.totals.retried
                + counts.totals.dead
                + counts.totals.cancelled
        };
        if stands(&second) && ended(&first) == ended(&second) {
            let what = format!("{} waiting, and nothing runs", jobs(second.waiting));
            let advice =
                "is a worker of this queue running, and does it have a handler for these jobs?";
            self.add(
                Level::Problem,
                "no-worker",
                what,
                advice,
                "oxcart job ls {} --state waiting",
            );
        }
        Ok(())
    }

    /// Jobs whose lease has run out: the worker is dead, and no other one has taken them back.
    async fn leases(&mut self) -> Result<(), Trouble> {
        if self.counts.active == 0 {
            return Ok(());
        }
        let active = self.first(JobState::Active).await?;
        let stuck: Vec<_> = active
            .iter()
            .filter_map(|job| self.late(job.lease_until?))
            .collect();
        if let Some(longest) = stuck.iter().max() {
            let what = format!(
                "{} active, with a lease that ran out up to {} ago",
                jobs(stuck.len() as u64),
                rough(*longest)
            );
            let advice =
                "their workers died; the next worker of this queue that starts takes them back";
            self.add(
                Level::Problem,
                "stuck-leases",
                what,
                advice,
                "oxcart job ls {} --state active",
            );
        }
        Ok(())
    }

    /// Delayed jobs that are due: workers put them in line.
    async fn overdue(&mut self) -> Result<(), Trouble> {
        if self.counts.delayed == 0 || self.counts.paused {
            return Ok(());
        }
        let delayed = self.first(JobState::Delayed).await?;
        let overdue: Vec<_> = delayed
            .iter()
            .filter_map(|job| self.late(job.due_at?))
            .collect();
        if let Some(longest) = overdue.iter().max() {
            let what = format!(
                "{} delayed, and due for up to {}",
                jobs(overdue.len() as u64),
                rough(*longest)
            );
            self.add(
                Level::Problem,
                "overdue",
                what,
                "no worker of this queue runs: workers put due jobs in line",
                "oxcart job ls {} --state delayed",
            );
        }
        Ok(())
    }

    /// Dead letters, the orders that they hold back, and groups that are paused.
    async fn dead_and_held(&mut self) -> Result<(), Trouble> {
        let held = match self.counts.blocked {
            0 => Vec::new(),
            _ => self.first(JobState::Blocked).await?,
        };
        if self.counts.dead > 0 {
            let what = format!("{} dead", jobs(self.counts.dead));
            self.add(
                Level::Warning,
                "dead-letters",
                what,
                "see what they died of; then replay or remove them",
                "oxcart dead groups {}",
            );
            let dead = self.first(JobState::Dead).await?;
            let behind: BTreeSet<&str> =
                held.iter().filter_map(|job| job.order.as_deref()).collect();
            let halted = dead.iter().filter(|job| {
                let halts = job.on_failure == Some(OnFailure::Halt);
                let order = job.order.as_deref().filter(|_| halts);
                order.is_some_and(|order| behind.contains(order))
            });
            let halted: Vec<_> = halted
                .take(3)
                .map(|job| {
                    format!(
                        "{} (dead job {})",
                        job.order.as_deref().unwrap_or_default(),
                        job.id
                    )
                })
                .collect();
            if !halted.is_empty() {
                let what = format!(
                    "jobs are held back behind a dead one of their order: {}",
                    halted.join(", ")
                );
                self.add(
                    Level::Problem,
                    "halted-orders",
                    what,
                    "replay or remove the dead job: the others then go on",
                    "oxcart dead ls {}",
                );
            }
        }
        let groups: BTreeSet<String> = held.into_iter().filter_map(|job| job.group).collect();
        for group in groups {
            let info = self.queue.group(&*group)?.info().await?;
            if info.paused {
                let what = format!(
                    "the group {group} is paused; {} waiting",
                    jobs(info.waiting)
                );
                self.add(
                    Level::Warning,
                    "paused-group",
                    what,
                    "",
                    &format!("oxcart group resume {{}} {}", quoted(&group)),
                );
            }
        }
        Ok(())
    }

    async fn schedules(&mut self) -> Result<(), Trouble> {
        for info in self.queue.schedules().await? {
            let name = &info.name;
            let shown = quoted(name);
            let show = format!("oxcart schedule show {{}} {shown}");
            if let Some(why) = &info.unreadable {
                let what = format!("the schedule {name} cannot be read: {why}");
                self.add(Level::Warning, "unreadable-schedule", what, "", &show);
            } else if info.paused {
                let what = format!("the schedule {name} is paused");
                self.add(
                    Level::Note,
                    "paused-schedule",
                    what,
                    "",
                    &format!("oxcart schedule resume {{}} {shown}"),
                );
            } else if let Some(by) = info.next_tick.and_then(|tick| self.late(tick)) {
                let what = format!(
                    "nobody drives the schedule {name}: its tick is due for {}",
                    rough(by)
                );
                self.add(
                    Level::Problem,
                    "schedule-not-driven",
                    what,
                    "workers of the queue drive it: is one running?",
                    &show,
                );
            }
        }
        Ok(())
    }

    async fn settings(&mut self) -> Result<(), Trouble> {
        let differs = differ_from_code(&self.queue.settings().await?);
        if !differs.is_empty() {
            let what = format!(
                "an operator has set otherwise than the code of the workers: {}",
                differs.join(", ")
            );
            self.add(
                Level::Note,
                "settings-differ",
                what,
                "",
                "oxcart queue settings {}",
            );
        }
        Ok(())
    }

    /// Messages for other queues that nobody carries.
    async fn outbox(&mut self) -> Result<(), Trouble> {
        let outgoing = self.queue.outbox().await?;
        for waits in outgoing {
            if let Some(late) = self.late(waits.since) {
                let (n, to) = (waits.messages, &waits.queue);
                let what = format!(
                    "{n} messages wait for `{to}`, the first for {}",
                    rough(late)
                );
                let advice = "is a worker of this queue running? its log says what keeps them from the other queue";
                let command = "oxcart worker ls {}";
                self.add(Level::Problem, "outbox", what, advice, command);
            }
        }
        Ok(())
    }

    async fn orphans(&mut self, fix: bool, session: &Session) -> Result<(), Trouble> {
        let orphans = watched(self.queue).await?;
        let Ok(found) = tokio::time::timeout(ORPHANS_LIMIT, orphans.list()).await else {
            let what = format!(
                "it has too many jobs to look for orphans within {} s",
                ORPHANS_LIMIT.as_secs()
            );
            self.add(Level::Note, "orphans", what, "", "oxcart queue orphans {}");
            return Ok(());
        };
        // It is a script that can write, and is refused as such.
        let found = match found {
            Err(error) if error.kind() == ErrorKind::Refused => {
                let what = format!("nobody could look for orphans: {error}");
                self.add(Level::Note, "orphans", what, "", "oxcart queue orphans {}");
                return Ok(());
            }
            found => found?.len() as u64,
        };
        if found == 0 {
            return Ok(());
        }
        let what = format!(
            "{} or more in no list: a key was deleted or evicted",
            jobs(found)
        );
        if fix {
            confirm(
                session,
                &format!(
                    "Put {} of `{}` back that are in no list",
                    jobs(found),
                    self.name
                ),
            )
            .await?;
            let done = watched(self.queue).await?.put_back().await?;
            let finding = Finding::new(Level::Problem, "orphans", Some(self.name), what);
            self.report
                .add(finding.advice(format!("{} put back", jobs(done))).fixed());
        } else {
            self.add(
                Level::Problem,
                "orphans",
                what,
                "--fix puts them back, and so does",
                "oxcart queue orphans {} --put-back",
            );
        }
        Ok(())
    }
}
