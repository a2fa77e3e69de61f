//! What the workers of a queue have said: whether they can run what waits, and whether they keep up with it.

use std::collections::BTreeMap;
use std::time::Duration;

use oxcart::{Counts, JobState, Queue};

use super::queue::SECOND_LOOK;
use super::report::{Finding, Level, Report};
use super::server::Clock;
use crate::term::look::jobs;
use crate::text::when::rough;
use crate::trouble::Trouble;

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

/// How many of the first jobs in line no worker has a handler for, by their names. If no worker runs, another check says so.
async fn unhandled(queue: &Queue, counts: &Counts) -> Result<BTreeMap<String, u64>, Trouble> {
    let mut names = BTreeMap::new();
    let workers = queue.workers().await?;
    if workers.is_empty() {
        return Ok(names);
    }
    for job in queue.jobs(JobState::Waiting).await?.jobs {
        let is_handled = workers.iter().any(|worker| worker.handles(&job.name));
        let is_paused = counts.paused_names.contains(&job.name);
        if !is_handled && !is_paused {
            *names.entry(job.name).or_default() += 1;
        }
    }
    Ok(names)
}

async fn handlers(queue: &Queue, counts: &Counts, report: &mut Report) -> Result<(), Trouble> {
    if unhandled(queue, counts).await?.is_empty() {
        return Ok(());
    }
    // A worker that was just started is not seen in its first second.
    tokio::time::sleep(SECOND_LOOK + SECOND_LOOK / 2).await;
    for (name, number) in unhandled(queue, counts).await? {
        let what = format!(
            "{} or more named {name} wait, and no worker that runs has a handler for them",
            jobs(number)
        );
        let finding = Finding::new(Level::Problem, "no-handler", Some(queue.name()), what);
        let finding = finding.advice("start workers that have the handler, or remove the jobs");
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
