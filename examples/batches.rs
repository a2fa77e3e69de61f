//! Batches: a handler that takes up to 100 jobs at once, because its database takes 100 rows in one statement; beside it the
//! same with one row at a time. Each row has an outcome of its own: some are refused, and no other row suffers. At last each batch has the
//! rows of one site alone, because each site has a table of its own.
//!
//! `cargo run --example batches`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oxcart::{Batch, Batched, Failure, Job, Oxcart, Queue, State, Worker, WorkerBuilder};
use serde::{Deserialize, Serialize};
use tokio::sync::{AcquireError, Semaphore};
use tokio_util::sync::CancellationToken;

const READINGS: u32 = 2_000;
const BROKEN: u32 = 3;

/// What a sensor measured. Five hundred sensors are one site.
#[derive(Serialize, Deserialize)]
struct Reading {
    sensor: u32,
    celsius: f64,
}

impl Job for Reading {
    const NAME: &'static str = "reading";
    type Output = ();

    fn group(&self) -> Option<String> {
        Some(format!("site-{}", self.sensor / 500))
    }
}

/// Four connections. A statement takes a millisecond, however many rows it has.
struct Database {
    connections: Semaphore,
    statements: AtomicUsize,
}

impl Database {
    fn new() -> Self {
        Self {
            connections: Semaphore::new(4),
            statements: AtomicUsize::new(0),
        }
    }

    /// Which rows are refused, and why.
    async fn insert(&self, rows: &[&Reading]) -> Result<Vec<Result<(), String>>, AcquireError> {
        let _connection = self.connections.acquire().await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.statements.fetch_add(1, Ordering::Relaxed);
        let checked = rows.iter().map(|row| match row.celsius {
            cold if cold < -273.15 => Err(format!("sensor {}: {cold} °C cannot be", row.sensor)),
            _ => Ok(()),
        });
        Ok(checked.collect())
    }
}

async fn insert_one(reading: Reading, database: State<Arc<Database>>) -> Result<(), Failure> {
    let inserted = database.insert(&[&reading]).await?;
    inserted
        .into_iter()
        .try_for_each(|row| row.map_err(Failure::dead))
}

async fn insert_all(
    readings: Vec<Batched<Reading>>,
    database: State<Arc<Database>>,
) -> Result<(), Failure> {
    let rows: Vec<_> = readings.iter().map(|reading| &reading.job).collect();
    let inserted = database.insert(&rows).await?; // an error here is one of every row
    for (reading, row) in readings.into_iter().zip(inserted) {
        reading.end(row.map_err(Failure::dead)); // and this is one of this row alone
    }
    Ok(())
}

async fn insert_by_site(
    readings: Vec<Batched<Reading>>,
    database: State<Arc<Database>>,
) -> Result<(), Failure> {
    let site = readings[0].context().group().map(str::to_owned);
    let is_of_site = |reading: &Batched<Reading>| reading.context().group() == site.as_deref();
    if !readings.iter().all(is_of_site) {
        return Err(Failure::dead("rows of two sites in one batch"));
    }
    insert_all(readings, database).await
}

/// Rows per second, and what became of them.
async fn measure(
    queue: &Queue,
    how: &str,
    handled: impl FnOnce(WorkerBuilder) -> WorkerBuilder,
) -> anyhow::Result<f64> {
    let reading = |sensor| Reading {
        sensor,
        celsius: if sensor < BROKEN { -300.0 } else { 20.0 },
    };
    queue.enqueue_many((0..READINGS).map(reading)).await?;
    let database = Arc::new(Database::new());
    let builder = Worker::builder(queue).concurrency(200);
    let worker = handled(builder.state(Arc::clone(&database))).build()?;
    let stop = CancellationToken::new();
    let began = Instant::now();
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));
    while queue.counts().await?.left() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let per_second = f64::from(READINGS) / began.elapsed().as_secs_f64();
    stop.cancel();
    running.await??;
    let counts = queue.counts().await?;
    let (completed, dead) = (counts.totals.completed, counts.dead);
    let statements = database.statements.load(Ordering::Relaxed);
    println!(
        "{how}: {per_second:.0} rows/s in {statements} statements; {completed} completed, {dead} dead"
    );
    queue.delete().with_jobs().await?;
    Ok(per_second)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-batches")
        .connect(&url)
        .await?;
    let readings = oxcart.queue("readings")?;
    let batch = Batch::up_to(100).within(Duration::from_millis(50));
    let alone = measure(&readings, "one at a time", |it| it.handle(insert_one)).await?;
    let together = measure(&readings, "in batches", |it| {
        it.handle_batch(batch, insert_all)
    })
    .await?;
    let by_site = batch.by_group();
    measure(&readings, "by site", |it| {
        it.handle_batch(by_site, insert_by_site)
    })
    .await?;
    println!("{:.0} times as many rows", together / alone);
    Ok(())
}
