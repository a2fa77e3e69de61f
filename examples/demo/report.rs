//! The summary: what happened, in one screen.

use std::collections::BTreeMap;
use std::time::Duration;

use oxcart::{AttemptKind, Counts, Ended, FailedAttempt, JobInfo};

use crate::check::{Outcome, Verdict};
use crate::crew::Killed;
use crate::input::Role;
use crate::screen::{Screen, Tint, count, duration, grouped, shortened, size};

/// So many jobs of a kind are named; of the others only the number is told.
const NAMED: usize = 5;
const NAME_WIDTH: usize = 38;

pub(crate) struct Report<'a> {
    pub(crate) enqueuing: Duration,
    pub(crate) outcomes: Vec<Outcome<'a>>,
    pub(crate) killed: Killed,
    pub(crate) counts: Counts,
    pub(crate) verdict: Verdict,
}

impl Report<'_> {
    /// Shows it all. Says whether everything is as it must be.
    pub(crate) fn show(&self, screen: &Screen) -> bool {
        screen.rule(&format!("Done in {}", duration(screen.elapsed())));
        self.show_speed(screen);
        self.show_states(screen);
        self.show_workers(screen);
        self.show_delayed(screen);
        self.show_retried(screen);
        self.show_recovered(screen);
        self.show_dead(screen);
        self.show_verdict(screen)
    }

    fn show_speed(&self, screen: &Screen) {
        let jobs = self.outcomes.len();
        let text = format!(
            "{:<12} enqueued in {}",
            count(jobs, "job"),
            duration(self.enqueuing)
        );
        screen.row("speed", with_rate(&text, jobs, self.enqueuing));
        // What was delayed, retried or recovered waited for other reasons than for its turn.
        let backlog = || {
            self.outcomes
                .iter()
                .filter(|outcome| outcome.info.is_none())
        };
        let Some(first) = backlog().filter_map(|outcome| outcome.story.started).min() else {
            return;
        };
        let Some(last) = backlog().filter_map(|outcome| outcome.story.ended).max() else {
            return;
        };
        let took = last.duration_since(first);
        let files = backlog().count();
        let bytes: u64 = backlog().map(|outcome| outcome.task.bytes).sum();
        let text = format!(
            "{:<12} of the backlog measured in {}",
            count(files, "file"),
            duration(took)
        );
        let per_second = size((bytes as f64 / took.as_secs_f64().max(0.001)) as u64);
        screen.row(
            "",
            format!("{}, {per_second}/s", with_rate(&text, files, took)),
        );
    }

    fn show_states(&self, screen: &Screen) {
        let counts = &self.counts;
        let states = [
            (counts.completed, "completed"),
            (counts.dead, "dead"),
            (counts.waiting, "waiting"),
            (counts.delayed, "delayed"),
            (counts.active, "active"),
        ];
        let states = states.map(|(number, state)| format!("{} {state}", grouped(number)));
        screen.row("states", states.join(" · "));
    }

    fn show_workers(&self, screen: &Screen) {
        let mut workers = BTreeMap::<&str, u64>::new();
        for receipt in self
            .outcomes
            .iter()
            .filter_map(|outcome| outcome.result.as_ref().ok())
        {
            *workers.entry(&receipt.worker).or_default() += 1;
        }
        let text = workers.iter().map(|(name, jobs)| {
            let killed = if *name == self.killed.name {
                " (killed)"
            } else {
                ""
            };
            format!("{name}{killed} {}", grouped(*jobs))
        });
        screen.row("done by", text.collect::<Vec<_>>().join(" · "));
    }

    fn show_delayed(&self, screen: &Screen) {
        let mut delayed: Vec<(Duration, String)> = Vec::new();
        for outcome in &self.outcomes {
            if let (Role::Delayed(delay), Some(due), Some(started)) =
                (outcome.task.role, outcome.story.due, outcome.story.started)
            {
                let late = duration(started.duration_since(due));
                delayed.push((delay, format!("{late} late after {} s", delay.as_secs())));
            }
        }
        delayed.sort();
        let text: Vec<_> = delayed.into_iter().map(|(_, text)| text).collect();
        if !text.is_empty() {
            screen.row("delayed", text.join(" · "));
        }
    }

    fn show_retried(&self, screen: &Screen) {
        let retried = self.outcomes.iter().filter_map(|outcome| {
            let failed = failures(outcome.info.as_ref()?);
            if failed == 0 || outcome.result.is_err() {
                return None;
            }
            let name = shortened(&outcome.task.name, NAME_WIDTH);
            let failed = times(failed);
            Some(format!("{name:NAME_WIDTH$} failed {failed}, then worked"))
        });
        show_list(screen, "retried", retried.collect());
    }

    fn show_recovered(&self, screen: &Screen) {
        let recovered = self
            .outcomes
            .iter()
            .filter(|outcome| outcome.is_recovered());
        let recovered: Vec<_> = recovered
            .map(|outcome| {
                let name = shortened(&outcome.task.name, NAME_WIDTH);
                let by = match &outcome.result {
                    Ok(receipt) => format!("by {}", receipt.worker),
                    Err(_) => "dead".to_owned(),
                };
                let after = outcome
                    .story
                    .ended
                    .map_or(Duration::ZERO, |ended| ended.duration_since(self.killed.at));
                format!("{name:NAME_WIDTH$} {by}, {} after", duration(after))
            })
            .collect();
        let jobs = count(recovered.len(), "job");
        let text = format!(
            "{jobs} that {} had claimed, run or not, when it was killed:",
            self.killed.name
        );
        screen.row("recovered", screen.paint(Tint::Green, text));
        show_list(screen, "", recovered);
    }

    fn show_dead(&self, screen: &Screen) {
        let dead = self.outcomes.iter().filter_map(|outcome| {
            let info = outcome.info.as_ref()?;
            let Ended::Dead(reason) = info.ended.as_ref()? else {
                return None;
            };
            let name = shortened(&outcome.task.name, 20);
            let attempts = count(info.failed as usize, "attempt");
            let error = info.history.last().map_or("", |attempt| &attempt.error);
            Some(format!(
                "{name:20} {reason} after {attempts}:\n{:13}{error}",
                ""
            ))
        });
        show_list(screen, "dead", dead.collect());
    }

    fn show_verdict(&self, screen: &Screen) -> bool {
        let verdict = &self.verdict;
        let all = self.outcomes.len();
        let equal = count(verdict.equal, "result");
        let ended = usize::try_from(self.counts.completed + self.counts.dead) == Ok(all);
        let left = self.counts.waiting + self.counts.delayed + self.counts.active;
        let held = &self.killed.held;
        let recovered = |id| {
            self.outcomes
                .iter()
                .any(|outcome| outcome.is_recovered_as(id))
        };
        let early = |outcome: &Outcome<'_>| outcome.story.started < outcome.story.due;
        let findings = [
            (
                verdict.wrong.is_empty() && verdict.equal + verdict.dead_rightly == all,
                format!("{equal} compared with a plain sequential run: the same"),
            ),
            (
                verdict.wrong.is_empty(),
                format!(
                    "{} that fail there as well",
                    count(verdict.dead_rightly, "dead letter")
                ),
            ),
            (
                ended && left == 0,
                "nothing lost, nothing left over".to_owned(),
            ),
            (
                !held.is_empty() && held.iter().all(recovered),
                "every job of the killed worker recovered".to_owned(),
            ),
            (
                !self.outcomes.iter().any(early),
                "no delayed job early".to_owned(),
            ),
        ];
        let lines = findings.iter().map(|(good, text)| match good {
            true => format!("{} {text}", screen.paint(Tint::Green, "✓")),
            false => screen.paint(Tint::Red, format!("✗ not so: {text}")),
        });
        show_list(screen, "check", lines.collect());
        show_list(screen, "wrong", verdict.wrong.clone());
        findings.iter().all(|(good, _)| *good)
    }
}

/// Failed attempts, stalls not among them.
fn failures(info: &JobInfo) -> usize {
    let stalled = |attempt: &&FailedAttempt| attempt.kind == AttemptKind::Stalled;
    info.history.len() - info.history.iter().filter(stalled).count()
}

fn times(number: usize) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

fn with_rate(text: &str, number: usize, took: Duration) -> String {
    let rate = number as f64 / took.as_secs_f64().max(0.001);
    format!("{text:<34} {:>9}/s", grouped(rate as u64))
}

/// The first lines, with the label before the very first, and how many more there are.
fn show_list(screen: &Screen, label: &str, mut lines: Vec<String>) {
    let hidden = lines.len().saturating_sub(NAMED);
    if hidden > 1 {
        lines.truncate(NAMED);
        lines.push(screen.paint(Tint::Dim, format!("… and {hidden} more")));
    }
    for (position, line) in lines.iter().enumerate() {
        screen.row(if position == 0 { label } else { "" }, line);
    }
}
