//! What somebody should look at in a queue, judged by its numbers.

use std::time::Duration;

use crate::model::{Moment, QueueLine};

/// The oldest job waits for longer than this.
const TOO_OLD_MS: u64 = 10 * 60 * 1_000;
/// Jobs wait for so long, and none runs.
const IDLE_MS: u64 = 60 * 1_000;
/// The lease of a job is over for so long. A worker that lives takes such a job back within 10 s.
const ABANDONED_MS: u64 = 15 * 1_000;
/// More than this part of the attempts fails.
const FAILED: f64 = 0.2;
/// Messages for another queue wait for so long. Workers carry them at once, and try again after 30 s at most.
const NOT_CARRIED_MS: u64 = 60 * 1_000;
/// A queue that falls behind has at least so many jobs waiting.
const BEHIND: u64 = 1_000;

/// In some words each; the gravest first.
pub(super) fn problems(line: &QueueLine, now: Moment) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(over_ms) = line.lease_over_ms.filter(|ms| *ms > ABANDONED_MS) {
        let over = humantime::format_duration(Duration::from_secs(over_ms / 1_000));
        found.push(format!(
            "a worker has died: the lease of its job is over for {over}, and no other worker takes the job back"
        ));
    }
    let age_ms = line.oldest_waiting_ms.unwrap_or(0);
    let age = || humantime::format_duration(Duration::from_secs(age_ms / 1_000)).to_string();
    let is_open = !line.paused && line.held_until.is_none();
    if is_open && line.waiting > 0 && line.active == 0 && age_ms > IDLE_MS {
        found.push(format!(
            "jobs wait for {}, and none runs: is there a worker?",
            age()
        ));
    } else if age_ms > TOO_OLD_MS {
        found.push(format!("the oldest job waits for {}", age()));
    }
    // Not every viewer may know the other queue.
    let ages = line.outbox.iter();
    let oldest_ms = ages.map(|outgoing| outgoing.since.ms_before(now)).max();
    if let Some(ms) = oldest_ms.filter(|ms| *ms > NOT_CARRIED_MS) {
        let waits = humantime::format_duration(Duration::from_secs(ms / 1_000));
        found.push(format!(
            "messages for another queue wait for {waits}: is there a worker here, and can it reach that queue?"
        ));
    }
    if let Some(rates) = &line.rates {
        if let Some(part) = rates.failed.filter(|part| *part > FAILED) {
            found.push(format!("{:.0} % of the attempts fail", part * 100.0));
        }
        if rates.drain_ms.is_none() && rates.grows() && line.waiting > BEHIND {
            found.push("more jobs come than end".to_owned());
        }
    }
    match line.dead {
        0 => {}
        1 => found.push("1 job failed for good".to_owned()),
        dead => found.push(format!("{dead} jobs failed for good")),
    }
    if line.paused {
        found.push("paused".to_owned());
    }
    if line.held_until.is_some() {
        found.push("held: a handler was told to wait".to_owned());
    }
    if !line.paused_names.is_empty() {
        found.push(format!(
            "jobs are paused by name: {}",
            line.paused_names.join(", ")
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{OutgoingLine, Rates};
    use crate::reading::queue::unread;

    const NOW_MS: u64 = 1_000_000;

    fn told(line: &QueueLine) -> Vec<String> {
        problems(line, Moment::from_millis(NOW_MS))
    }

    #[test]
    fn a_quiet_queue_has_no_problem_and_a_troubled_one_says_the_gravest_first() {
        let mut line = unread("mail");
        assert!(told(&line).is_empty());
        line.waiting = 5_000;
        line.dead = 2;
        line.oldest_waiting_ms = Some(125_000);
        line.rates = Some(Rates {
            arrivals: 2.0,
            departures: 1.0,
            failed: Some(0.5),
            drain_ms: None,
        });
        let found = told(&line);
        assert_eq!(
            found,
            [
                "jobs wait for 2m 5s, and none runs: is there a worker?",
                "50 % of the attempts fail",
                "more jobs come than end",
                "2 jobs failed for good",
            ]
        );
        // Somebody wanted it so.
        line.paused = true;
        assert!(!told(&line)[0].contains("worker"));
        // A lease that has just ended is about to be taken back.
        line.lease_over_ms = Some(3_000);
        assert!(!told(&line)[0].contains("worker"));
        line.lease_over_ms = Some(16_000);
        assert!(told(&line)[0].starts_with("a worker has died"));
    }
    #[test]
    fn messages_that_nobody_carries_are_told() {
        let mut line = unread("mail");
        let since = |ms| OutgoingLine {
            queue: "bills".to_owned(),
            messages: 3,
            since: Moment::from_millis(ms),
        };
        line.outbox = vec![since(NOW_MS - 30_000)];
        assert!(told(&line).is_empty());
        line.outbox = vec![since(NOW_MS - 125_000)];
        let found = told(&line);
        assert!(
            found[0].starts_with("messages for another queue wait for 2m 5s"),
            "{found:?}"
        );
    }
}
