//! What the pages of the tests show.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::NOW;
use crate::model::*;

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

pub(super) fn line(name: &str, at: u64) -> QueueLine {
    let wave = |minute: u64| (minute * 7 + at * 13) % 23 + minute % 5 * at;
    QueueLine {
        queue: name.to_owned(),
        read_at: Some(ago(300)),
        waiting: at * at * 37,
        blocked: at % 3,
        delayed: at * 11,
        active: at * 3 % 17,
        completed: 1_000 * at,
        dead: if at % 4 == 1 { at * 12 } else { 0 },
        paused: at == 3,
        paused_names: if at == 5 {
            vec!["charge".to_owned()]
        } else {
            Vec::new()
        },
        held_until: (at == 6).then(|| Moment::from_millis(NOW + 90_000)),
        oldest_waiting_ms: (at > 0).then_some(at * at * 9_000),
        rates: Some(Rates {
            arrivals: at as f64 * 1.7,
            departures: at as f64 * 1.9,
            failed: Some(at as f64 * 0.004),
            drain_ms: (at != 4).then_some(at * 61_000),
        }),
        departures: (0..30).map(wave).collect(),
        problems: match at {
            3 => vec!["paused for 3 h while 333 jobs wait".to_owned()],
            4 => vec![
                "no worker looks after it".to_owned(),
                "more jobs come than end".to_owned(),
            ],
            _ => Vec::new(),
        },
    }
}

pub(super) fn many_queues(queues: u64) -> Overview {
    Overview {
        queues: (0..queues)
            .map(|at| line(&format!("queue-{at:03}"), at % 9))
            .collect(),
        unread: 3,
    }
}

fn job_line(name: &str, id: &str, state: JobState, text: &str) -> JobLine {
    JobLine {
        queue: "mail".to_owned(),
        id: id.to_owned(),
        name: name.to_owned(),
        state,
        enqueued_at: ago(7_400_000),
        priority: 500,
        failed: 3,
        attempts: 10,
        group: Some("tenant-7".to_owned()),
        due_at: (state == JobState::Delayed).then(|| Moment::from_millis(NOW + 65_000)),
        claimed_at: (state == JobState::Active).then(|| ago(83_000)),
        worker: (state == JobState::Active).then(|| "01m8c32rxkfapa248rrw8ngqg7".to_owned()),
        ended_at: matches!(state, JobState::Dead | JobState::Completed).then(|| ago(65_000)),
        error: Some(text.to_owned()),
        progress: json!(0.62),
    }
}

fn list(state: JobState, names: &[&str], text: &str) -> JobList {
    let job = |(at, name): (usize, &&str)| {
        job_line(
            name,
            &format!("01m8c32rxkfapa248rrw8ng{at:03}"),
            state,
            text,
        )
    };
    JobList {
        queue: "mail".to_owned(),
        query: JobQuery {
            state,
            ..JobQuery::default()
        },
        jobs: names.iter().enumerate().map(job).collect(),
        unreadable: Vec::new(),
        next: Some("abc".to_owned()),
        counts: JobState::ALL
            .into_iter()
            .zip([1_234, 2, 45_000_000, 12, 998, 0, 57])
            .collect(),
    }
}

const STACK: &str = "cannot charge card 4111: the bank answered 503\n   caused by: connection reset by peer\n\
   0: shop::billing::charge\n             at src/billing.rs:118\n   1: shop::billing::retry\n             at src/billing.rs:64\n\
   2: oxcart::worker::attempt\n   3: tokio::runtime::task::poll\n   4: tokio::runtime::scheduler::run\n   5: std::thread::spawn\n\
   6: a\n   7: b\n   8: c\n   9: d\n  10: e\n  11: f\n  12: g\n";

fn attempt(kind: &'static str, ms: u64, error: &str) -> AttemptLine {
    AttemptLine {
        started_at: ago(ms + 1_800),
        ended_at: ago(ms),
        kind,
        error: error.to_owned(),
    }
}

fn job_view(name: &str, id: &str, text: &str) -> JobView {
    let log = |number: u64| LogLine {
        number,
        at: ago(90_000 - number * 700),
        attempt: 2,
        text: format!("{text} {number}"),
    };
    JobView {
        line: job_line(name, id, JobState::Dead, text),
        stalls: 1,
        bounces: 0,
        snoozes: 2,
        order: Some("customer-91".to_owned()),
        unique: Some("invoice-2026-11-0042".to_owned()),
        weight: 3,
        position: None,
        expires_at: None,
        lease_until: None,
        timeout_ms: Some(30_000),
        ended: Some(Ended {
            how: "dead",
            reason: Some(text.to_owned()),
        }),
        fingerprint: Some("8aa0e5cb".to_owned()),
        attempts: vec![
            attempt("snoozed", 7_000_000, ""),
            attempt("timeout", 3_600_000, "took longer than 30 s"),
            attempt("stalled", 1_200_000, "its worker was not heard of"),
            attempt("error", 65_000, text),
        ],
        headers: BTreeMap::from([(
            "traceparent".to_owned(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
        )]),
        payload: json!({ "order": 4711, "customer": { "id": 91, "name": "Ada <Lovelace>", "vip": true }, "card": "(secret)",
            "items": (0..9).map(|at| json!({ "sku": format!("A-{at}"), "count": at, "note": null })).collect::<Vec<_>>() }),
        secret: vec!["card".to_owned()],
        result: Value::Null,
        unreadable: None,
        log: (1..=12).map(log).collect(),
        stands: "It is among the dead letters, until somebody replays or removes it.".to_owned(),
    }
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

fn view(line: QueueLine, names: &[&str]) -> QueueView {
    let quantiles = |at: u64| Quantiles {
        p50_ms: 12 * at,
        p95_ms: 180 * at,
        p99_ms: 2_400 * at,
    };
    let name_line = |(at, name): (usize, &&str)| NameLine {
        name: (*name).to_owned(),
        paused: at == 1,
        completed: 12_345 / (at as u64 + 1),
        retried: 31,
        dead: at as u64,
        cancelled: 0,
        wait: Some(quantiles(at as u64 + 1)),
        run: Some(quantiles(at as u64 * 3 + 2)),
    };
    let minute = |back: u64| MinutePoint {
        at: ago(back * 60_000),
        arrived: 300 + (back * 31 % 97) + if (400..520).contains(&back) { 900 } else { 0 },
        departed: 310 + (back * 17 % 83) + if (380..560).contains(&back) { 500 } else { 0 },
        waiting: if (380..560).contains(&back) {
            40_000 - (470_u64.abs_diff(back)) * 400
        } else {
            120 + back % 50
        },
    };
    QueueView {
        line,
        oldest_waiting_id: Some("01m8c32rxkfapa248rrw8ngqg7".to_owned()),
        rate: Some("100/1s".to_owned()),
        rate_started: 37,
        concurrency: Some(20),
        totals: Totals {
            added: 9_812_345,
            completed: 9_700_000,
            retried: 12_345,
            dead: 812,
            ..Totals::default()
        },
        settings: vec![
            SettingLine {
                name: "keep_completed".to_owned(),
                value: "2 h".to_owned(),
            },
            SettingLine {
                name: "keep_at_most".to_owned(),
                value: "1,000 jobs".to_owned(),
            },
        ],
        covers_ms: 86_400_000,
        names: names.iter().enumerate().map(name_line).collect(),
        minutes: (0..1_440).rev().map(minute).collect(),
        workers: 4,
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
