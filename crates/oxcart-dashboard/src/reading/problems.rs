//! What somebody should look at in a queue, judged by its numbers.

use std::time::Duration;

use crate::model::QueueLine;

/// The oldest job waits for longer than this.
const TOO_OLD_MS: u64 = 10 * 60 * 1_000;
/// Jobs wait for so long, and none runs.
const IDLE_MS: u64 = 60 * 1_000;
/// The lease of a job is over for so long. A worker that lives takes such a job back within 10 s.
const ABANDONED_MS: u64 = 15 * 1_000;
/// More than this part of the attempts fails.
const FAILED: f64 = 0.2;
/// A queue that falls behind has at least so many jobs waiting.
const BEHIND: u64 = 1_000;

/// In some words each; the gravest first.
pub(super) fn problems(line: &QueueLine) -> Vec<String> {
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
    use crate::model::Rates;
    use crate::reading::queue::unread;

    #[test]
    fn a_quiet_queue_has_no_problem_and_a_troubled_one_says_the_gravest_first() {
        let mut line = unread("mail");
        assert!(problems(&line).is_empty());
        line.waiting = 5_000;
        line.dead = 2;
        line.oldest_waiting_ms = Some(125_000);
        line.rates = Some(Rates {
            arrivals: 2.0,
            departures: 1.0,
            failed: Some(0.5),
            drain_ms: None,
        });
        let found = problems(&line);
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
        assert!(!problems(&line)[0].contains("worker"));
        // A lease that has just ended is about to be taken back.
        line.lease_over_ms = Some(3_000);
        assert!(!problems(&line)[0].contains("worker"));
        line.lease_over_ms = Some(16_000);
        assert!(problems(&line)[0].starts_with("a worker has died"));
    }
}
