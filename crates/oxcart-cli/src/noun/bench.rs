//! A small load on a queue of its own: how fast this Redis is, seen from here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use clap::{Args, value_parser};
use oxcart::{Failure, Job, Queue, QueueSettings, Retention, State, Worker};
use serde::{Deserialize, Serialize};

use crate::session::Session;
use crate::term::interrupt::Interrupt;
use crate::term::look::Tint;
use crate::term::progress::Progress;
use crate::trouble::{Exit, Trouble};

/// Jobs that are enqueued at a time.
const CHUNK: u64 = 5_000;
/// How often it is looked whether all jobs have ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// It uses a queue of its own, which it deletes at its end. What else uses this Redis is slower meanwhile.
#[derive(Args)]
pub(crate) struct Bench {
    /// How many jobs
    #[arg(long, short = 'n', value_name = "JOBS", default_value_t = 20_000, value_parser = value_parser!(u64).range(1..=1_000_000))]
    jobs: u64,
    /// How many run at a time
    #[arg(long, value_name = "JOBS", default_value_t = 100, value_parser = value_parser!(u64).range(1..=10_000))]
    concurrency: u64,
    /// The size of a payload
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = value_parser!(u64).range(0..=100_000))]
    payload: u64,
}

#[derive(Serialize, Deserialize, Clone)]
struct Load {
    text: String,
}

impl Job for Load {
    const NAME: &'static str = "bench";
    type Output = ();
}

async fn run_one(_: Load, ended: State<Arc<AtomicU64>>) -> Result<(), Failure> {
    ended.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// See `schema/bench.json`.
#[derive(Serialize)]
struct View {
    jobs: u64,
    concurrency: u64,
    payload_bytes: u64,
    enqueued_per_second: f64,
    processed_per_second: f64,
}

pub(crate) async fn run(bench: Bench, session: &mut Session) -> Result<(), Trouble> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let number = now.map_or(0, |now| now.as_micros());
    let name = format!("oxcart-bench-{}-{number}", std::process::id());
    let queue = session.oxcart.queue(&name)?;
    let measured = measure(&bench, &queue).await;
    // Whatever happened.
    let deleted = queue.delete().with_jobs().await;
    let view = measured?;
    deleted?;
    let out = &mut session.out;
    if out.json {
        return out.json(&view);
    }
    let rate = |rate: f64| format!("{} jobs a second", out.count(rate as u64));
    let (enqueued, processed) = (
        rate(view.enqueued_per_second),
        rate(view.processed_per_second),
    );
    let title = format!(
        "{} jobs of {} bytes, {} at a time",
        out.count(view.jobs),
        view.payload_bytes,
        view.concurrency
    );
    let title = out.paint(Tint::Strong, title);
    out.line(title)?;
    out.fact("enqueued", enqueued)?;
    out.fact("processed", processed)
}

async fn measure(bench: &Bench, queue: &Queue) -> Result<View, Trouble> {
    let interrupt = Interrupt::listen();
    let enqueued = enqueue(bench, queue, &interrupt).await?;
    let processed = process(bench, queue, &interrupt).await?;
    let rate = |took: Duration| bench.jobs as f64 / took.as_secs_f64().max(1e-6);
    Ok(View {
        jobs: bench.jobs,
        concurrency: bench.concurrency,
        payload_bytes: bench.payload,
        enqueued_per_second: rate(enqueued),
        processed_per_second: rate(processed),
    })
}

fn interrupted() -> Trouble {
    Trouble::new(
        Exit::Interrupted,
        "interrupted; the queue of the bench was deleted",
    )
}

async fn enqueue(bench: &Bench, queue: &Queue, interrupt: &Interrupt) -> Result<Duration, Trouble> {
    let load = Load {
        text: "x".repeat(bench.payload as usize),
    };
    let mut progress = Progress::new("enqueueing", bench.jobs);
    let (began, mut left) = (Instant::now(), bench.jobs);
    while left > 0 {
        if interrupt.is_pressed() {
            return Err(interrupted());
        }
        let chunk = left.min(CHUNK);
        let jobs = std::iter::repeat_n(load.clone(), chunk as usize);
        queue.enqueue_many(jobs).await?;
        progress.advance(chunk);
        left -= chunk;
    }
    Ok(began.elapsed())
}

async fn process(bench: &Bench, queue: &Queue, interrupt: &Interrupt) -> Result<Duration, Trouble> {
    let ended = Arc::new(AtomicU64::new(0));
    let worker = Worker::builder(queue)
        .concurrency(bench.concurrency as usize)
        .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing))
        .state(Arc::clone(&ended))
        .handle(run_one)
        .build()?;
    let mut progress = Progress::new("processing", bench.jobs);
    let mut took = None;
    let began = Instant::now();
    let all_ended = async {
        let mut told = 0;
        while told < bench.jobs && !interrupt.is_pressed() {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = ended.load(Ordering::Relaxed);
            progress.advance(now.saturating_sub(told));
            told = now;
        }
        took = (told >= bench.jobs).then(|| began.elapsed());
    };
    worker.run_until(all_ended).await?;
    took.ok_or_else(interrupted)
}
