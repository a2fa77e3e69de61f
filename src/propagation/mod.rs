//! Traces of OpenTelemetry that go on through a queue (feature `opentelemetry`).
//!
//! The context of the span in which a job is enqueued travels in its headers, by the propagator that the application has installed
//! (W3C `traceparent` and `tracestate`, unless it says otherwise). The span of each attempt is linked to it, or its child. Names, kinds
//! and attributes of the spans follow the
//! [semantic conventions for messaging](https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/).

use opentelemetry::Context as OtelContext;
use opentelemetry::global::get_text_map_propagator;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{Status, TraceContextExt};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::error::Error;
use crate::job::attempt::Attempt;
use crate::job::outcome::Outcome;

pub(crate) use TraceRelation as Relation;

impl TraceRelation {
    pub(crate) const DEFAULT: Self = Self::Link;
}

/// How the span of an attempt belongs to the span in which its job was enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TraceRelation {
    /// It begins a trace of its own, with a link to the other span: what the conventions of OpenTelemetry recommend, as a job may be
    /// run much later, several times, or together with others.
    #[default]
    Link,
    /// It is a child of the other span: a request and all jobs that come of it are one trace.
    Child,
}

struct Headers<'a>(&'a mut Vec<(String, String)>);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        // A header that the application has set itself stays.
        if !value.is_empty() && self.0.iter().all(|(known, _)| known != key) {
            self.0.push((key.to_owned(), value));
        }
    }
}

struct Carried<'a>(&'a [(String, String)]);

impl Extractor for Carried<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let mut headers = self.0.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value.as_str())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(key, _)| key.as_str()).collect()
    }
}

/// The span in which a request to enqueue so many jobs is carried out.
pub(crate) fn sending(queue: &str, jobs: usize) -> Span {
    let span = info_span!(
        "enqueue",
        queue,
        otel.name = %format_args!("send {queue}"),
        otel.kind = "producer",
    );
    about(&span, "send", "enqueue", queue);
    if jobs != 1 {
        let jobs = i64::try_from(jobs).unwrap_or(i64::MAX);
        span.set_attribute("messaging.batch.message_count", jobs);
    }
    span
}

fn about(span: &Span, kind: &'static str, operation: &str, queue: &str) {
    span.set_attribute("messaging.system", "oxcart");
    span.set_attribute("messaging.operation.type", kind);
    span.set_attribute("messaging.operation.name", operation.to_owned());
    span.set_attribute("messaging.destination.name", queue.to_owned());
}

/// The request of that span has failed.
pub(crate) fn not_sent(span: &Span, error: &Error) {
    span.set_status(Status::error(error.to_string()));
}

/// Adds the context of the current span to headers of a job. What does not fit into `room` bytes is left out: it never makes a job fail.
pub(crate) fn inject(headers: &mut Vec<(String, String)>, room: usize) {
    let context = Span::current().context();
    if !context.span().span_context().is_valid() {
        return;
    }
    let own = headers.len();
    get_text_map_propagator(|it| it.inject_context(&context, &mut Headers(headers)));
    let added = headers[own..]
        .iter()
        .map(|(key, value)| key.len() + value.len());
    if added.sum::<usize>() > room {
        headers.truncate(own);
    }
}

/// The span of an attempt: a part of the trace in which its job was enqueued.
pub(crate) fn processing(
    attempt: &Attempt,
    headers: &[(String, String)],
    relation: TraceRelation,
) -> Span {
    let queue = attempt.queue.as_str();
    let span = info_span!(
        "job",
        queue,
        name = attempt.name,
        id = %attempt.id,
        attempt = attempt.number,
        fence = attempt.fence.get(),
        otel.name = %format_args!("process {queue}"),
        otel.kind = "consumer",
    );
    about(&span, "process", &attempt.name, queue);
    span.set_attribute("messaging.message.id", attempt.id.to_string());
    let carried = get_text_map_propagator(|it| {
        it.extract_with_context(&OtelContext::new(), &Carried(headers))
    });
    let origin = carried.span().span_context().clone();
    if origin.is_valid() && relation == TraceRelation::Child {
        // It fails only for a span that has been started, and this one has not.
        let _ = span.set_parent(carried);
    } else if origin.is_valid() {
        span.add_link(origin);
    }
    span
}

/// How an attempt ended, for its span.
pub(crate) fn ended(span: &Span, outcome: &Outcome) {
    span.set_attribute("oxcart.outcome", outcome.as_str());
    let error = match outcome {
        Outcome::Retry { entry, .. } | Outcome::Dead { entry, .. } => entry.error.clone(),
        _ => return,
    };
    span.set_status(Status::error(error));
}
