//! Which traces the spans of a worker belong to (feature `opentelemetry`).

use crate::propagation::TraceRelation;
use crate::worker::builder::WorkerBuilder;

/// Only with the feature `opentelemetry`.
impl WorkerBuilder {
    /// How the spans of this worker's attempts belong to the spans in which their jobs were enqueued. Default: linked
    /// ([`TraceRelation::Link`]).
    ///
    /// The subscriber of the process needs a layer of
    /// [tracing-opentelemetry](https://docs.rs/tracing-opentelemetry), and a propagator must be installed:
    ///
    /// ```no_run
    /// # use oxcart::{TraceRelation, WorkerBuilder};
    /// # fn example(builder: WorkerBuilder) -> WorkerBuilder {
    /// use opentelemetry_sdk::propagation::TraceContextPropagator;
    ///
    /// opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    /// builder.trace_relation(TraceRelation::Child)
    /// # }
    /// ```
    pub fn trace_relation(mut self, relation: TraceRelation) -> Self {
        self.config.trace_relation = relation;
        self
    }
}
