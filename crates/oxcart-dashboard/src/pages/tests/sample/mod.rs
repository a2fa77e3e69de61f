//! What the pages of the tests show.

mod jobs;
mod queues;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::NOW;
use crate::model::*;
use jobs::{STACK, job_view, list};
pub(super) use queues::many_queues;
use queues::{line, view};

pub(super) struct Data {
    pub(super) overview: Overview,
    pub(super) queue: QueueView,
    pub(super) dead: JobList,
    pub(super) waiting: JobList,
    pub(super) job: JobView,
    pub(super) running: Running,
    pub(super) groups: DeadGroups,
    pub(super) schedules: Schedules,
    pub(super) workers: Workers,
    pub(super) audit: Audit,
    pub(super) alerts: Alerts,
    pub(super) tasks: Tasks,
    pub(super) task: TaskView,
    pub(super) hostile: String,
}

fn ago(ms: u64) -> Moment {
    Moment::from_millis(NOW - ms)
}

/// Text that wants to do harm: markup, control characters, marks that turn the text around, and much of it.
fn harm() -> String {
    let start = "<img src=x onerror=alert(1)><b>bold</b>\u{202e}txet\u{2066}\0\u{7}\u{1b}[31m\"' & \n second line Z\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}";
    format!("{start}{}", "long-word-without-any-gap".repeat(2_000))
}
pub(in crate::pages) fn schedule() -> ScheduleLine {
    ScheduleLine {
        queue: "mail".to_owned(),
        name: "nightly-report".to_owned(),
        rhythm: Some("0 3 * * * (Europe/Berlin)".to_owned()),
        job: Some("report".to_owned()),
        next_tick: Some(Moment::from_millis(NOW + 8_000_000)),
        last_tick: Some(ago(4_000_000)),
        last_outcome: Some(TickOutcome::Fired),
        last_job: Some("01m8c32rxkfapa248rrw8ngqg7".to_owned()),
        last_job_state: Some(JobState::Completed),
        fired: 412,
        missed: 1,
        overlapped: 0,
        paused: false,
        unreadable: None,
    }
}

fn worker(host: &str, running: u64, seen: u64) -> WorkerLine {
    WorkerLine {
        queue: "mail".to_owned(),
        id: "01m8c32rxkfapa248rrw8ngqg7".to_owned(),
        host: host.to_owned(),
        process: 4_711,
        version: "0.1.0".to_owned(),
        concurrency: 50,
        handlers: [
            "send-welcome",
            "charge",
            "report",
            "resize",
            "export",
            "index",
            "clean-up",
            "sync",
        ]
        .map(str::to_owned)
        .to_vec(),
        started_at: ago(90_000_000),
        seen_at: ago(seen),
        running,
    }
}

fn rule(state: RuleState, text: &str) -> RuleLine {
    RuleLine {
        rule: format!("old-{}", state as u8),
        queue: "mail".to_owned(),
        state,
        condition: format!(
            "the oldest job waits for more than 5 minutes {}",
            &text[..4]
        ),
        value: Some(412.0),
        threshold: 300.0,
        unit: "seconds",
        since: ago(700_000),
        judged_at: ago(9_000),
        acknowledged_by: None,
    }
}

fn task(state: TaskState, dry_run: bool) -> TaskLine {
    TaskLine {
        id: 7,
        queue: "mail".to_owned(),
        action: "replay".to_owned(),
        query: JobQuery {
            state: JobState::Dead,
            name: "charge".to_owned(),
            ..JobQuery::default()
        },
        dry_run,
        per_second: Some(50),
        stop_if_failing_percent: Some(20),
        operator: "ada".to_owned(),
        state,
        began_at: ago(63_000),
        ended_at: (state != TaskState::Running).then(|| ago(9_000)),
        seen: 1_800,
        matching: 1_234,
        done: if dry_run { 0 } else { 1_100 },
        requested: 0,
        left_alone: 3,
        of: 2_600,
        trouble: None,
    }
}

fn data(queues: Overview, names: &[&str], text: &str) -> Data {
    let first = names[0];
    let audit = |number: u64| AuditLine {
        number,
        at: ago(number * 200_000),
        operator: text.chars().take(400).collect(),
        action: "replay".to_owned(),
        target: format!("dead letters: name={first}"),
        phase: if number.is_multiple_of(2) {
            "began"
        } else {
            "ended"
        },
        jobs: (number % 2 == 1).then_some(number * 1_234),
    };
    let group = |(at, name): (usize, &&str)| DeadGroupLine {
        fingerprint: format!("8aa0e5c{at}"),
        name: (*name).to_owned(),
        count: 41 / (at as u64 + 1),
        first_at: ago(86_000_000),
        last_at: ago(65_000),
        sample: text.to_owned(),
        sample_id: "01m8c32rxkfapa248rrw8ngqg7".to_owned(),
    };
    Data {
        queue: view(queues.queues[queues.queues.len().min(6) - 1].clone(), names),
        dead: list(JobState::Dead, names, text),
        waiting: list(JobState::Waiting, names, text),
        job: job_view(first, "01m8c32rxkfapa248rrw8ngqg7", text),
        running: Running {
            queue: None,
            jobs: list(JobState::Active, names, text).jobs,
            active: 12,
            left_out: 0,
        },
        groups: DeadGroups {
            queue: "mail".to_owned(),
            groups: names.iter().enumerate().map(group).collect(),
            dead: 57,
            read: 57,
        },
        schedules: Schedules {
            queue: None,
            schedules: vec![
                schedule(),
                ScheduleLine {
                    name: first.to_owned(),
                    paused: true,
                    last_outcome: Some(TickOutcome::Missed),
                    ..schedule()
                },
            ],
            left_out: 4,
        },
        workers: Workers {
            queue: None,
            workers: vec![
                worker("worker-1.internal", 37, 12_000),
                worker(first, 0, 140_000),
            ],
            left_out: 0,
        },
        audit: Audit {
            queue: "mail".to_owned(),
            entries: (1..9).map(audit).collect(),
            next: Some(3),
        },
        alerts: Alerts {
            alerts: vec![AlertLine {
                queue: "mail".to_owned(),
                text: text.to_owned(),
                since: Some(ago(500_000)),
            }],
            rules: vec![
                rule(RuleState::Firing, text),
                RuleLine {
                    rule: "late".to_owned(),
                    acknowledged_by: Some("bob".to_owned()),
                    ..rule(RuleState::Firing, text)
                },
                rule(RuleState::Pending, text),
                RuleLine {
                    judged_at: ago(3_600_000),
                    ..rule(RuleState::Ok, text)
                },
            ],
        },
        tasks: Tasks {
            tasks: vec![
                task(TaskState::Running, false),
                task(TaskState::Ended, true),
                task(TaskState::Failed, false),
            ],
        },
        task: TaskView {
            task: task(TaskState::Ended, true),
        },
        hostile: text.to_owned(),
        overview: queues,
    }
}

pub(super) fn rich() -> Data {
    let names = [
        "billing",
        "exports",
        "images",
        "imports",
        "mail",
        "reports",
        "search-index",
        "webhooks",
    ];
    let queues = names
        .iter()
        .zip(0..)
        .map(|(name, at)| line(name, at))
        .collect();
    data(
        Overview { queues, unread: 0 },
        &["charge", "send-welcome", "report", "resize"],
        STACK,
    )
}

pub(super) fn hostile() -> Data {
    let text = harm();
    let queues = (0..8)
        .map(|at| {
            line(
                &format!("queue-with-a-name-that-goes-on-and-on-and-on-and-on-and-on-{at}"),
                at,
            )
        })
        .collect();
    let mut data = data(
        Overview { queues, unread: 0 },
        &[&text, "<b>", "\u{202e}\u{2066}abc"],
        &text,
    );
    data.job.payload = json!({ &text: { &text: [&text] } });
    data.job.line.id = text.chars().take(500).collect();
    data.job.headers = BTreeMap::from([(text.clone(), text.clone())]);
    data.job.stands.clone_from(&text);
    data
}

pub(super) fn empty() -> Data {
    let mut data = rich();
    data.overview = Overview {
        queues: Vec::new(),
        unread: 0,
    };
    data.queue = QueueView {
        line: QueueLine {
            rates: None,
            departures: Vec::new(),
            oldest_waiting_ms: None,
            ..line("mail", 0)
        },
        oldest_waiting_id: None,
        rate: None,
        concurrency: None,
        names: Vec::new(),
        minutes: Vec::new(),
        settings: Vec::new(),
        workers: 0,
        ..data.queue
    };
    for list in [&mut data.dead, &mut data.waiting] {
        list.jobs.clear();
        list.next = None;
    }
    data.job.attempts.clear();
    data.job.log.clear();
    data.job.headers.clear();
    data.job.line.state = JobState::Waiting;
    data.job.payload = Value::Null;
    data.running.jobs.clear();
    data.groups = DeadGroups {
        groups: Vec::new(),
        dead: 0,
        read: 0,
        ..data.groups
    };
    data.schedules.schedules.clear();
    data.workers.workers.clear();
    data.audit = Audit {
        entries: Vec::new(),
        next: None,
        ..data.audit
    };
    data.alerts.alerts.clear();
    data.alerts.rules.clear();
    data.tasks.tasks.clear();
    data.task.task = TaskLine {
        matching: 0,
        seen: 0,
        of: 0,
        ..data.task.task
    };
    data
}
