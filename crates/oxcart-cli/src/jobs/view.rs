//! A job as JSON.

use std::collections::BTreeMap;

use oxcart::{Ended, Error, FailedAttempt, JobInfo, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::text::value::Shown;

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

#[derive(Serialize)]
struct EndedView {
    how: &'static str,
    reason: Option<String>,
}

#[derive(Serialize)]
struct AttemptView {
    started_at: String,
    ended_at: String,
    kind: &'static str,
    error: String,
}

/// What a payload, a result or a progress holds; what cannot be shown is noted.
pub(crate) fn shown(value: Result<Option<Shown>, Error>, trouble: &mut Option<String>) -> Value {
    match value {
        Ok(Some(Shown(value))) => value,
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
    pub(crate) fn new(queue: &str, job: &JobInfo) -> Self {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let mut unreadable = None;
        let ended = job.ended.as_ref().map(|ended| {
            let (how, reason) = match ended {
                Ended::Completed => ("completed", None),
                Ended::Cancelled(reason) => ("cancelled", Some(reason.clone())),
                Ended::Expired => ("expired", None),
                Ended::Dead(reason) => ("dead", Some(reason.to_string())),
                _ => ("other", None),
            };
            EndedView { how, reason }
        });
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
            weight: job.weight,
            position: job.position,
            expires_at: time(job.expires_at),
            due_at: time(job.due_at),
            claimed_at: time(job.claimed_at),
            lease_until: time(job.lease_until),
            worker: job.worker.clone(),
            ended_at: time(job.ended_at),
            ended,
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
