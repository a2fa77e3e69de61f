//! Connections that die without a word, processes that freeze, and a projector that is stopped.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oxcart_postgres::{
    ErrorKind, Expected, Projection, ProjectionError, Projector, Recorded, Subscription, migrate,
};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, oneshot};

use crate::rig::{Balances, Moved, STORE, all, append, balances, balances_of, store};
use crate::support::{Database, database};

const PATIENCE: Duration = Duration::from_secs(20);
/// Shorter than the limits are, and longer than a server that lives takes on a busy machine.
const SHORT: Duration = Duration::from_secs(2);
const SERVER: &str = ".s.PGSQL.5432";

/// A way to the server. What went through it until it falls silent hears nothing more, and is not closed.
struct Line {
    folder: TempDir,
    silences: Arc<AtomicU64>,
}

impl Line {
    fn to(database: &Database) -> Self {
        let url = database.url();
        let (_, server) = url.split_once("?host=").expect("a folder");
        let server = PathBuf::from(server).join(SERVER);
        let folder = tempfile::tempdir().expect("the system's temp folder is writable");
        let listener = UnixListener::bind(folder.path().join(SERVER)).expect("a socket");
        let silences = Arc::new(AtomicU64::new(0));
        let heard = Arc::clone(&silences);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&server).await.expect("it runs");
                let born = heard.load(Ordering::SeqCst);
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(carry(from_client, to_server, born, Arc::clone(&heard)));
                tokio::spawn(carry(from_server, to_client, born, Arc::clone(&heard)));
            }
        });
        Self { folder, silences }
    }

    /// One connection.
    async fn pool(&self, database: &Database) -> PgPool {
        let folder = self.folder.path().to_string_lossy();
        let options = database.options.clone().host(&folder);
        let pool = PgPoolOptions::new().max_connections(1);
        pool.connect_with(options).await.expect("a connection")
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    born: u64,
    silences: Arc<AtomicU64>,
) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if silences.load(Ordering::SeqCst) > born {
            // Both ends stay open.
            std::future::pending::<()>().await;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

/// The line falls silent once, in the middle of a transaction.
struct Silenced {
    silences: Arc<AtomicU64>,
    is_before: bool,
}

impl Projection for Silenced {
    const NAME: &'static str = Balances::<1>::NAME;

    async fn create(&self, tx: &mut PgConnection, table: &str) -> Result<(), ProjectionError> {
        Balances::<1>.create(tx, table).await
    }

    async fn apply(
        &self,
        tx: &mut PgConnection,
        table: &str,
        event: &Recorded,
    ) -> Result<(), ProjectionError> {
        let falls_silent = || {
            self.silences
                .compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst)
        };
        if self.is_before {
            let _ = falls_silent();
        }
        Balances::<1>.apply(tx, table, event).await?;
        let _ = falls_silent();
        Ok(())
    }
}

async fn one_event(pool: &PgPool) {
    append(pool, "a", Expected::Any, &[Moved::By(1)])
        .await
        .expect("appended");
}

#[tokio::test]
async fn a_connection_that_dies_without_a_word_is_noticed_and_closed() {
    for is_before in [false, true] {
        let database = database().await;
        let pool = database.pool().await;
        migrate(&pool).await.expect("migrated");
        one_event(&pool).await;
        let line = Line::to(&database);
        let silenced = Silenced {
            silences: Arc::clone(&line.silences),
            is_before,
        };
        let projector = Projector::new(&line.pool(&database).await, silenced);
        // Each limit is noticed by what it stops.
        let projector = match is_before {
            true => projector.apply_timeout(SHORT),
            false => projector.statement_timeout(SHORT),
        };
        let error = projector.catch_up().await.expect_err("nobody answers");
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        let names_event = error.to_string().contains("event 1 (By of `a`)");
        assert_eq!(names_event, is_before, "{error}");
        let info = STORE.projections(&pool).await.expect("read");
        assert_eq!(info[0].position, 0);
        // What the lost connection holds is free when the server notices, too.
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' \
            AND datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::query(end).execute(&pool).await.expect("ended");
        // The pool has room for one connection.
        assert_eq!(projector.catch_up().await.expect("a new connection"), 1);
        assert_eq!(balances(&pool).await, balances_of(&all(&pool, 10).await, 1));
    }
}

/// It never comes to an end, and tells where it is.
struct Stays(Arc<Notify>);

impl Projection for Stays {
    const NAME: &'static str = Balances::<1>::NAME;

    async fn create(&self, tx: &mut PgConnection, table: &str) -> Result<(), ProjectionError> {
        Balances::<1>.create(tx, table).await
    }

    async fn apply(
        &self,
        tx: &mut PgConnection,
        table: &str,
        event: &Recorded,
    ) -> Result<(), ProjectionError> {
        Balances::<1>.apply(tx, table, event).await?;
        self.0.notify_one();
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_projector_stops_in_the_middle_of_a_step_which_is_rolled_back() {
    let pool = store().await;
    one_event(&pool).await;
    let is_there = Arc::new(Notify::new());
    let projector = Projector::new(&pool, Stays(Arc::clone(&is_there)));
    let (stop, stopped) = oneshot::channel::<()>();
    let run = tokio::spawn(async move {
        let stopped = async { stopped.await.unwrap_or_default() };
        projector.run_until(stopped).await
    });
    let told = tokio::time::timeout(PATIENCE, is_there.notified()).await;
    told.expect("it is applied");
    stop.send(()).expect("it runs");
    let run = tokio::time::timeout(PATIENCE, run).await;
    run.expect("it stops").expect("no panic").expect("no error");
    assert_eq!(balances(&pool).await, []);
    let another = Projector::new(&pool, Balances::<1>);
    let another = tokio::time::timeout(PATIENCE, another.catch_up()).await;
    assert_eq!(another.expect("nothing is held").expect("caught up"), 1);
}

/// However long another process works in its transaction, that is no lost connection.
#[tokio::test]
async fn who_waits_for_its_turn_waits_for_as_long_as_it_takes() {
    let pool = store().await;
    one_event(&pool).await;
    Projector::new(&pool, Balances::<1>)
        .catch_up()
        .await
        .expect("caught up");
    one_event(&pool).await;
    let mut other = pool.begin().await.expect("a transaction");
    let hold = "SELECT FROM oxcart.projection FOR UPDATE";
    sqlx::query(hold).execute(&mut *other).await.expect("held");
    let waits = Projector::new(&pool, Balances::<1>).statement_timeout(SHORT);
    let waits = tokio::spawn(async move { waits.catch_up().await });
    tokio::time::sleep(2 * SHORT).await;
    assert!(!waits.is_finished(), "{:?}", waits.await);
    other.rollback().await.expect("rolled back");
    assert_eq!(waits.await.expect("no panic").expect("its turn"), 2);
}

const IDLE: &str = "SELECT current_setting('idle_in_transaction_session_timeout')";

/// It notes for how long its transaction may be idle.
struct Idle;

impl Projection for Idle {
    const NAME: &'static str = "idle";

    async fn create(&self, tx: &mut PgConnection, table: &str) -> Result<(), ProjectionError> {
        let create = format!("CREATE TABLE {table} AS {IDLE} AS wait");
        sqlx::query(&create).execute(tx).await?;
        Ok(())
    }

    async fn apply(
        &self,
        tx: &mut PgConnection,
        table: &str,
        _: &Recorded,
    ) -> Result<(), ProjectionError> {
        let note = format!("INSERT INTO {table} {IDLE}");
        sqlx::query(&note).execute(tx).await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_frozen_process_holds_nothing_for_long() {
    for (set, holds) in [("0", "1min"), ("2h", "1min"), ("5s", "5s")] {
        let database = database().await;
        let admin = database.pool().await;
        migrate(&admin).await.expect("migrated");
        one_event(&admin).await;
        let options = database.options.clone();
        let options = options.options([("idle_in_transaction_session_timeout", set)]);
        let pool = PgPoolOptions::new().max_connections(1);
        let pool = pool.connect_with(options).await.expect("a connection");
        Projector::new(&pool, Idle)
            .catch_up()
            .await
            .expect("caught up");
        let noted = sqlx::query_scalar("SELECT wait FROM idle");
        let noted: Vec<String> = noted.fetch_all(&admin).await.expect("read");
        assert_eq!(noted, [holds, holds]);
        let subscription = Subscription::new(&pool, "mailer").expect("a name");
        let (mut tx, _) = subscription.take(10).await.expect("taken");
        let idle: String = sqlx::query_scalar(IDLE)
            .fetch_one(&mut *tx)
            .await
            .expect("read");
        assert_eq!(idle, holds);
        tx.commit().await.expect("committed");
        // It is the transaction's alone.
        let idle: String = sqlx::query_scalar(IDLE)
            .fetch_one(&pool)
            .await
            .expect("read");
        assert_eq!(idle, set);
    }
}
