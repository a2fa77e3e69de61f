//! What is known of all queues, in the text format of Prometheus.

use std::fmt::Write;

use crate::model::{Moment, Overview, QueueLine};

/// A value of a metric for each queue, with labels beside `queue`.
type Samples = fn(&QueueLine, Moment) -> Vec<(&str, f64)>;

/// Name, help, the label beside `queue`, and the values. All are gauges: they are what Redis has now. Names and units are those of the
/// library's own metrics, where it has the same.
const METRICS: [(&str, &str, &str, Samples); 6] = [
    (
        "oxcart_jobs_in_state",
        "Jobs in each state.",
        "state",
        |line, _| {
            vec![
                ("waiting", line.waiting as f64),
                ("blocked", line.blocked as f64),
                ("delayed", line.delayed as f64),
                ("active", line.active as f64),
                ("completed", line.completed as f64),
                ("dead", line.dead as f64),
            ]
        },
    ),
    (
        "oxcart_oldest_waiting_seconds",
        "For how long the oldest job has waited; 0 if none waits.",
        "",
        |line, _| vec![("", line.oldest_waiting_ms.unwrap_or(0) as f64 / 1_000.0)],
    ),
    (
        "oxcart_queue_paused",
        "1 if the queue is paused.",
        "",
        |line, _| vec![("", f64::from(u8::from(line.paused)))],
    ),
    (
        "oxcart_queue_rate_per_second",
        "Jobs that come and that end, in the last 30 minutes.",
        "direction",
        |line, _| {
            line.rates.map_or_else(Vec::new, |rates| {
                vec![("arrived", rates.arrivals), ("departed", rates.departures)]
            })
        },
    ),
    (
        "oxcart_outbox_messages",
        "Messages that wait for another queue; none if nothing does.",
        "target",
        |line, _| {
            let outbox = line.outbox.iter();
            outbox
                .map(|outgoing| (&*outgoing.queue, outgoing.messages as f64))
                .collect()
        },
    ),
    (
        "oxcart_outbox_oldest_seconds",
        "For how long the oldest message for another queue has waited; none if nothing does.",
        "target",
        |line, now| {
            let age = |since: Moment| since.ms_before(now) as f64 / 1_000.0;
            let outbox = line.outbox.iter();
            outbox
                .map(|outgoing| (&*outgoing.queue, age(outgoing.since)))
                .collect()
        },
    ),
];

/// Queues that were not read yet are left out.
pub(crate) fn text(overview: &Overview) -> String {
    let queues = overview.queues.iter().filter(|line| line.read_at.is_some());
    written(&queues.collect::<Vec<_>>())
}

fn written(queues: &[&QueueLine]) -> String {
    let mut out = String::new();
    for (name, help, label, samples) in METRICS {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
        for line in queues {
            let queue = escaped(&line.queue);
            let now = line.read_at.unwrap_or(Moment::from_millis(0));
            for (value, number) in samples(line, now) {
                let label = match label {
                    "" => String::new(),
                    label => format!(",{label}=\"{}\"", escaped(value)),
                };
                let _ = writeln!(out, "{name}{{queue=\"{queue}\"{label}}} {number}");
            }
        }
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OutgoingLine;

    #[test]
    fn each_metric_has_help_a_kind_and_a_line_for_each_queue() {
        let line = QueueLine {
            queue: "ma\"il".to_owned(),
            read_at: Some(Moment::from_millis(9_000)),
            waiting: 3,
            blocked: 0,
            delayed: 0,
            active: 1,
            completed: 0,
            dead: 0,
            paused: true,
            paused_names: Vec::new(),
            held_until: None,
            oldest_waiting_ms: Some(1_500),
            lease_over_ms: None,
            rates: None,
            departures: Vec::new(),
            outbox: vec![OutgoingLine {
                queue: "bi\"lls".to_owned(),
                messages: 4,
                since: Moment::from_millis(7_500),
            }],
            problems: Vec::new(),
        };
        let text = written(&[&line]);
        for wanted in [
            "# TYPE oxcart_jobs_in_state gauge\n",
            "oxcart_jobs_in_state{queue=\"ma\\\"il\",state=\"waiting\"} 3\n",
            "oxcart_oldest_waiting_seconds{queue=\"ma\\\"il\"} 1.5\n",
            "oxcart_queue_paused{queue=\"ma\\\"il\"} 1\n",
            "oxcart_outbox_messages{queue=\"ma\\\"il\",target=\"bi\\\"lls\"} 4\n",
            "oxcart_outbox_oldest_seconds{queue=\"ma\\\"il\",target=\"bi\\\"lls\"} 1.5\n",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
    }
}
