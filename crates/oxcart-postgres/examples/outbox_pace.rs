//! How fast the outbox is, and how large its tables get: `cargo run --release -p oxcart-postgres --example outbox_pace -- [rows] [rows for the tables]`.
//!
//! It starts a PostgreSQL and a Redis of its own, which write to disk as they do by default.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oxcart::{Failure, Job, Oxcart, Queue, QueueSettings, Retention, State, Worker};
use oxcart_postgres::{Outbox, Relay, migrate};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::oneshot;
use tokio::time::sleep;

#[path = "../tests/support/mod.rs"]
mod support;

type Done<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Serialize, Deserialize)]
struct Entry {
    number: usize,
    text: String,
}

impl Job for Entry {
    const NAME: &'static str = "entry";
    type Output = ();
}

fn entry(number: usize) -> Entry {
    let text = "x".repeat(100);
    Entry { number, text }
}

/// When each job began.
type Starts = Arc<Mutex<Vec<Option<Instant>>>>;

async fn note(entry: Entry, starts: State<Starts>) -> Result<(), Failure> {
    let mut starts = starts.lock().map_err(|_| Failure::dead("a panic"))?;
    if let Some(start) = starts.get_mut(entry.number) {
        *start = Some(Instant::now());
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Done {
    let mut args = std::env::args().skip(1).map(|number| number.parse());
    let rows = args.next().transpose()?.unwrap_or(200_000);
    let through = args.next().transpose()?.unwrap_or(0);
    let server = support::Postgres::start(&["max_wal_size=4GB"]);
    let pool = server.database().await.pool().await;
    migrate(&pool).await?;
    let redis = support::Server::start();
    let oxcart = Oxcart::connect(&redis.url()).await?;
    costs(&pool, &oxcart.queue("costs")?).await?;
    pace(&pool, &oxcart, rows).await?;
    let latency = through_relay(&pool, &oxcart).await?;
    println!(
        "commit to start, relay:                    {}",
        shown(latency)
    );
    let latency = by_hand(&pool, &oxcart).await?;
    println!(
        "commit to start, hand-written, polling 1 s: {}",
        shown(latency)
    );
    if through > 0 {
        sizes(&pool, &oxcart, through).await?;
    }
    Ok(())
}

/// What one statement of the outbox adds to a transaction of one insert.
async fn costs(pool: &PgPool, queue: &Queue) -> Done {
    const ROUNDS: u32 = 500;
    sqlx::raw_sql("CREATE TABLE business (number int8)")
        .execute(pool)
        .await?;
    for (what, enqueues, notifies) in [
        ("alone", false, true),
        ("with a job", true, true),
        ("with a job, not notified", true, false),
    ] {
        let mut connection = pool.acquire().await?;
        let setting = if notifies {
            "SET oxcart.notify = on"
        } else {
            "SET oxcart.notify = off"
        };
        sqlx::raw_sql(setting).execute(&mut *connection).await?;
        let began = Instant::now();
        for number in 0..ROUNDS {
            let mut tx = sqlx::Connection::begin(&mut *connection).await?;
            sqlx::query("INSERT INTO business VALUES ($1)")
                .bind(i64::from(number))
                .execute(&mut *tx)
                .await?;
            if enqueues {
                Outbox::new().enqueue(&mut tx, queue, entry(0)).await?;
            }
            tx.commit().await?;
        }
        println!(
            "a transaction of one insert, {what}: {:?}",
            began.elapsed() / ROUNDS
        );
    }
    sqlx::raw_sql("SET oxcart.notify = on; TRUNCATE oxcart.outbox")
        .execute(pool)
        .await?;
    Ok(())
}

async fn fill(pool: &PgPool, queue: &Queue, rows: usize) -> Done {
    let mut connection = pool.acquire().await?;
    for part in 0..rows / 1_000 {
        let jobs = (0..1_000).map(|number| entry(part * 1_000 + number));
        Outbox::new()
            .enqueue_many(&mut connection, queue, jobs)
            .await?;
    }
    Ok(())
}

async fn until_empty(pool: &PgPool) -> Done {
    loop {
        let left: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM oxcart.outbox)")
            .fetch_one(pool)
            .await?;
        if !left {
            return Ok(());
        }
        sleep(Duration::from_millis(5)).await;
    }
}

struct Running {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Done>,
}

impl Running {
    fn relay(relay: Relay) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            relay.run_until(async { drop(stopped.await) }).await?;
            Ok(())
        });
        Self { stop, task }
    }

    fn worker(worker: Worker) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            worker.run_until(async { drop(stopped.await) }).await?;
            Ok(())
        });
        Self { stop, task }
    }

    async fn stop(self) -> Done {
        let _ = self.stop.send(());
        self.task.await?
    }
}

/// Rows that wait, through one relay; nobody works on the jobs.
async fn pace(pool: &PgPool, oxcart: &Oxcart, rows: usize) -> Done {
    let queue = oxcart.queue("pace")?;
    let began = Instant::now();
    fill(pool, &queue, rows).await?;
    println!("{rows} rows written in {:?}", began.elapsed());
    let began = Instant::now();
    let relay = Running::relay(Relay::new(pool.clone(), oxcart.clone()));
    until_empty(pool).await?;
    while queue.counts().await?.left() < rows as u64 {
        sleep(Duration::from_millis(2)).await;
    }
    let took = began.elapsed();
    println!(
        "{rows} rows through one relay in {took:?}: {:.0}/s",
        rows as f64 / took.as_secs_f64()
    );
    relay.stop().await
}

const COMMITS: usize = 400;

fn worker(queue: &Queue) -> Done<(Starts, Running)> {
    let starts: Starts = Arc::new(Mutex::new(vec![None; COMMITS]));
    let settings = QueueSettings::new().keep_completed(Retention::Nothing);
    let worker = Worker::builder(queue)
        .concurrency(200)
        .state(Arc::clone(&starts))
        .handle(note);
    let worker = worker.queue_settings(settings).build()?;
    Ok((starts, Running::worker(worker)))
}

async fn latencies(starts: &Starts, commits: &[Instant]) -> Vec<Duration> {
    loop {
        let seen = starts
            .lock()
            .map(|starts| starts.clone())
            .unwrap_or_default();
        let seen: Option<Vec<Instant>> = seen.into_iter().collect();
        if let Some(seen) = seen {
            let pairs = seen.iter().zip(commits);
            return pairs
                .map(|(start, commit)| start.saturating_duration_since(*commit))
                .collect();
        }
        sleep(Duration::from_millis(10)).await;
    }
}

async fn through_relay(pool: &PgPool, oxcart: &Oxcart) -> Done<Vec<Duration>> {
    let queue = oxcart.queue("latency")?;
    let (starts, worker) = worker(&queue)?;
    let relay = Running::relay(Relay::new(pool.clone(), oxcart.clone()));
    sleep(Duration::from_secs(1)).await;
    let mut commits = Vec::new();
    for number in 0..COMMITS {
        let mut tx = pool.begin().await?;
        Outbox::new()
            .enqueue(&mut tx, &queue, entry(number))
            .await?;
        tx.commit().await?;
        commits.push(Instant::now());
        sleep(Duration::from_millis(5)).await;
    }
    let latencies = latencies(&starts, &commits).await;
    relay.stop().await?;
    worker.stop().await?;
    Ok(latencies)
}

/// As it is often written: a table, and a loop that looks each second.
async fn by_hand(pool: &PgPool, oxcart: &Oxcart) -> Done<Vec<Duration>> {
    let queue = oxcart.queue("by-hand")?;
    let (starts, worker) = worker(&queue)?;
    sqlx::raw_sql("CREATE TABLE by_hand (id bigserial PRIMARY KEY, number int8)")
        .execute(pool)
        .await?;
    let polling = tokio::spawn({
        let (pool, queue) = (pool.clone(), queue.clone());
        async move {
            loop {
                let mut tx = pool.begin().await?;
                let rows = "DELETE FROM by_hand WHERE id IN (SELECT id FROM by_hand ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED) RETURNING number";
                let rows: Vec<i64> = sqlx::query_scalar(rows).fetch_all(&mut *tx).await?;
                let jobs = rows
                    .into_iter()
                    .map(|number| entry(usize::try_from(number).unwrap_or(0)));
                queue.enqueue_many(jobs).await?;
                tx.commit().await?;
                sleep(Duration::from_secs(1)).await;
            }
            #[allow(unreachable_code, reason = "the type of the loop")]
            Done::Ok(())
        }
    });
    let mut commits = Vec::new();
    for number in 0..COMMITS {
        let mut tx = pool.begin().await?;
        let insert =
            sqlx::query("INSERT INTO by_hand (number) VALUES ($1)").bind(i64::try_from(number)?);
        insert.execute(&mut *tx).await?;
        tx.commit().await?;
        commits.push(Instant::now());
        sleep(Duration::from_millis(5)).await;
    }
    let latencies = latencies(&starts, &commits).await;
    polling.abort();
    worker.stop().await?;
    Ok(latencies)
}

fn shown(mut latencies: Vec<Duration>) -> String {
    latencies.sort();
    let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize];
    format!("p50 {:?}, p99 {:?}", at(0.5), at(0.99))
}

/// Many rows go through, are kept for five seconds, and their jobs run; how large the tables are meanwhile.
async fn sizes(pool: &PgPool, oxcart: &Oxcart, rows: usize) -> Done {
    let queue = oxcart.queue("sizes")?;
    let keep = Duration::from_secs(5);
    // Workers take the jobs, so that Redis need not hold them all.
    let (_, worker) = worker(&queue)?;
    let relay = Running::relay(Relay::new(pool.clone(), oxcart.clone()).keep(keep));
    let mut largest = (0, 0);
    let mut written = 0;
    let began = Instant::now();
    while written < rows {
        fill(pool, &queue, 20_000).await?;
        written += 20_000;
        let size = "SELECT pg_total_relation_size('oxcart.outbox')::int8, (SELECT sum(pg_total_relation_size(inhrelid))::int8 FROM pg_inherits WHERE inhparent = 'oxcart.outbox_sent'::regclass)";
        let (outbox, sent): (i64, i64) = sqlx::query_as(size).fetch_one(pool).await?;
        largest = (largest.0.max(outbox), largest.1.max(sent));
        if written % 200_000 == 0 {
            println!(
                "{written} rows in {:?}: outbox {} MiB, sent {} MiB",
                began.elapsed(),
                outbox >> 20,
                sent >> 20
            );
        }
    }
    until_empty(pool).await?;
    println!(
        "at most: outbox {} MiB, sent {} MiB",
        largest.0 >> 20,
        largest.1 >> 20
    );
    relay.stop().await?;
    worker.stop().await
}
