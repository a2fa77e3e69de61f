//! What a recorder of the `metrics` facade hears. The recorder is the process's, so there is one test of it.
#![cfg(feature = "metrics")]

#[path = "metrics/monitoring.rs"]
mod monitoring;
#[path = "metrics/promtool.rs"]
mod promtool;
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use oxcart::{Backoff, ErrorKind, Failure, Job, Oxcart, Queue, Worker};
use serde::{Deserialize, Serialize};
use support::{Server, eventually_async};

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq)]
enum Send {
    Now,
    Fail,
    Slow,
}

impl Job for Send {
    const NAME: &'static str = "send";
    type Output = ();
}

async fn send(job: Send) -> Result<(), Failure> {
    match job {
        Send::Now => Ok(()),
        Send::Fail => Err(Failure::retry("no")),
        Send::Slow => {
            tokio::time::sleep(Duration::from_millis(60)).await;
            Ok(())
        }
    }
}

/// The samples that the recorder would show now: what is before the space, and the value.
fn samples(recorder: &PrometheusHandle) -> BTreeMap<String, f64> {
    recorder.run_upkeep();
    let text = recorder.render();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.filter_map(|line| line.rsplit_once(' '));
    let number = |value: &str| value.parse().unwrap();
    let samples = samples.map(|(series, value)| (series.to_owned(), number(value)));
    samples.collect()
}

async fn work(queue: &Queue, until_ended: u64) {
    let worker = Worker::builder(queue).concurrency(4).handle(send);
    let ended = eventually_async(PATIENCE, async || {
        let totals = queue.counts().await.unwrap().totals;
        totals.completed + totals.dead == until_ended
    });
    worker.build().unwrap().run_until(ended).await.unwrap();
}

/// Waits until the workers of this process have so many slots.
async fn slots_are(recorder: &PrometheusHandle, slots: f64) {
    let found = eventually_async(PATIENCE, async || {
        let told = samples(recorder);
        let of = |state| {
            let series = format!(r#"oxcart_worker_slots{{queue="mail",state="{state}"}}"#);
            told.get(&series).copied().unwrap_or(0.0)
        };
        of("busy") + of("free") == slots
    });
    found.await;
}

#[tokio::test]
async fn a_recorder_hears_of_all_metrics_and_of_nothing_else() {
    // Buckets instead of quantiles, which need a clock to move on.
    let recorder = PrometheusBuilder::new().set_buckets(&[0.01, 0.05, 1.0, 100.0]);
    let recorder = recorder.unwrap().install_recorder().unwrap();
    oxcart::metrics::describe();

    let server = Server::start();
    let oxcart = Oxcart::builder().call_timeout(Duration::from_millis(500));
    let oxcart = oxcart.connect(&server.url()).await.unwrap();
    let queue = oxcart.queue("mail").unwrap();
    let jobs = [Send::Now, Send::Now, Send::Slow, Send::Fail];
    let requests = jobs.map(|job| queue.enqueue(job).attempts(2).backoff(Backoff::NONE));
    queue.enqueue_many(requests).await.unwrap();
    // An id that is there is not new.
    let id = oxcart::JobId::new("the-one").unwrap();
    for _ in 0..2 {
        queue.enqueue(Send::Now).id(id.clone()).await.unwrap();
    }
    work(&queue, 5).await;
    let counts = queue.record_counts().await.unwrap();

    let told = samples(&recorder);
    let of = |series: &str| told.get(series).copied();
    let ended = |outcome: &str| {
        of(&format!(
            r#"oxcart_jobs_total{{queue="mail",job="send",outcome="{outcome}"}}"#
        ))
    };
    assert_eq!(ended("completed"), Some(4.0));
    assert_eq!(ended("retry"), Some(1.0));
    assert_eq!(ended("dead"), Some(1.0));
    let labels = r#"{queue="mail",job="send"}"#;
    assert_eq!(
        of(&format!("oxcart_job_run_seconds_count{labels}")),
        Some(6.0)
    );
    // Only a first attempt waits.
    assert_eq!(
        of(&format!("oxcart_job_wait_seconds_count{labels}")),
        Some(5.0)
    );
    let quick = r#"oxcart_job_run_seconds_bucket{queue="mail",job="send",le="0.05"}"#;
    assert!(of(quick).unwrap() <= 5.0, "one took 60 ms: {told:?}");
    let slowest = r#"oxcart_job_run_seconds_bucket{queue="mail",job="send",le="100"}"#;
    assert_eq!(of(slowest), Some(6.0));
    assert_eq!(of(r#"oxcart_enqueued_total{queue="mail"}"#), Some(5.0));
    assert_eq!(of(r#"oxcart_batch_jobs_sum{verb="enqueue"}"#), Some(6.0));
    assert_eq!(of(r#"oxcart_batch_jobs_sum{verb="settle"}"#), Some(6.0));
    assert_eq!(of(r#"oxcart_batch_jobs_sum{verb="claim"}"#), Some(6.0));
    let busy = r#"oxcart_worker_slots{queue="mail",state="busy"}"#;
    assert_eq!(of(busy), Some(0.0));
    let in_state = |state: &str| {
        of(&format!(
            r#"oxcart_jobs_in_state{{queue="mail",state="{state}"}}"#
        ))
    };
    assert_eq!(in_state("dead"), Some(1.0));
    assert_eq!(in_state("completed"), Some(counts.completed as f64));
    assert_eq!(in_state("waiting"), Some(0.0));
    let oldest = r#"oxcart_oldest_waiting_seconds{queue="mail"}"#;
    assert_eq!(of(oldest), Some(0.0));
    let asked = r#"oxcart_redis_call_seconds_count{verb="oldest"}"#;
    assert_eq!(of(asked), None, "nothing waits, so nothing is asked");
    assert!(of(r#"oxcart_redis_call_seconds_count{verb="enqueue"}"#) >= Some(2.0));
    assert_eq!(
        of(r#"oxcart_redis_call_errors_total{verb="enqueue"}"#),
        None
    );

    // A breaker opens, and refuses a call.
    let stripe = oxcart.breaker("stripe").unwrap();
    let once = oxcart::BreakerSettings::new().trips_at(1, Duration::from_secs(1));
    let stripe = stripe.settings(once).unwrap();
    for _ in 0..2 {
        let called = stripe.call(async || Err::<(), _>("503")).await;
        assert!(called.is_err());
    }
    let told = samples(&recorder);
    let opened = r#"oxcart_breaker_changes_total{breaker="stripe",state="open"}"#;
    assert_eq!(told.get(opened), Some(&1.0));
    let refused = r#"oxcart_breaker_refused_total{breaker="stripe"}"#;
    assert_eq!(told.get(refused), Some(&1.0));

    // One job waits. Its age is the server's, and only grows.
    queue.enqueue(Send::Now).await.unwrap();
    let waits = eventually_async(PATIENCE, async || {
        queue.record_counts().await.unwrap();
        samples(&recorder)[oldest] > 0.0
    });
    waits.await;
    let waits = samples(&recorder)[oldest];
    let by_call = queue.oldest_waiting().await.unwrap().unwrap().age;
    assert!(waits <= by_call.as_secs_f64(), "{waits} {by_call:?}");

    // Workers of one process share the gauges, and take back their part of it when they end.
    let workers = [2, 3].map(|slots| {
        let worker = Worker::builder(&queue).concurrency(slots).handle(send);
        worker.build().unwrap()
    });
    let [two, three] = workers;
    let both_run = tokio::sync::Notify::new();
    let (ended, also_ended) = tokio::join!(
        two.run_until(async {
            slots_are(&recorder, 5.0).await;
            both_run.notify_one();
        }),
        three.run_until(async {
            both_run.notified().await;
            slots_are(&recorder, 3.0).await;
        }),
    );
    ended.unwrap();
    also_ended.unwrap();
    slots_are(&recorder, 0.0).await;

    // What is recorded for the first time when something is wrong.
    drop(server);
    let failed = queue.enqueue(Send::Now).await.unwrap_err();
    let kind = match failed.kind() {
        ErrorKind::NotSent => "not-sent",
        ErrorKind::Unknown => "unknown",
        other => panic!("{other:?}: {failed}"),
    };
    let series = format!(r#"oxcart_enqueue_errors_total{{queue="mail",kind="{kind}"}}"#);
    let told = samples(&recorder);
    assert_eq!(told.get(&series), Some(&1.0), "{failed} {told:#?}");

    // Each series is one of those that are documented, with its labels, and has a description.
    let page = include_str!("../docs/metrics.md");
    let text = recorder.render();
    promtool::assert_accepts(&text);
    for metric in oxcart::metrics::all() {
        let labels = metric.labels.iter().map(|label| format!("`{label}`"));
        let labels = labels.collect::<Vec<_>>().join(", ");
        let kind = format!("{:?}", metric.kind).to_lowercase();
        let row = format!(
            "| `{}` | {kind} | {labels} | {} |",
            metric.name, metric.help
        );
        assert!(page.contains(&row), "docs/metrics.md has no row\n{row}");
    }
    for series in samples(&recorder).keys() {
        let (name, labels) = series.split_once('{').unwrap();
        let is_of = |metric: &&oxcart::metrics::Metric| {
            let rest = name.strip_prefix(metric.name);
            rest.is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
        };
        let metric = oxcart::metrics::all().iter().find(is_of);
        let metric = metric.unwrap_or_else(|| panic!("{series} is not documented"));
        for label in metric.labels {
            assert!(labels.contains(&format!("{label}=\"")), "{series}");
        }
        assert!(
            text.contains(&format!("# HELP {} {}", metric.name, metric.help)),
            "{series}"
        );
        assert!(!series.contains("the-one"), "an id is a label: {series}");
    }
}
