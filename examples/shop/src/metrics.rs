//! How often each job ended in which way, and how long that took: one middleware around every handler.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oxcart::{Context, Middleware, Next, Outcome};

/// Counts attempts. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    ended: Arc<Mutex<BTreeMap<Ended, Figures>>>,
}

/// The name of the job, and how the attempt ended.
type Ended = (String, &'static str);

#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    attempts: u64,
    time: Duration,
}

impl Middleware for Metrics {
    async fn run(&self, context: Context, next: Next) -> Outcome {
        let name = context.attempt().name.clone();
        let began = Instant::now();
        let outcome = next.run(context).await;
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let figures = ended.entry((name, outcome.as_str())).or_default();
        figures.attempts += 1;
        figures.time += began.elapsed();
        outcome
    }
}

/// In the text format of Prometheus.
impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        for ((job, outcome), figures) in ended.iter() {
            let labels = format!("{{job=\"{job}\",outcome=\"{outcome}\"}}");
            writeln!(f, "shop_attempts_total{labels} {}", figures.attempts)?;
            let seconds = figures.time.as_secs_f64();
            writeln!(f, "shop_attempt_seconds_sum{labels} {seconds:.3}")?;
        }
        Ok(())
    }
}
