//! What is the same for all handlers of a service.

use std::time::{Duration, Instant};

use oxcart::{Context, Failure, Next, Outcome};

const SLOW: Duration = Duration::from_secs(1);

/// Says which attempts take long.
pub(crate) async fn timed(context: Context, next: Next) -> Outcome {
    let began = Instant::now();
    let outcome = next.run(context.clone()).await;
    let took = began.elapsed();
    if took > SLOW {
        let name = &context.attempt().name;
        tracing::warn!(%name, ?took, %outcome, "an attempt took long");
    }
    outcome
}

/// Requests come from customers, who say who they are.
pub(crate) async fn only_customers(context: Context, next: Next) -> Outcome {
    match context.header("customer") {
        Some(_) => next.run(context).await,
        None => next.fail(Failure::dead("nobody knows who asks")),
    }
}
