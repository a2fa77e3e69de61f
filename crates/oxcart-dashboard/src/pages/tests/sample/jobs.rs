//! Jobs that the pages of the tests show.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{NOW, ago};
use crate::model::*;

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

pub(super) fn list(state: JobState, names: &[&str], text: &str) -> JobList {
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
            .iter()
            .copied()
            .zip([1_234, 2, 45_000_000, 12, 998, 0, 57])
            .collect(),
    }
}

pub(super) const STACK: &str = "cannot charge card 4111: the bank answered 503\n   caused by: connection reset by peer\n\
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

pub(super) fn job_view(name: &str, id: &str, text: &str) -> JobView {
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
        parent: Some(id.to_owned()),
        parent_queue: None,
        children: [None, Some("dead"), Some("compensated")]
            .map(|how| ChildLine {
                id: id.to_owned(),
                name: name.to_owned(),
                ended: how.map(|how| Ended {
                    how,
                    reason: Some(text.to_owned()),
                }),
                ended_at: how.map(|_| ago(65_000)),
                removed: false,
                queue: None,
                refused: None,
            })
            .to_vec(),
        saga: Some(SagaView {
            state: "stuck",
            reason: Some(text.to_owned()),
        }),
        steps: [
            "undone",
            "skipped",
            "done",
            "failed",
            "begun",
            "sleeping",
            "waiting",
            "signalled",
        ]
        .map(|state| StepLine {
            name: name.to_owned(),
            state,
            at: ago(65_000),
            due: (state == "sleeping").then(|| Moment::from_millis(NOW + 65_000)),
            bytes: 4_711,
            error: (state == "failed").then(|| text.to_owned()),
        })
        .to_vec(),
        checkpoint_bytes: Some(12),
        cancel_requested: None,
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
