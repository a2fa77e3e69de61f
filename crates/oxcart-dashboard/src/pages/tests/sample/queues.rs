//! Queues that the pages of the tests show.

use super::{NOW, ago};
use crate::model::*;

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
        lease_over_ms: None,
        oldest_waiting_ms: (at > 0).then_some(at * at * 9_000),
        rates: Some(Rates {
            arrivals: at as f64 * 1.7,
            departures: at as f64 * 1.9,
            failed: Some(at as f64 * 0.004),
            drain_ms: (at != 4).then_some(at * 61_000),
        }),
        departures: (0..30).map(wave).collect(),
        outbox: (0..at.min(2))
            .map(|n| OutgoingLine {
                queue: format!("{name}-{n}"),
                messages: 1_234,
                since: ago(70_000),
            })
            .collect(),
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

pub(in crate::pages::tests) fn many_queues(queues: u64) -> Overview {
    Overview {
        queues: (0..queues)
            .map(|at| line(&format!("queue-{at:03}"), at % 9))
            .collect(),
        unread: 3,
    }
}

pub(super) fn view(line: QueueLine, names: &[&str]) -> QueueView {
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
