//! A database, a Redis, jobs that are written down in a ledger on another server, and transactions that enqueue them.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use oxcart::{Failure, Job, Oxcart, Queue, QueueSettings, Retention, State, Worker};
use oxcart_postgres::{Outbox, Relay, migrate};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Server, database, eventually_async};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One that belongs to a key and has a number in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) key: i32,
    pub(crate) number: i64,
}

impl Job for Entry {
    const NAME: &'static str = "entry";
    type Output = ();
}

/// What was done, in the order in which it was done: on a server that nobody kills.
#[derive(Clone)]
pub(crate) struct Ledger(PgPool);

impl Ledger {
    pub(crate) async fn new() -> Self {
        let pool = database().await.pool().await;
        let table =
            "CREATE TABLE done (id int8 GENERATED ALWAYS AS IDENTITY, key int4, number int8)";
        sqlx::query(table).execute(&pool).await.expect("a table");
        Self(pool)
    }

    pub(crate) async fn count(&self) -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM done");
        count.fetch_one(&self.0).await.expect("a count")
    }

    pub(crate) async fn entries(&self) -> Vec<(i32, i64)> {
        let entries = sqlx::query_as("SELECT key, number FROM done ORDER BY id");
        entries.fetch_all(&self.0).await.expect("a list")
    }

    /// Each of these is there, once, and those of a key in the order of their numbers.
    pub(crate) async fn assert_is(&self, committed: &[(i32, i64)]) {
        let done = self.entries().await;
        let set: BTreeSet<_> = done.iter().copied().collect();
        let expected: BTreeSet<_> = committed.iter().copied().collect();
        let lost: Vec<_> = expected.difference(&set).take(10).collect();
        let strange: Vec<_> = set.difference(&expected).take(10).collect();
        assert!(
            lost.is_empty() && strange.is_empty(),
            "lost {lost:?}, never committed {strange:?}"
        );
        assert_eq!(
            done.len(),
            set.len(),
            "{} were done twice",
            done.len() - set.len()
        );
        let mut last = HashMap::new();
        for (key, number) in done {
            let before = last.insert(key, number);
            assert!(
                before < Some(number),
                "of key {key}, {before:?} came before {number}"
            );
        }
    }
}

async fn write_down(entry: Entry, ledger: State<Ledger>) -> Result<(), Failure> {
    sqlx::query("INSERT INTO done (key, number) VALUES ($1, $2)")
        .bind(entry.key)
        .bind(entry.number)
        .execute(&ledger.0)
        .await
        .map_err(|error| Failure::retry(error.to_string()))?;
    Ok(())
}

/// Something that runs until it is told to stop.
pub(crate) struct Running<E> {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), E>>,
}

impl<E: std::fmt::Debug> Running<E> {
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.expect("no panic").expect("a clean end");
    }
}

/// A worker that forgets its jobs at once.
pub(crate) fn work(queue: &Queue, ledger: &Ledger) -> Running<oxcart::Error> {
    let settings = QueueSettings::new().keep_completed(Retention::Nothing);
    let worker = Worker::builder(queue)
        .concurrency(50)
        .state(ledger.clone())
        .handle(write_down)
        .queue_settings(settings)
        .build()
        .expect("a worker");
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(worker.run_until(async {
        let _ = stopped.await;
    }));
    Running { stop, task }
}

pub(crate) fn relay(pool: &PgPool, oxcart: &Oxcart) -> Running<oxcart_postgres::Error> {
    run(Relay::new(pool.clone(), oxcart.clone()))
}

pub(crate) fn run(relay: Relay) -> Running<oxcart_postgres::Error> {
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(relay.run_until(async {
        let _ = stopped.await;
    }));
    Running { stop, task }
}

/// A database with tables, a Redis, and a queue.
pub(crate) struct Rig {
    pub(crate) pool: PgPool,
    pub(crate) redis: Server,
    pub(crate) oxcart: Oxcart,
    pub(crate) queue: Queue,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(database().await.pool().await).await
    }

    pub(crate) async fn with(pool: PgPool) -> Self {
        migrate(&pool).await.expect("migrated");
        make_business(&pool).await;
        let redis = Server::options().aof_always().start();
        let oxcart = Oxcart::connect(&redis.url()).await.expect("connected");
        let queue = oxcart.queue("work").expect("a valid name");
        Self {
            pool,
            redis,
            oxcart,
            queue,
        }
    }

    /// Nothing waits in the outbox, and nothing is on its way.
    pub(crate) async fn is_sent(&self) -> bool {
        let Ok(mut connection) = self.pool.acquire().await else {
            return false;
        };
        let status = Outbox::new().status(&mut connection).await;
        status.is_ok_and(|status| {
            let mut streams = status.streams.iter();
            streams.all(|stream| stream.waiting == 0 && stream.under_way == 0)
        })
    }

    pub(crate) async fn until_sent(&self) {
        eventually_async(PATIENCE, async || self.is_sent().await).await;
    }

    pub(crate) async fn until_done(&self, ledger: &Ledger, number: usize) {
        let number = i64::try_from(number).expect("a small number");
        eventually_async(PATIENCE, async || ledger.count().await >= number).await;
    }
}

/// The business of the application: keys with a number that counts, and what was entered.
async fn make_business(pool: &PgPool) {
    sqlx::raw_sql(
        "CREATE TABLE counter (key int4 PRIMARY KEY, last int8 NOT NULL DEFAULT 0);
         CREATE TABLE entry (key int4, number int8, PRIMARY KEY (key, number));
         INSERT INTO counter (key) SELECT generate_series(0, 19)",
    )
    .execute(pool)
    .await
    .expect("tables");
}

/// One transaction: the next number of a key, an entry, and its job.
pub(crate) async fn enter(
    pool: &PgPool,
    queue: &Queue,
    key: i32,
    commits: bool,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut tx = pool.begin().await?;
    let number: i64 =
        sqlx::query_scalar("UPDATE counter SET last = last + 1 WHERE key = $1 RETURNING last")
            .bind(key)
            .fetch_one(&mut *tx)
            .await?;
    sqlx::query("INSERT INTO entry VALUES ($1, $2)")
        .bind(key)
        .bind(number)
        .execute(&mut *tx)
        .await?;
    let request = Outbox::new().enqueue(&mut tx, queue, Entry { key, number });
    request.ordered_by(format!("key-{key}")).await?;
    match commits {
        true => tx.commit().await?,
        false => tx.rollback().await?,
    }
    Ok(())
}

pub(crate) async fn committed(pool: &PgPool) -> Vec<(i32, i64)> {
    let entries = sqlx::query_as("SELECT key, number FROM entry");
    entries.fetch_all(pool).await.expect("a list")
}

/// Enters so many, from several tasks, some of which are rolled back; what fails is tried again.
pub(crate) async fn enter_many(pool: &PgPool, queue: &Queue, entries: usize) {
    const TASKS: usize = 4;
    let tasks = (0..TASKS).map(|_| {
        let (pool, queue) = (pool.clone(), queue.clone());
        tokio::spawn(async move {
            for _ in 0..entries / TASKS {
                loop {
                    let commits = fastrand::u8(..10) > 0;
                    let entered = enter(&pool, &queue, fastrand::i32(0..20), commits).await;
                    if entered.is_ok() && commits {
                        break;
                    }
                    if entered.is_err() {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
}
