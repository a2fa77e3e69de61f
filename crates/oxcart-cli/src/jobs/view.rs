//! A job as JSON.

use std::collections::BTreeMap;

use oxcart::{Ended, Error, FailedAttempt, JobInfo, SagaInfo, StepsInfo, Timestamp};
use oxcart_dashboard::Stored;
use serde::Serialize;
use serde_json::Value;

use super::durable::{StepView, asked_to_end};

/// See `schema/job.json`.
#[derive(Serialize)]
pub(crate) struct JobView {
    queue: String,
    id: String,
    name: String,
    state: &'static str,
    enqueued_at: String,
    priority: u16,
    attempts: u32,
    failed: u32,
    stalls: u32,
    bounces: u32,
    snoozes: u32,
    group: Option<String>,
    order: Option<String>,
    unique: Option<String>,
    parent: Option<String>,
    children: u64,
    saga: Option<&'static str>,
    /// Only of one job that is shown.
    steps: Option<Vec<StepView>>,
    checkpoint_bytes: Option<u64>,
    checkpoint: Value,
    cancel_requested: Option<String>,
    weight: u32,
    position: Option<u64>,
    expires_at: Option<String>,
    due_at: Option<String>,
    claimed_at: Option<String>,
    lease_until: Option<String>,
    worker: Option<String>,
    ended_at: Option<String>,
    ended: Option<EndedView>,
    /// Of its name and last error, if there is one.
    fingerprint: Option<String>,
    history: Vec<AttemptView>,
    headers: BTreeMap<String, String>,
    timeout_ms: Option<u64>,
    payload: Value,
    result: Value,
    progress: Value,
    /// Why payload, result or progress cannot be shown.
    unreadable: Option<String>,
}

/// How a job ended.
#[derive(Serialize)]
pub(crate) struct EndedView {
    how: &'static str,
    reason: Option<String>,
}

impl From<&Ended> for EndedView {
    fn from(ended: &Ended) -> Self {
        let (how, reason) = match ended {
            Ended::Completed => ("completed", None),
            Ended::Cancelled(reason) => ("cancelled", Some(reason.clone())),
            Ended::Compensated(reason) => ("compensated", Some(reason.clone())),
            Ended::Expired => ("expired", None),
            Ended::Dead(reason) => ("dead", Some(reason.to_string())),
            _ => ("other", None),
        };
        Self { how, reason }
    }
}

#[derive(Serialize)]
struct AttemptView {
    started_at: String,
    ended_at: String,
    kind: &'static str,
    error: String,
}

/// What a payload, a result or a progress holds; what cannot be shown is noted.
pub(crate) fn shown(value: Result<Option<Stored>, Error>, trouble: &mut Option<String>) -> Value {
    match value {
        Ok(Some(Stored(value))) => value,
        Ok(None) => Value::Null,
        Err(error) => {
            trouble.get_or_insert(error.to_string());
            Value::Null
        }
    }
}

impl From<&FailedAttempt> for AttemptView {
    fn from(attempt: &FailedAttempt) -> Self {
        Self {
            started_at: attempt.started_at.to_string(),
            ended_at: attempt.ended_at.to_string(),
            kind: attempt.kind.as_str(),
            error: attempt.error.clone(),
        }
    }
}

impl JobView {
    /// With how far it is, if it is a saga.
    pub(crate) fn with_saga(mut self, saga: Option<&SagaInfo>) -> Self {
        self.saga = saga.map(|saga| saga.state.as_str());
        self
    }

    /// With what it has done, and what it waits for.
    pub(crate) fn with_steps(mut self, job: &JobInfo, steps: &StepsInfo) -> Self {
        let trouble = &mut self.unreadable;
        let views = steps.steps.iter().map(|step| StepView::new(step, trouble));
        self.steps = Some(views.collect());
        self.checkpoint_bytes = steps.checkpoint_size;
        self.checkpoint = shown(steps.checkpoint(), trouble);
        self.cancel_requested = asked_to_end(job, steps).map(str::to_owned);
        self
    }

    pub(crate) fn new(queue: &str, job: &JobInfo) -> Self {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let mut unreadable = None;
        Self {
            queue: queue.to_owned(),
            id: job.id.to_string(),
            name: job.name.clone(),
            state: job.state.as_str(),
            enqueued_at: job.enqueued_at.to_string(),
            priority: job.priority,
            attempts: job.attempts,
            failed: job.failed,
            stalls: job.stalls,
            bounces: job.bounces,
            snoozes: job.snoozes,
            group: job.group.clone(),
            order: job.order.clone(),
            unique: job.unique.clone(),
            parent: job.parent.as_ref().map(ToString::to_string),
            children: job.children,
            saga: None,
            steps: None,
            checkpoint_bytes: None,
            checkpoint: Value::Null,
            cancel_requested: None,
            weight: job.weight,
            position: job.position,
            expires_at: time(job.expires_at),
            due_at: time(job.due_at),
            claimed_at: time(job.claimed_at),
            lease_until: time(job.lease_until),
            worker: job.worker.clone(),
            ended_at: time(job.ended_at),
            ended: job.ended.as_ref().map(EndedView::from),
            fingerprint: (!job.history.is_empty()).then(|| job.fingerprint().to_string()),
            history: job.history.iter().map(AttemptView::from).collect(),
            headers: job.headers.iter().cloned().collect(),
            timeout_ms: job.timeout.map(|limit| limit.as_millis() as u64),
            payload: shown(job.payload().map(Some), &mut unreadable),
            result: shown(job.result(), &mut unreadable),
            progress: shown(job.progress(), &mut unreadable),
            unreadable,
        }
    }
}
