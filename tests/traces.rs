//! Traces of OpenTelemetry that go on through a queue, over two processes. What each process exports is written to a ledger, which
//! the test reads.
#![cfg(feature = "opentelemetry")]

mod support;

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use oxcart::{Backoff, Context, Failure, Job, Oxcart, Queue, TraceRelation, Worker};
use serde::{Deserialize, Serialize};
use support::{Ledger, Server, child_of_test, eventually_async, spawn_self};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Serialize, Deserialize)]
struct Charge {
    order: u32,
}

impl Job for Charge {
    const NAME: &'static str = "charge";
    type Output = ();
}

#[derive(Serialize, Deserialize)]
struct Receipt {
    order: u32,
}

impl Job for Receipt {
    const NAME: &'static str = "receipt";
    type Output = ();
}

/// A span, as the ledger has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Seen {
    name: String,
    kind: String,
    trace: String,
    id: String,
    parent: String,
    links: Vec<String>,
    attributes: Vec<(String, String)>,
    is_error: bool,
}

impl Seen {
    fn of(span: &SpanData) -> Self {
        let attributes = span.attributes.iter();
        let attributes = attributes.map(|it| (it.key.to_string(), it.value.to_string()));
        Self {
            name: span.name.to_string(),
            kind: format!("{:?}", span.span_kind),
            trace: span.span_context.trace_id().to_string(),
            id: span.span_context.span_id().to_string(),
            parent: span.parent_span_id.to_string(),
            links: span
                .links
                .iter()
                .map(|it| it.span_context.span_id().to_string())
                .collect(),
            attributes: attributes.collect(),
            is_error: matches!(span.status, opentelemetry::trace::Status::Error { .. }),
        }
    }

    fn attribute(&self, key: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    }
}

/// Spans of this process go to the exporter.
fn export() -> (InMemorySpanExporter, SdkTracerProvider) {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    tracing_subscriber::registry()
        .with(tracing_subscriber::filter::LevelFilter::INFO)
        .with(layer)
        .init();
    (exporter, provider)
}

fn write_down(exporter: &InMemorySpanExporter, ledger: &Ledger) {
    for span in exporter.get_finished_spans().unwrap() {
        ledger.record(&serde_json::to_string(&Seen::of(&span)).unwrap());
    }
}

async fn queue(url: &str) -> Queue {
    let oxcart = Oxcart::connect(url).await.unwrap();
    oxcart.queue("billing").unwrap()
}

/// It fails at first, and then asks for a further job.
async fn charge(
    Charge { order }: Charge,
    context: Context,
    queue: oxcart::State<Queue>,
) -> Result<(), Failure> {
    if context.attempt().number == 1 {
        return Err("the provider is down".into());
    }
    queue.enqueue(Receipt { order }).await?;
    Ok(())
}

async fn receipt(_: Receipt) -> Result<(), Failure> {
    Ok(())
}

#[test]
fn worker_process() {
    if !child_of_test() {
        return;
    }
    let (exporter, provider) = export();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let queue = queue(&std::env::var("SERVER").unwrap()).await;
        let relation = match std::env::var("RELATION").as_deref() {
            Ok("child") => TraceRelation::Child,
            _ => TraceRelation::Link,
        };
        let worker = Worker::builder(&queue)
            .state(queue.clone())
            .trace_relation(relation);
        let worker = worker.handle(charge).handle(receipt).build().unwrap();
        worker.run_until(oxcart::shutdown_signal()).await.unwrap();
    });
    provider.force_flush().unwrap();
    write_down(&exporter, &Ledger::open(std::env::var("LEDGER").unwrap()));
}

/// A request to a web service, which enqueues a job.
#[test]
fn request_process() {
    if !child_of_test() {
        return;
    }
    let (exporter, provider) = export();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let queue = queue(&std::env::var("SERVER").unwrap()).await;
        let request =
            tracing::info_span!("request", otel.name = "POST /orders", otel.kind = "server");
        let charge = queue.enqueue(Charge { order: 7 }).backoff(Backoff::NONE);
        charge
            .header("tenant", "acme")
            .into_future()
            .instrument(request)
            .await
            .unwrap();
    });
    provider.force_flush().unwrap();
    write_down(&exporter, &Ledger::open(std::env::var("LEDGER").unwrap()));
}

async fn spans(relation: &str) -> Vec<Seen> {
    let server = Server::start();
    let ledger = Ledger::create();
    let (url, path) = (server.url(), ledger.path().to_str().unwrap().to_owned());
    let envs = [
        ("SERVER", &*url),
        ("LEDGER", &*path),
        ("RELATION", relation),
    ];
    let mut worker = spawn_self("worker_process", &envs);
    let mut request = spawn_self("request_process", &envs);
    assert!(request.wait(PATIENCE).success());
    let queue = queue(&url).await;
    eventually_async(PATIENCE, async || {
        queue.counts().await.unwrap().totals.completed == 2
    })
    .await;
    worker.terminate();
    assert!(worker.wait(PATIENCE).success());
    let lines = ledger.lines();
    let spans = lines.iter().map(|line| serde_json::from_str(line).unwrap());
    spans.collect()
}

fn named<'a>(spans: &'a [Seen], name: &str) -> Vec<&'a Seen> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_and_all_jobs_that_come_of_it_are_one_trace() {
    let spans = spans("child").await;
    let [request] = named(&spans, "POST /orders")[..] else {
        panic!("{spans:#?}");
    };
    let ours: Vec<&Seen> = spans
        .iter()
        .filter(|span| span.trace == request.trace)
        .collect();
    let (sent, processed) = (
        named(&spans, "send billing"),
        named(&spans, "process billing"),
    );
    // The request, two that enqueue, two attempts of the first job, and one of the second.
    assert_eq!(
        (ours.len(), sent.len(), processed.len()),
        (6, 2, 3),
        "{spans:#?}"
    );
    let by_request = sent.iter().find(|span| span.parent == request.id).unwrap();
    assert_eq!(by_request.kind, "Producer");
    let of = |name: &str| {
        let of_name = |span: &&&Seen| span.attribute("messaging.operation.name") == Some(name);
        processed
            .iter()
            .filter(of_name)
            .copied()
            .collect::<Vec<_>>()
    };
    let (charges, receipts) = (of("charge"), of("receipt"));
    assert_eq!((charges.len(), receipts.len()), (2, 1));
    assert!(
        charges
            .iter()
            .all(|span| span.parent == by_request.id && span.kind == "Consumer")
    );
    assert_eq!(charges.iter().filter(|span| span.is_error).count(), 1);
    let outcomes: Vec<_> = charges
        .iter()
        .map(|it| it.attribute("oxcart.outcome").unwrap())
        .collect();
    assert_eq!(outcomes, ["retry", "completed"]);
    // The second job was enqueued in the second attempt of the first.
    let by_handler = sent
        .iter()
        .find(|span| span.parent == charges[1].id)
        .unwrap();
    assert_eq!(receipts[0].parent, by_handler.id);
    for (key, value) in [
        ("messaging.system", "oxcart"),
        ("messaging.destination.name", "billing"),
        ("messaging.operation.type", "process"),
    ] {
        assert_eq!(receipts[0].attribute(key), Some(value));
    }
    assert!(receipts[0].attribute("messaging.message.id").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_is_linked_to_the_span_in_which_its_job_was_enqueued() {
    let spans = spans("link").await;
    let sent = named(&spans, "send billing");
    for attempt in named(&spans, "process billing") {
        let [link] = &attempt.links[..] else {
            panic!("{attempt:?}");
        };
        let origin = sent.iter().find(|span| span.id == *link);
        assert_ne!(origin.unwrap().trace, attempt.trace);
    }
    assert_eq!(named(&spans, "process billing").len(), 3);
}
