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
use crate::policy::job_names::finds_its_worker;
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
    /// The handler's type cannot be read from the payload, or the record is unreadable.
    Undecodable(Error),
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
mod tests {
    use super::*;
    use crate::job::failure::Failure;
    use crate::policy::job_names::NAME_BYTES_MAX;

    fn rules() -> Rules {
        Rules {
            strategies: HashMap::from([(
                "steps".to_owned(),
                Box::new(|failures: u32, _: &str| Duration::from_secs(u64::from(failures) * 7))
                    as Strategy,
            )]),
            bounce_for: Duration::from_secs(60),
            snooze_for: Duration::from_secs(600),
        }
    }

    fn facts(rules: &Rules) -> Facts<'_> {
        Facts {
            attempts: 3,
            backoff: None,
            counters: Counters::default(),
            stalls: 0,
            cancelled: false,
            lost: false,
            request: None,
            result_max: 10,
            now_ms: 1_000_000,
            rules,
            queue: "work",
        }
    }

    fn error() -> Happened {
        Happened::Returned(Err(Failure::retry("broken").into()))
    }

    #[test]
    fn errors_are_retried_until_the_attempts_are_spent() {
        let rules = rules();
        let mut facts = facts(&rules);
        for failed in 0..5 {
            facts.counters.failed = failed;
            let outcome = decide(error(), &facts);
            if failed < 2 {
                assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
            } else {
                let spent = DeadReason::AttemptsSpent;
                assert!(matches!(outcome, Outcome::Dead { reason, .. } if reason == spent));
            }
        }
    }

    #[test]
    fn a_named_strategy_decides_the_wait_and_an_unknown_one_falls_back() {
        let rules = rules();
        let mut facts = facts(&rules);
        let known = Backoff::named("steps");
        facts.backoff = Some(&known);
        facts.counters.failed = 1;
        let outcome = decide(error(), &facts);
        assert!(matches!(outcome, Outcome::Retry { after, .. } if after.as_secs() == 14));
        let unknown = Backoff::named("nobody-knows");
        facts.backoff = Some(&unknown);
        let outcome = decide(error(), &facts);
        assert!(matches!(outcome, Outcome::Retry { after, .. } if after.as_secs() <= 3));
    }

    #[test]
    fn what_the_handler_says_is_what_happens() {
        let rules = rules();
        let facts = facts(&rules);
        let says = |failure: Failure| decide(Happened::Returned(Err(failure.into())), &facts);
        let wait = Duration::from_secs(9);
        assert!(matches!(
            says(Failure::retry_after(wait, "later")),
            Outcome::Retry { after, .. } if after == wait
        ));
        assert!(matches!(
            says(Failure::dead("over")),
            Outcome::Dead {
                reason: DeadReason::Declared,
                ..
            }
        ));
        assert_eq!(
            says(Failure::cancel("moot")),
            Outcome::Cancelled("moot".into())
        );
    }

    #[test]
    fn an_error_after_cancellation_burns_no_attempt_but_success_counts() {
        let rules = rules();
        let mut facts = facts(&rules);
        facts.cancelled = true;
        assert_eq!(decide(error(), &facts), Outcome::Released);
        let done = || Happened::Returned(Ok(Ok(vec![1])));
        let completed = Outcome::Completed(Output::new(vec![1]));
        assert_eq!(decide(done(), &facts), completed);
        // The lease may not be lost after all.
        facts.lost = true;
        assert_eq!(decide(error(), &facts), Outcome::LeaseLost);
        assert_eq!(decide(Happened::Stopped, &facts), Outcome::LeaseLost);
        assert_eq!(decide(done(), &facts), completed);
    }

    #[test]
    fn a_snooze_burns_no_attempt_and_ends_with_the_age_of_the_first() {
        let rules = rules();
        let mut facts = facts(&rules);
        (facts.attempts, facts.cancelled) = (1, true);
        let snooze = |wait| Happened::Returned(Err(Failure::snooze(wait).into()));
        let after = |wait, facts: &Facts<'_>| match decide(snooze(wait), facts) {
            Outcome::Snoozed { after } => Some(after),
            _ => None,
        };
        let minute = Duration::from_secs(60);
        assert_eq!(after(minute, &facts), Some(minute));
        assert_eq!(after(Duration::ZERO, &facts), Some(SNOOZE_MIN));
        assert_eq!(after(Duration::MAX, &facts), Some(WAIT_MAX));
        facts.counters.snoozes = 7;
        facts.counters.snoozed_since_ms = facts.now_ms - 599_999;
        assert_eq!(after(minute, &facts), Some(minute));
        facts.counters.snoozed_since_ms = facts.now_ms - 600_000;
        match decide(snooze(minute), &facts) {
            Outcome::Dead { reason, entry } => {
                assert_eq!(reason, DeadReason::SnoozedTooLong);
                assert!(entry.error.contains("7 times"), "{entry:?}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_to_cancel_wins_over_everything_but_success_and_a_lost_lease() {
        let rules = rules();
        let mut facts = facts(&rules);
        facts.request = Some("moot");
        let cancelled = Outcome::Cancelled("moot".into());
        for happened in [
            error(),
            Happened::Returned(Err(Failure::dead("over").into())),
            Happened::Returned(Err(Failure::cancel("for another reason").into())),
            Happened::Returned(Ok(Ok(vec![0; 11]))),
            Happened::Panicked("boom".into()),
            Happened::TimedOut(Duration::from_secs(1)),
            Happened::Stopped,
            Happened::UnknownName("who".into()),
        ] {
            assert_eq!(decide(happened, &facts), cancelled);
        }
        let done = decide(Happened::Returned(Ok(Ok(vec![1]))), &facts);
        assert_eq!(done, Outcome::Completed(Output::new(vec![1])));
        (facts.cancelled, facts.lost) = (true, true);
        assert_eq!(decide(error(), &facts), Outcome::LeaseLost);
    }

    #[test]
    fn results_that_cannot_be_stored_are_not_retried() {
        let rules = rules();
        let facts = facts(&rules);
        let outcome = decide(Happened::Returned(Ok(Ok(vec![0; 11]))), &facts);
        assert!(matches!(outcome, Outcome::Dead { .. }), "{outcome:?}");
    }

    #[test]
    fn bounces_back_off_from_a_second_to_a_minute_and_die_of_age_only() {
        let rules = rules();
        let mut facts = facts(&rules);
        let unknown = || Happened::Undecodable(Error::invalid("missing field `user_id`"));
        let mut waits = Vec::new();
        for bounces in [0, 1, 5, 6, 40] {
            facts.counters.bounces = bounces;
            match decide(unknown(), &facts) {
                Outcome::Bounced { after, entry, name } => {
                    assert!(entry.error.contains("missing field `user_id`"), "{entry:?}");
                    assert_eq!(name, None);
                    waits.push(after.as_secs());
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(waits, [1, 2, 32, 60, 60]);
        facts.counters.bounced_since_ms = facts.now_ms - 59_999;
        assert!(matches!(decide(unknown(), &facts), Outcome::Bounced { .. }));
        facts.counters.bounced_since_ms = facts.now_ms - 60_000;
        assert!(matches!(decide(unknown(), &facts), Outcome::Dead { .. }));
    }

    #[test]
    fn a_job_without_a_handler_waits_by_its_name_until_it_is_too_old() {
        let rules = rules();
        let mut facts = facts(&rules);
        let named =
            |name: &str, facts: &Facts<'_>| match decide(Happened::UnknownName(name.into()), facts)
            {
                Outcome::Bounced { after, name, .. } => (name, after),
                other => panic!("{other:?}"),
            };
        let who = Some("who".to_owned());
        assert_eq!(named("who", &facts), (who.clone(), rules.bounce_for));
        facts.counters.bounced_since_ms = facts.now_ms - 50_000;
        let left = Duration::from_secs(10);
        assert_eq!(named("who", &facts), (who.clone(), left));
        facts.counters.bounced_since_ms = facts.now_ms - 59_999;
        assert_eq!(named("who", &facts), (who, JUDGED_AGAIN_MIN));
        // These are kept by no name.
        for odd in ["w\0ho", &"w".repeat(NAME_BYTES_MAX + 1)] {
            assert_eq!(named(odd, &facts), (None, BOUNCE_MIN));
        }
        facts.stalls = 1;
        assert_eq!(named("who", &facts), (None, BOUNCE_MIN));
        facts.counters.bounced_since_ms = facts.now_ms - 60_000;
        let outcome = decide(Happened::UnknownName("who".into()), &facts);
        let unknown = DeadReason::UnknownName;
        assert!(matches!(outcome, Outcome::Dead { reason, .. } if reason == unknown));
    }
}
