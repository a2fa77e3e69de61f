//! Jobs, as the model has them.

use oxcart::{
    ChildInfo, Children, Ended, Error, JobInfo, JobState, LogLine, SagaInfo, StepInfo, StepState,
    StepsInfo,
};

use crate::model;
use crate::value::{cut, readable};

/// Longest error in a list, in characters.
const ERROR_MAX: usize = 300;
/// Children that are shown.
const CHILDREN: usize = 256;

pub(super) fn line(queue: &str, job: &JobInfo) -> model::JobLine {
    model::JobLine {
        queue: queue.to_owned(),
        id: job.id.to_string(),
        name: job.name.clone(),
        state: job.state,
        enqueued_at: job.enqueued_at.into(),
        priority: job.priority,
        failed: job.failed,
        attempts: job.attempts,
        group: job.group.clone(),
        due_at: job.due_at.map(Into::into),
        claimed_at: job.claimed_at.map(Into::into),
        worker: job.worker.clone(),
        ended_at: job.ended_at.map(Into::into),
        error: (!job.history.is_empty()).then(|| cut(job.last_error(), ERROR_MAX)),
        progress: readable(job.progress(), &mut None),
    }
}

fn ended(ended: &Ended) -> model::Ended {
    let (how, reason) = match ended {
        Ended::Completed => ("completed", None),
        Ended::Cancelled(reason) => ("cancelled", Some(reason.clone())),
        Ended::Compensated(reason) => ("compensated", Some(reason.clone())),
        Ended::Expired => ("expired", None),
        Ended::Dead(reason) => ("dead", Some(explained(reason.as_str()))),
        _ => ("other", None),
    };
    model::Ended { how, reason }
}

/// Why a job is dead, in words.
fn explained(reason: &str) -> String {
    let words = match reason {
        "attempts-spent" => "every attempt failed",
        "declared" => "its handler said that no retry will help",
        "unknown-name" => "for too long no worker had a handler of its name",
        "undecodable" => "for too long no handler could read its payload",
        "poisoned" => "its worker died too often while it ran",
        "snoozed-too-long" => "its handler has put it off for too long",
        "stuck" => "it is a saga that is to be undone, and an undo has failed for good",
        "child-died" => "a job for which it waited is dead",
        other => other,
    };
    words.to_owned()
}

/// What is read of a job.
pub(super) struct Read<'a> {
    pub(super) job: &'a JobInfo,
    pub(super) log: &'a [LogLine],
    pub(super) children: &'a Children,
    /// What became of its steps, and how far it is if it is a saga; or why that cannot be read.
    pub(super) steps: Result<(StepsInfo, Option<SagaInfo>), Error>,
}

fn child(child: &ChildInfo) -> model::ChildLine {
    model::ChildLine {
        id: child.id.to_string(),
        name: child.name.clone(),
        ended: child.ended.as_ref().map(ended),
        ended_at: child.ended_at.map(Into::into),
        removed: child.removed,
        queue: child.queue.clone(),
        refused: child.refused.clone(),
    }
}

fn saga(saga: SagaInfo) -> model::SagaView {
    model::SagaView {
        state: saga.state.as_str(),
        reason: saga.reason,
    }
}

fn step(step: &StepInfo) -> model::StepLine {
    model::StepLine {
        name: step.name.clone(),
        state: step.state.as_str(),
        at: step.at.into(),
        due: step.due.map(Into::into),
        bytes: step.size,
        error: step.error.clone(),
    }
}

pub(super) fn view(queue: &str, read: Read<'_>, is_paused: bool) -> model::JobView {
    let Read { job, log, .. } = read;
    let ((steps, of_saga), mut unreadable) = match read.steps {
        Ok(found) => (found, None),
        Err(error) => ((StepsInfo::default(), None), Some(super::said(&error))),
    };
    let attempts = job.history.iter().map(|attempt| model::AttemptLine {
        started_at: attempt.started_at.into(),
        ended_at: attempt.ended_at.into(),
        kind: attempt.kind.as_str(),
        error: attempt.error.clone(),
    });
    let log = log.iter().map(|line| model::LogLine {
        number: line.number,
        at: line.at.into(),
        attempt: line.attempt,
        text: line.text.clone(),
    });
    model::JobView {
        line: line(queue, job),
        stalls: job.stalls,
        bounces: job.bounces,
        snoozes: job.snoozes,
        order: job.order.clone(),
        unique: job.unique.clone(),
        parent: job.parent.as_ref().map(ToString::to_string),
        parent_queue: job.parent_queue.clone(),
        children: read.children.iter().take(CHILDREN).map(child).collect(),
        saga: of_saga.map(saga),
        steps: steps.steps.iter().map(step).collect(),
        checkpoint_bytes: steps.checkpoint_size,
        cancel_requested: asked_to_end(job, &steps).map(str::to_owned),
        weight: job.weight,
        position: job.position,
        expires_at: job.expires_at.map(Into::into),
        lease_until: job.lease_until.map(Into::into),
        timeout_ms: job.timeout.map(|limit| limit.as_millis() as u64),
        ended: job.ended.as_ref().map(ended),
        fingerprint: (!job.history.is_empty()).then(|| job.fingerprint().to_string()),
        attempts: attempts.collect(),
        headers: job.headers.iter().cloned().collect(),
        payload: readable(job.payload().map(Some), &mut unreadable),
        secret: job.secret.clone(),
        result: readable(job.result(), &mut unreadable),
        unreadable,
        log: log.collect(),
        stands: stands(job, &steps, is_paused),
    }
}

/// Why a job that runs is to end.
fn asked_to_end<'a>(job: &JobInfo, steps: &'a StepsInfo) -> Option<&'a str> {
    let reason = steps.cancel_requested.as_deref();
    reason.filter(|_| job.state == JobState::Active)
}

/// What a job that was put aside waits for.
fn waits(job: &JobInfo, steps: &StepsInfo) -> Option<String> {
    let each = steps.holding_up(job).map(|step| match step.state {
        StepState::Waiting => format!("waits for the signal `{}`", step.name),
        _ => "sleeps".to_owned(),
    });
    let each: Vec<String> = each.collect();
    (!each.is_empty()).then(|| format!("It {}.", each.join(", or ")))
}

/// Where the job stands and what it waits for.
fn stands(job: &JobInfo, steps: &StepsInfo, is_paused: bool) -> String {
    use oxcart::JobState as State;
    if let Some(waits) = waits(job, steps) {
        return waits;
    }
    if let Some(reason) = asked_to_end(job, steps) {
        return format!("It runs, and was asked to end: {reason}");
    }
    let paused = if is_paused {
        ", and the queue is paused"
    } else {
        ""
    };
    match (job.state, job.position) {
        (State::Waiting, Some(0)) => format!("It is the next one in line{paused}."),
        (State::Waiting, Some(before)) => {
            format!("It waits in line, with {before} jobs before it{paused}.")
        }
        (State::Waiting, None) => "It waits apart from the line: its name is paused, no worker has a handler of its name, or its worker died while it ran.".to_owned(),
        (State::Blocked, _) if job.children > 0 => {
            "It waits for its children, or it is held back by other jobs of its group, with its order key or with its unique key.".to_owned()
        }
        (State::Blocked, _) => "It is held back by other jobs of its group, with its order key or with its unique key, or its handler waits for a signal.".to_owned(),
        (State::Delayed, _) if job.failed > 0 => "It failed, and is tried again when it is due.".to_owned(),
        (State::Delayed, _) => "It is not due yet.".to_owned(),
        (State::Active, _) => "It runs.".to_owned(),
        (State::Completed, _) => "It completed, and is kept for a while.".to_owned(),
        (State::Cancelled, _) if matches!(job.ended, Some(Ended::Compensated(_))) => {
            "It could not be finished: the steps that were done are undone. It is kept for a while.".to_owned()
        }
        (State::Cancelled, _) => "It was cancelled, and is kept for a while.".to_owned(),
        (State::Dead, _) if matches!(job.ended, Some(Ended::Dead(oxcart::DeadReason::Stuck))) => {
            "It is a saga that cannot be undone, and stays until somebody replays it, which goes on undoing, or removes it.".to_owned()
        }
        (State::Dead, _) => "It failed for good, and stays until somebody replays or removes it.".to_owned(),
        _ => "Its state is not known to this version.".to_owned(),
    }
}
