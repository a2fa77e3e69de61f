//! How an attempt ends. Only this file decides it, as a function of its inputs alone.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::error::Error;
use crate::job::failure::Verdict;
use crate::job::history::{AttemptEntry, AttemptKind, Counters, cut};
use crate::job::outcome::{DeadReason, Outcome, Output};
use crate::policy::backoff::Backoff;
use crate::policy::job_names::{finds_its_worker, with_version};
use crate::runtime::drop_payload;
use crate::time::WAIT_MAX;
use crate::worker::handler::Returned;

const BOUNCE_MIN: Duration = Duration::from_secs(1);
const BOUNCE_MAX: Duration = Duration::from_secs(60);
const SNOOZE_MIN: Duration = Duration::from_millis(1);
/// A job that is told to wait for no time at all would be the next that is claimed, again and again.
const HOLD_MIN: Duration = Duration::from_millis(100);
const HOLD_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// A job that is handed back shortly before it is too old is looked at again after this time at the earliest.
const JUDGED_AGAIN_MIN: Duration = Duration::from_millis(100);

/// What happened to an attempt.
pub(crate) enum Happened {
    Returned(Returned),
    Panicked(String),
    TimedOut(Duration),
    /// Stopped from outside: the worker is shutting down, or the lease is lost.
    Stopped,
    /// The handler waits for these of its steps, and does nothing else.
    Suspended {
        after: Option<Duration>,
        steps: Vec<u32>,
    },
    /// No handler of that name here.
    UnknownName(String),
    /// The payload is of a version of its type that is newer than the last that the handler knows.
    NewerVersion {
        name: String,
        version: u32,
        known: u32,
    },
    /// The handler's type cannot be read from the payload, or the record is unreadable.
    Undecodable(Error),
    /// The payload is no longer in its store, or not as it was stored.
    PayloadLost(Error),
    /// It is decided: the handler was that of a saga.
    Decided(Box<Outcome>),
}

/// What the decision depends on beside what happened.
pub(crate) struct Facts<'a> {
    pub(crate) attempts: u32,
    pub(crate) backoff: Option<&'a Backoff>,
    pub(crate) counters: Counters,
    /// How often its worker died.
    pub(crate) stalls: u32,
    /// The handler was told to come to an end before it did.
    pub(crate) cancelled: bool,
    /// Another attempt has the job.
    pub(crate) lost: bool,
    /// Why the job is to be cancelled, if that was asked for ([`Queue::cancel`](crate::Queue::cancel)) and the worker has heard of it.
    pub(crate) request: Option<&'a str>,
    pub(crate) result_max: usize,
    /// The server's clock.
    pub(crate) now_ms: u64,
    pub(crate) rules: &'a Rules,
    /// For what is logged.
    pub(crate) queue: &'a str,
}

/// From the number of failures and the last error to the wait.
pub(crate) type Strategy = Box<dyn Fn(u32, &str) -> Duration + Send + Sync>;

/// The worker's part of the rules.
pub(crate) struct Rules {
    /// Backoff strategies by name.
    pub(crate) strategies: HashMap<String, Strategy>,
    /// How long a job may bounce before it is dead.
    pub(crate) bounce_for: Duration,
    /// How long a job may be snoozed before it is dead.
    pub(crate) snooze_for: Duration,
}

/// A request to cancel the job counts more than how its attempt ended, unless it completed. The script that stores the outcome sees to
/// the same: the worker may not have heard of the request.
pub(crate) fn decide(happened: Happened, facts: &Facts<'_>) -> Outcome {
    if let Happened::Decided(outcome) = happened {
        return *outcome;
    }
    let outcome = decide_without_request(happened, facts);
    match (facts.request, &outcome) {
        (None, _) | (Some(_), Outcome::Completed(_) | Outcome::LeaseLost) => outcome,
        (Some(reason), _) => Outcome::Cancelled(reason.to_owned()),
    }
}

fn decide_without_request(happened: Happened, facts: &Facts<'_>) -> Outcome {
    match happened {
        Happened::Decided(outcome) => *outcome,
        Happened::Returned(Ok(Ok(result))) if result.len() <= facts.result_max => {
            Outcome::Completed(Output::new(result))
        }
        Happened::Returned(Ok(Ok(result))) => unstorable(format!(
            "the result has {} bytes; {} are allowed (OxcartBuilder::payload_max)",
            result.len(),
            facts.result_max
        )),
        Happened::Returned(Ok(Err(error))) => unstorable(error.to_string()),
        Happened::Returned(Err(failure)) => match failure.verdict {
            Verdict::Cancel => Outcome::Cancelled(cut(failure.error)),
            Verdict::Dead => Outcome::Dead {
                reason: DeadReason::Declared,
                entry: AttemptEntry::new(AttemptKind::Error, failure.error),
            },
            Verdict::Snooze(wait) => snoozed(wait, facts),
            Verdict::NotYet(wait) => Outcome::Snoozed {
                after: snoozed_for(wait),
            },
            Verdict::RateLimited(wait) => Outcome::RateLimited {
                after: hold_within_bounds(wait),
            },
            // An error of a handler that was told to stop is no failure of the job.
            Verdict::Retry | Verdict::RetryAfter(_) if facts.cancelled => stopped(facts.lost),
            Verdict::Retry => failed(AttemptKind::Error, failure.error, None, facts),
            Verdict::RetryAfter(wait) => {
                failed(AttemptKind::Error, failure.error, Some(wait), facts)
            }
        },
        Happened::Panicked(message) => failed(AttemptKind::Panic, message, None, facts),
        Happened::TimedOut(limit) => {
            let error = format!("took longer than its time limit of {limit:?}");
            failed(AttemptKind::Timeout, error, None, facts)
        }
        Happened::Stopped => stopped(facts.lost),
        Happened::Suspended { .. } if facts.lost => Outcome::LeaseLost,
        Happened::Suspended { after, steps } => Outcome::Suspended { after, steps },
        Happened::UnknownName(name) => {
            let entry = AttemptEntry::new(
                AttemptKind::UnknownName,
                format!("there is no handler for jobs named `{name}`"),
            );
            bounced(DeadReason::UnknownName, entry, Some(name), facts)
        }
        Happened::NewerVersion {
            name,
            version,
            known,
        } => {
            let entry = AttemptEntry::new(
                AttemptKind::Undecodable,
                format!(
                    "the payload is version {version} of `{name}`, and this worker reads up to version {known}"
                ),
            );
            let name = with_version(&name, version);
            bounced(DeadReason::Undecodable, entry, Some(name), facts)
        }
        // No later attempt would find it.
        Happened::PayloadLost(error) => Outcome::Dead {
            reason: DeadReason::Undecodable,
            entry: AttemptEntry::new(AttemptKind::Undecodable, error.to_string()),
        },
        Happened::Undecodable(error) => {
            let entry = AttemptEntry::new(AttemptKind::Undecodable, error.to_string());
            bounced(DeadReason::Undecodable, entry, None, facts)
        }
    }
}

/// For so long a queue can be held.
pub(crate) fn hold_within_bounds(wait: Duration) -> Duration {
    wait.clamp(HOLD_MIN, HOLD_MAX)
}

/// `is_lost`: another attempt has the job.
pub(crate) fn stopped(is_lost: bool) -> Outcome {
    match is_lost {
        true => Outcome::LeaseLost,
        false => Outcome::Released,
    }
}

/// The work is done, and doing it again would do it twice: no retry.
pub(crate) fn unstorable(error: String) -> Outcome {
    Outcome::Dead {
        reason: DeadReason::Declared,
        entry: AttemptEntry::new(AttemptKind::BadResult, error),
    }
}

/// For how long a job is put off that is to be put off for so long.
pub(crate) fn snoozed_for(wait: Duration) -> Duration {
    wait.clamp(SNOOZE_MIN, WAIT_MAX)
}

/// The first time counts, and not when the job was enqueued: it may have waited long before, or have been replayed.
pub(crate) fn snoozed(wait: Duration, facts: &Facts<'_>) -> Outcome {
    let since_ms = facts.counters.snoozed_since_ms;
    let age = Duration::from_millis(facts.now_ms.saturating_sub(since_ms));
    let longest = facts.rules.snooze_for;
    if since_ms > 0 && age >= longest {
        let error = format!(
            "its handler has put it off for longer than {longest:?} (WorkerBuilder::snooze_for), {} times",
            facts.counters.snoozes
        );
        return Outcome::Dead {
            reason: DeadReason::SnoozedTooLong,
            entry: AttemptEntry::new(AttemptKind::Snoozed, error),
        };
    }
    Outcome::Snoozed {
        after: snoozed_for(wait),
    }
}

fn failed(kind: AttemptKind, error: String, wait: Option<Duration>, facts: &Facts<'_>) -> Outcome {
    failed_attempt(AttemptEntry::new(kind, error), wait, facts)
}

/// Tried again, if attempts are left.
pub(crate) fn failed_attempt(
    entry: AttemptEntry,
    wait: Option<Duration>,
    facts: &Facts<'_>,
) -> Outcome {
    let failures = facts.counters.failed.saturating_add(1);
    if failures >= facts.attempts {
        let reason = DeadReason::AttemptsSpent;
        return Outcome::Dead { reason, entry };
    }
    let after = wait.unwrap_or_else(|| backoff(failures, &entry.error, facts));
    Outcome::Retry {
        after: after.min(WAIT_MAX),
        entry,
    }
}

fn backoff(failures: u32, error: &str, facts: &Facts<'_>) -> Duration {
    let default = Backoff::default();
    let backoff = facts.backoff.unwrap_or(&default);
    if let Some(name) = backoff.name() {
        let strategy = facts.rules.strategies.get(name);
        let wait =
            strategy.map(|strategy| catch_unwind(AssertUnwindSafe(|| strategy(failures, error))));
        match wait {
            Some(Ok(wait)) => return wait,
            Some(Err(panic)) => {
                drop_payload(panic);
                tracing::error!(
                    queue = facts.queue,
                    strategy = name,
                    "a backoff strategy panicked; the default is used"
                );
            }
            None => tracing::warn!(
                queue = facts.queue,
                strategy = name,
                "this worker knows no backoff of that name and uses the default; register it \
                 with `.backoff(name, ..)`"
            ),
        }
    }
    backoff.wait(failures, fastrand::f64())
}

fn bounced(
    reason: DeadReason,
    entry: AttemptEntry,
    name: Option<String>,
    facts: &Facts<'_>,
) -> Outcome {
    let bounced_for = match facts.counters.bounced_since_ms {
        0 => Duration::ZERO,
        since_ms => Duration::from_millis(facts.now_ms.saturating_sub(since_ms)),
    };
    let left = facts.rules.bounce_for.saturating_sub(bounced_for);
    if left.is_zero() && facts.counters.bounced_since_ms > 0 {
        return Outcome::Dead { reason, entry };
    }
    let name = name.filter(|name| facts.stalls == 0 && finds_its_worker(name));
    let after = if name.is_some() {
        left.max(JUDGED_AGAIN_MIN)
    } else {
        let bounces = facts.counters.bounces.min(16);
        let doubled = BOUNCE_MIN.saturating_mul(2u32.saturating_pow(bounces));
        doubled.min(BOUNCE_MAX)
    };
    Outcome::Bounced { after, entry, name }
}

/// The application's code panicked with this.
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Happened {
    let message = panic_message(panic.as_ref());
    drop_payload(panic);
    Happened::Panicked(message)
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("(no message)"))
}

#[cfg(test)]
mod tests;
