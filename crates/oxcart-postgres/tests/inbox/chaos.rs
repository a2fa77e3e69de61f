//! Worker processes that add to balances, and are killed and frozen, on a way that loses answers: the sum is exact.

use std::time::{Duration, Instant};

use oxcart::{
    Backoff, Context, Failure, Job, Oxcart, Queue, QueueSettings, State, Worker, WorkerBuilder,
};
use oxcart_postgres::{InTransaction, Inbox, migrate};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool};

use crate::lossy::{Lossy, Target};
use crate::support::{
    Process, Server, child_of_test, database, eventually_async, is_full, spawn_self,
};

const QUEUE: &str = "bank";
const ACCOUNTS: i64 = 50;
const LEASE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(120);

/// It adds within `once`, or completes itself with its transaction.
#[derive(Serialize, Deserialize)]
struct Deposit {
    account: i64,
    cents: i64,
    way: Way,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq)]
enum Way {
    Once,
    Completes,
    /// Without any of this.
    Plain,
}

impl Job for Deposit {
    const NAME: &'static str = "deposit";
    type Output = i64;
}

async fn deposit(job: Deposit, context: Context, pool: State<PgPool>) -> Result<i64, Failure> {
    sqlx::query("INSERT INTO attempt (job) VALUES ($1)")
        .bind(context.id().as_str())
        .execute(&*pool)
        .await?;
    let mut tx = pool.begin().await?;
    let balance = match job.way {
        Way::Once => {
            context
                .once(&mut tx, async |tx| add(tx, &job).await)
                .await?
        }
        Way::Plain => add(&mut tx, &job).await?,
        Way::Completes => {
            let balance = add(&mut tx, &job).await?;
            context.complete_in(&mut tx, &balance).await?;
            balance
        }
    };
    tx.commit().await?;
    if std::env::var_os("DIES_AFTER_COMMIT").is_some() {
        std::process::abort();
    }
    // The effect is there, and nobody knows of it yet.
    pause().await;
    Ok(balance)
}

async fn add(tx: &mut PgConnection, job: &Deposit) -> Result<i64, Failure> {
    pause().await;
    let add = "UPDATE account SET cents = cents + $1 WHERE id = $2 RETURNING cents";
    let balance = sqlx::query_scalar(add).bind(job.cents).bind(job.account);
    let balance = balance.fetch_one(tx).await?;
    pause().await;
    Ok(balance)
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(1..30))).await;
}

fn builder(queue: &Queue, pool: &PgPool) -> WorkerBuilder {
    Worker::builder(queue)
        .lease(LEASE)
        .state(pool.clone())
        .queue_settings(QueueSettings::new().max_stalls(100))
        .handle(Inbox::new(pool).wrap(deposit))
}

/// A worker, in a process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_process() {
    if !child_of_test() {
        return;
    }
    let told = |name| std::env::var(name).expect("the test has set it");
    let pool = PgPoolOptions::new()
        .max_connections(12)
        .connect_lazy(&told("POSTGRES_URL"))
        .expect("a URL");
    let oxcart = loop {
        // The way to Redis may lose the answers to this as well.
        match Oxcart::connect(&told("REDIS_URL")).await {
            Ok(oxcart) => break oxcart,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let queue = oxcart.queue(QUEUE).expect("a name");
    let worker = builder(&queue, &pool).build().expect("a worker");
    let _ = worker.run_until(std::future::pending::<()>()).await;
}

struct Scene {
    _redis: Server,
    queue: Queue,
    pool: PgPool,
    to_postgres: Lossy,
    to_redis: Lossy,
    envs: Vec<(&'static str, String)>,
}

impl Scene {
    async fn new() -> Self {
        let database = database().await;
        let pool = database.pool().await;
        migrate(&pool).await.expect("migrated");
        let tables = "CREATE TABLE account (id bigint PRIMARY KEY, cents bigint NOT NULL); \
            CREATE TABLE attempt (job text NOT NULL)";
        sqlx::raw_sql(tables).execute(&pool).await.expect("made");
        let accounts = "INSERT INTO account SELECT n, 0 FROM generate_series(0, $1 - 1) n";
        let accounts = sqlx::query(accounts).bind(ACCOUNTS).execute(&pool).await;
        accounts.expect("made");

        let redis = Server::start();
        let oxcart = Oxcart::connect(&redis.url()).await.expect("it runs");
        let socket = database.options.get_host().to_owned() + "/.s.PGSQL.5432";
        let to_postgres = Lossy::start(Target::Socket(socket.into())).await;
        let to_redis = Lossy::start(Target::Address(redis.tcp_addr())).await;
        let name = database.options.get_database().expect("it has a name");
        let postgres_url = format!("postgres://postgres@127.0.0.1:{}/{name}", to_postgres.port);
        let redis_url = format!("redis://127.0.0.1:{}/", to_redis.port);
        Self {
            queue: oxcart.queue(QUEUE).expect("a name"),
            _redis: redis,
            pool,
            to_postgres,
            to_redis,
            envs: vec![("POSTGRES_URL", postgres_url), ("REDIS_URL", redis_url)],
        }
    }

    fn worker(&self, more: &[(&str, &str)]) -> Process {
        let envs = self
            .envs
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        let envs: Vec<_> = envs.chain(more.iter().copied()).collect();
        spawn_self("chaos::worker_process", &envs)
    }

    async fn enqueue(&self, jobs: impl Iterator<Item = Deposit>) {
        let jobs = jobs.map(|job| {
            self.queue
                .enqueue(job)
                .attempts(1_000)
                .backoff(Backoff::fixed(Duration::from_millis(100)))
        });
        let enqueued = self.queue.enqueue_many(jobs).await;
        enqueued.expect("enqueued");
    }

    async fn number(&self, query: &str) -> i64 {
        let number = sqlx::query_scalar(query).fetch_one(&self.pool).await;
        number.expect("a number")
    }

    async fn sum(&self) -> i64 {
        self.number("SELECT sum(cents)::bigint FROM account").await
    }

    async fn attempts(&self) -> i64 {
        self.number("SELECT count(*) FROM attempt").await
    }

    async fn left(&self) -> u64 {
        self.queue.counts().await.expect("counted").left()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sum_is_exact_while_workers_are_killed_and_frozen_and_answers_are_lost() {
    let jobs: i64 = if is_full() { 100_000 } else { 2_000 };
    let scene = Scene::new().await;
    let made = (0..jobs).map(|n| Deposit {
        account: n % ACCOUNTS,
        cents: 1 + n % 7,
        way: if n % 2 == 0 {
            Way::Once
        } else {
            Way::Completes
        },
    });
    scene.enqueue(made).await;
    scene.to_postgres.lose_every(211);
    scene.to_redis.lose_every(97);

    let mut workers: Vec<Process> = (0..3).map(|_| scene.worker(&[])).collect();
    let mut frozen: Option<(usize, Instant)> = None;
    let (mut kills, mut freezes) = (0, 0);
    let patience = if is_full() { 60 * PATIENCE } else { PATIENCE };
    let began = Instant::now();
    while scene.left().await > 0 {
        assert!(
            began.elapsed() < patience,
            "{} jobs are left",
            scene.left().await
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
        // Each is frozen for longer than its lease, so another worker gets its jobs.
        if let Some((at, _)) = frozen.take_if(|(_, since)| since.elapsed() > 4 * LEASE) {
            workers[at].resume();
        }
        let at = fastrand::usize(..workers.len());
        let is_frozen = frozen.is_some_and(|(frozen, _)| frozen == at);
        // The first is a kill, however soon all is done.
        let what = if kills == 0 { 1 } else { fastrand::u8(..4) };
        match what {
            0 if frozen.is_none() => {
                workers[at].pause();
                frozen = Some((at, Instant::now()));
                freezes += 1;
            }
            1 if !is_frozen => {
                workers[at].kill();
                workers[at] = scene.worker(&[]);
                kills += 1;
            }
            _ => {}
        }
    }
    if let Some((at, _)) = frozen {
        // What it had under way when it was frozen must not count now.
        workers[at].resume();
        tokio::time::sleep(2 * LEASE).await;
    }
    drop(workers);
    let lost = (scene.to_postgres.lost(), scene.to_redis.lost());
    let attempts = scene.attempts().await;
    println!(
        "{jobs} jobs, {attempts} attempts, {kills} kills, {freezes} freezes, {lost:?} answers lost, {:?}",
        began.elapsed()
    );
    let expected: i64 = (0..jobs).map(|n| 1 + n % 7).sum();
    assert_eq!(
        scene.sum().await,
        expected,
        "of {jobs} jobs in {attempts} attempts"
    );
    assert!(attempts > jobs, "nothing went wrong");
    assert!(
        kills > 0 && lost.0 > 0 && lost.1 > 0,
        "{kills} kills, {lost:?} lost"
    );
    assert_eq!(scene.queue.counts().await.expect("counted").dead, 0);
}

/// The test can fail: without the inbox it doubles.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_right_after_its_commit_doubles_nothing_but_plain_work() {
    for (way, expected) in [(Way::Plain, 200), (Way::Once, 100), (Way::Completes, 100)] {
        let scene = Scene::new().await;
        let job = Deposit {
            account: 1,
            cents: 100,
            way,
        };
        scene.enqueue([job].into_iter()).await;
        let mut dies = scene.worker(&[("DIES_AFTER_COMMIT", "1")]);
        assert!(!dies.wait(PATIENCE).success());
        assert_eq!((scene.sum().await, scene.left().await), (100, 1));
        let _lives = scene.worker(&[]);
        eventually_async(PATIENCE, async || scene.left().await == 0).await;
        assert_eq!(scene.sum().await, expected);
        let calls = scene.attempts().await;
        assert_eq!(calls, if way == Way::Completes { 1 } else { 2 });
    }
}
