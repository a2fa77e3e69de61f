//! What can be wrong with a queue.

use std::collections::BTreeSet;
use std::time::Duration;

use oxcart::{Counts, JobInfo, JobState, OnFailure, Queue, Timestamp};

use super::Doctor;
use super::report::{Finding, Level, Report};
use super::workers;
use crate::noun::queue::differ_from_code;
use crate::session::Session;
use crate::term::confirm::confirm;
use crate::term::look::jobs;
use crate::text::when::{now, rough};
use crate::trouble::Trouble;

/// What workers do by themselves, within some seconds, is late after this time. The clocks of this computer and of Redis may differ.
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
    report: &'a mut Report,
}

pub(super) async fn check(
    queue: &Queue,
    doctor: &Doctor,
    session: &mut Session,
    report: &mut Report,
) -> Result<(), Trouble> {
    let counts = queue.counts().await?;
    let name = queue.name();
    let mut seen = Seen {
        queue,
        name,
        counts,
        report,
    };
    seen.pause();
    seen.totals();
    seen.backlog().await?;
    workers::check(queue, &seen.counts, seen.report).await?;
    seen.leases().await?;
    seen.overdue().await?;
    seen.dead_and_held().await?;
    seen.schedules().await?;
    seen.settings().await?;
    if !doctor.quick {
        seen.orphans(doctor.fix, session).await?;
    }
    Ok(())
}

/// How long ago, if it is late.
fn late(time: Timestamp) -> Option<Duration> {
    let by = now().duration_since(time);
    (by > LATE).then_some(by)
}

impl Seen<'_> {
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
            finding = finding.command(command.replace("{}", self.name));
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
        let stands = |counts: &Counts| counts.waiting > 0 && counts.active == 0 && !counts.paused;
        if !stands(&first) {
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
            .filter_map(|job| late(job.lease_until?))
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
        let overdue: Vec<_> = delayed.iter().filter_map(|job| late(job.due_at?)).collect();
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
                    &format!("oxcart group resume {{}} {group}"),
                );
            }
        }
        Ok(())
    }

    async fn schedules(&mut self) -> Result<(), Trouble> {
        for info in self.queue.schedules().await? {
            let name = &info.name;
            let show = format!("oxcart schedule show {{}} {name}");
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
                    &format!("oxcart schedule resume {{}} {name}"),
                );
            } else if let Some(by) = info.next_tick.and_then(late) {
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

    async fn orphans(&mut self, fix: bool, session: &Session) -> Result<(), Trouble> {
        let orphans = self.queue.orphans();
        let Ok(found) = tokio::time::timeout(ORPHANS_LIMIT, orphans.list()).await else {
            let what = format!(
                "it has too many jobs to look for orphans within {} s",
                ORPHANS_LIMIT.as_secs()
            );
            self.add(Level::Note, "orphans", what, "", "oxcart queue orphans {}");
            return Ok(());
        };
        let found = found?.len() as u64;
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
            let done = self.queue.orphans().put_back().await?;
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
