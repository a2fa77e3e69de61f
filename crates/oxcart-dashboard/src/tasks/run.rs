//! A task that runs: by the sweeps of the library, by its replaying and removing of dead letters, or by counting.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use oxcart::{DeadLetters, DeadTally, Oxcart, Queue, Stopped, Sweep};

use crate::model::{JobQuery, JobState, Moment, TaskState};
use crate::reading::{NotRead, age, wanted};
use crate::tasks::{Action, Order, Task};

pub(super) async fn run(oxcart: &Oxcart, order: &Order, task: &Arc<Task>, began_at: Moment) {
    let since = Instant::now();
    let ended = steps(oxcart, order, task).await;
    let mut line = task.line();
    let took = since.elapsed().as_millis() as u64;
    line.ended_at = Some(Moment::from_millis(began_at.as_millis() + took));
    line.state = match ended {
        Ok(None) => TaskState::Ended,
        Ok(Some(Stopped::Failing)) => {
            line.trouble = Some("too many of the replayed jobs failed again".to_owned());
            TaskState::Stopped
        }
        Ok(Some(_)) => TaskState::Stopped,
        Err(why) => {
            line.trouble = Some(why.into_text());
            TaskState::Failed
        }
    };
}

async fn steps(
    oxcart: &Oxcart,
    order: &Order,
    task: &Arc<Task>,
) -> Result<Option<Stopped>, NotRead> {
    let queue = oxcart.queue(&order.queue)?;
    let counts = queue.counts().await?;
    task.line().of = match order.query.state {
        JobState::Waiting => counts.waiting,
        JobState::Blocked => counts.blocked,
        JobState::Delayed => counts.delayed,
        JobState::Active => counts.active,
        JobState::Completed | JobState::Cancelled => counts.completed,
        JobState::Dead => counts.dead,
        _ => 0,
    };
    match (order.query.state, order.action) {
        (JobState::Dead, Action::Replay) => replay(&queue, order, task).await,
        (JobState::Dead, _) => remove_dead(&queue, order, task).await,
        _ if order.is_dry => count(&queue, order, task).await,
        (_, action) => {
            let jobs = wanted(&queue, &order.query)?;
            let sweep = match action {
                Action::Cancel => jobs.cancel_all(format!("cancelled by {}", order.operator)),
                Action::Promote => jobs.promote_all(),
                Action::Remove | Action::Replay => jobs.remove_all(),
            };
            swept(sweep, task).await
        }
    }
}

async fn swept(mut sweep: Sweep, task: &Task) -> Result<Option<Stopped>, NotRead> {
    while let Some(so_far) = sweep.step().await? {
        let mut line = task.line();
        line.done = so_far.done;
        line.requested = so_far.requested;
        line.left_alone = so_far.left_alone;
        line.seen = so_far.seen();
        line.matching = so_far.seen();
        if task.is_to_stop() {
            return Ok(Some(Stopped::Asked));
        }
    }
    Ok(None)
}

/// How many jobs match.
async fn count(queue: &Queue, order: &Order, task: &Task) -> Result<Option<Stopped>, NotRead> {
    let is_counted_already =
        !matches!(order.query.state, JobState::Completed | JobState::Cancelled);
    if order.query.is_all() && is_counted_already {
        let mut line = task.line();
        (line.seen, line.matching) = (line.of, line.of);
        return Ok(None);
    }
    let mut request = Some(wanted(queue, &order.query)?);
    while let Some(asked) = request.take() {
        let page = asked.await?;
        let mut line = task.line();
        line.matching += page.jobs.len() as u64;
        line.seen = line.matching;
        if task.is_to_stop() {
            return Ok(Some(Stopped::Asked));
        }
        if let Some(next) = page.next {
            request = Some(wanted(queue, &order.query)?.after(next));
        }
    }
    Ok(None)
}

fn letters(queue: &Queue, query: &JobQuery) -> Result<DeadLetters, NotRead> {
    let mut letters = queue.dead_letters();
    if !query.name.is_empty() {
        letters = letters.named(&query.name);
    }
    if !query.id.is_empty() {
        letters = letters.id_prefix(&query.id);
    }
    if !query.group.is_empty() {
        letters = letters.group(&query.group);
    }
    if !query.error.is_empty() {
        letters = letters.error_contains(&query.error);
    }
    if !query.fingerprint.is_empty() {
        letters = letters.fingerprint(query.fingerprint.parse()?);
    }
    if let Some(age) = age(&query.older, "older")? {
        letters = letters.older_than(age);
    }
    if let Some(age) = age(&query.newer, "newer")? {
        letters = letters.newer_than(age);
    }
    if !query.failed.is_empty() {
        let failed: u32 = query
            .failed
            .parse()
            .map_err(|_| NotRead::Wrong("`failed` is a number".to_owned()))?;
        letters = letters.matching(move |job| job.failed >= failed);
    }
    Ok(letters)
}

async fn replay(
    queue: &Queue,
    order: &Order,
    task: &Arc<Task>,
) -> Result<Option<Stopped>, NotRead> {
    let mut replay = letters(queue, &order.query)?.replay();
    if let Some(jobs) = order.per_second {
        replay = replay.per_second(jobs);
    }
    if let Some(percent) = order.stop_if_failing_percent {
        replay = replay.stop_if_failing(f64::from(percent) / 100.0);
    }
    if order.is_dry {
        replay = replay.dry_run();
    }
    let tally = replay.on_progress(progress(task)).await?;
    tell(task, &tally);
    Ok(tally.stopped)
}

async fn remove_dead(
    queue: &Queue,
    order: &Order,
    task: &Arc<Task>,
) -> Result<Option<Stopped>, NotRead> {
    let mut remove = letters(queue, &order.query)?.remove();
    if order.is_dry {
        remove = remove.dry_run();
    }
    let tally = remove.on_progress(progress(task)).await?;
    tell(task, &tally);
    Ok(tally.stopped)
}

fn progress(task: &Arc<Task>) -> impl FnMut(&DeadTally) -> ControlFlow<()> + Send + 'static {
    let task = Arc::clone(task);
    move |tally| {
        tell(&task, tally);
        match task.is_to_stop() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

fn tell(task: &Task, tally: &DeadTally) {
    let mut line = task.line();
    line.of = tally.dead;
    line.seen = tally.read;
    line.matching = tally.matching;
    line.done = tally.done;
    line.left_alone = tally.duplicates + tally.gone + tally.unreadable;
}
