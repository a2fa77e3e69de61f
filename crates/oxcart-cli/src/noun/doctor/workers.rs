//! What the workers of a queue have said: whether they can run what waits, and whether they keep up with it.

use std::collections::BTreeMap;
use std::time::Duration;

use oxcart::{Counts, JobInfo, JobState, Queue};

use super::queue::SECOND_LOOK;
use super::report::{Finding, Level, Report};
use super::server::Clock;
use crate::term::look::jobs;
use crate::text::when::rough;
use crate::trouble::Trouble;

/// Every worker that has a handler knows it.
const FIRST_VERSION: u32 = 1;
/// The time in which a backlog is seen to grow.
const LATELY: Duration = Duration::from_secs(30 * 60);
/// A backlog grows if it is so much longer than it was so long ago, and not for a moment.
const GROWN_BY: u64 = 100;
const GROWN_SINCE: Duration = Duration::from_secs(5 * 60);

pub(super) async fn check(
    queue: &Queue,
    counts: &Counts,
    clock: Clock,
    report: &mut Report,
) -> Result<(), Trouble> {
    if counts.waiting > 0 && !counts.paused {
        handlers(queue, counts, report).await?;
        backlog(queue, clock, report).await?;
    }
    Ok(())
}

/// What keeps jobs from the workers that run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Kept {
    /// No worker has a handler for this name.
    NoHandler { name: String },
    /// Workers have one, and do not know this version of the payload.
    TooNew { name: String, version: u32 },
}

/// How many of the first jobs in line no worker can run, and why. If no worker runs, another check says so.
async fn unhandled(queue: &Queue, counts: &Counts) -> Result<BTreeMap<Kept, u64>, Trouble> {
    let mut found = BTreeMap::new();
    let workers = queue.workers().await?;
    if workers.is_empty() {
        return Ok(found);
    }
    for job in queue.jobs(JobState::Waiting).await?.jobs {
        let is_handled = workers.iter().any(|worker| worker.handles(&job.name));
        let was_handed_back = job.bounces > 0 && job.version > FIRST_VERSION;
        if counts.paused_names.contains(&job.name) || is_handled && !was_handed_back {
            continue;
        }
        let (name, version) = (job.name, job.version);
        let kept = match is_handled {
            true => Kept::TooNew { name, version },
            false => Kept::NoHandler { name },
        };
        *found.entry(kept).or_default() += 1;
    }
    if found.keys().any(|kept| matches!(kept, Kept::TooNew { .. })) {
        // What runs is known to a worker, which has no free slot for the others.
        let active = queue.jobs(JobState::Active).await?.jobs;
        found.retain(|kept, _| match kept {
            Kept::NoHandler { .. } => true,
            Kept::TooNew { name, version } => {
                let knows = |job: &JobInfo| job.name == *name && job.version >= *version;
                !active.iter().any(knows)
            }
        });
    }
    Ok(found)
}

async fn handlers(queue: &Queue, counts: &Counts, report: &mut Report) -> Result<(), Trouble> {
    if unhandled(queue, counts).await?.is_empty() {
        return Ok(());
    }
    // A worker that was just started is not seen in its first second.
    tokio::time::sleep(SECOND_LOOK + SECOND_LOOK / 2).await;
    for (kept, number) in unhandled(queue, counts).await? {
        let many = jobs(number);
        let (check, what, advice) = match kept {
            Kept::NoHandler { name } => (
                "no-handler",
                format!(
                    "{many} or more named {name} wait, and no worker that runs has a handler for them"
                ),
                "start workers that have the handler, or remove the jobs".to_owned(),
            ),
            Kept::TooNew { name, version } => (
                "newer-payload",
                format!(
                    "{many} or more named {name} have a payload of version {version}, and no worker that runs seems to know it"
                ),
                format!(
                    "deploy workers that know version {version}; what no worker takes within a day is dead"
                ),
            ),
        };
        let finding = Finding::new(Level::Problem, check, Some(queue.name()), what);
        let finding = finding.advice(advice);
        let command = format!("oxcart worker ls {}", queue.name());
        report.add(finding.command(command));
    }
    Ok(())
}

async fn backlog(queue: &Queue, clock: Clock, report: &mut Report) -> Result<(), Trouble> {
    let lately = queue.history(LATELY).await?;
    let Some(first) = lately.minutes.first() else {
        return Ok(());
    };
    let grown = lately.waiting.saturating_sub(first.waiting);
    let since = clock.now().duration_since(first.at);
    if grown < GROWN_BY || since < GROWN_SINCE || lately.time_to_drain().is_some() {
        return Ok(());
    }
    let what = format!(
        "{} more wait than {} ago: {:.1} come in a second, and {:.1} end",
        jobs(grown),
        rough(since),
        lately.arrivals,
        lately.departures
    );
    let finding = Finding::new(Level::Warning, "backlog-grows", Some(queue.name()), what);
    let finding =
        finding.advice("more workers or a higher concurrency, if what the jobs call can bear it");
    report.add(finding.command(format!("oxcart queue history {}", queue.name())));
    Ok(())
}
