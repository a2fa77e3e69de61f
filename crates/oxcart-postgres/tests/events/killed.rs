//! A projection whose process is killed at each of its steps.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oxcart_postgres::{Expected, Projection, ProjectionError, Projector, Recorded};
use sqlx::{PgConnection, PgPool};

use crate::rig::{Balances, Moved, all, append, balances, balances_of, store_and_database};
use crate::support::{child_of_test, is_full, spawn_self};

const EVENTS: i64 = 23;
const BATCH: u32 = 5;
const PATIENCE: Duration = Duration::from_secs(30);

/// The projection, which dies when it has been called so often: before the call, or after it.
struct Dies<const VERSION: u32> {
    calls: AtomicU32,
    dies_at: u32,
}

impl<const VERSION: u32> Dies<VERSION> {
    fn new(dies_at: u32) -> Self {
        Self {
            calls: AtomicU32::new(0),
            dies_at,
        }
    }

    fn step(&self) {
        if self.calls.fetch_add(1, Ordering::SeqCst) + 1 == self.dies_at {
            // Nothing is flushed, closed or rolled back, as with SIGKILL.
            std::process::abort();
        }
    }
}

impl<const VERSION: u32> Projection for Dies<VERSION> {
    const NAME: &'static str = Balances::<VERSION>::NAME;
    const VERSION: u32 = VERSION;

    async fn create(&self, tx: &mut PgConnection, table: &str) -> Result<(), ProjectionError> {
        self.step();
        Balances::<VERSION>.create(tx, table).await?;
        self.step();
        Ok(())
    }

    async fn apply(
        &self,
        tx: &mut PgConnection,
        table: &str,
        event: &Recorded,
    ) -> Result<(), ProjectionError> {
        self.step();
        Balances::<VERSION>.apply(tx, table, event).await?;
        self.step();
        Ok(())
    }
}

/// Runs the projection until it has caught up, or dies.
#[tokio::test]
async fn projector_process() {
    if !child_of_test() {
        return;
    }
    let told = |name| std::env::var(name).expect("the test has set it");
    let pool = PgPool::connect(&told("POSTGRES_URL"))
        .await
        .expect("it runs");
    let dies_at = told("DIES_AT").parse().expect("a number");
    let done = match told("VERSION").as_str() {
        "1" => {
            Projector::new(&pool, Dies::<1>::new(dies_at))
                .batch(BATCH)
                .catch_up()
                .await
        }
        _ => {
            Projector::new(&pool, Dies::<2>::new(dies_at))
                .batch(BATCH)
                .catch_up()
                .await
        }
    };
    done.expect("caught up");
}

/// Whether it has lived.
fn run(url: &str, version: u32, dies_at: u32) -> bool {
    let (version, dies_at) = (version.to_string(), dies_at.to_string());
    let envs = [
        ("POSTGRES_URL", url),
        ("VERSION", &version),
        ("DIES_AT", &dies_at),
    ];
    let mut process = spawn_self("killed::projector_process", &envs);
    process.wait(PATIENCE).success()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projection_killed_at_each_step_equals_one_built_from_nothing() {
    let (database, pool) = store_and_database().await;
    let url = database.url();
    for n in 0..EVENTS {
        let stream = format!("s{}", n % 3);
        append(&pool, &stream, Expected::Any, &[Moved::By(n)])
            .await
            .expect("appended");
    }
    let events = all(&pool, 100).await;
    // Two steps to make the table, and two for each event. A build makes a table and takes in each event once more.
    let steps = 2 + 2 * u32::try_from(EVENTS).expect("few");
    let stride = if is_full() { 1 } else { 3 };
    for version in [1, 2] {
        let mut deaths = 0;
        for dies_at in (1..=steps).step_by(stride) {
            // As it was before this version.
            let reset =
                "DROP TABLE IF EXISTS balance, balance__next; DELETE FROM oxcart.projection";
            sqlx::raw_sql(reset).execute(&pool).await.expect("reset");
            if version == 2 {
                Projector::new(&pool, Balances::<1>)
                    .catch_up()
                    .await
                    .expect("caught up");
            }
            assert!(!run(&url, version, dies_at), "it was to die at {dies_at}");
            deaths += 1;
            if version == 2 {
                // The old one serves, as it was.
                assert_eq!(balances(&pool).await, balances_of(&events, 1));
            }
            assert!(run(&url, version, 0), "it was to live");
            let made = balances(&pool).await;
            assert_eq!(
                made,
                balances_of(&events, version.into()),
                "killed at {dies_at}"
            );
        }
        assert!(deaths > 10, "{deaths}");
    }
}

/// The same, killed (SIGKILL) at moments of chance, also while it commits or switches tables.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projection_killed_at_any_moment_equals_one_built_from_nothing() {
    let (database, pool) = store_and_database().await;
    let url = database.url();
    for n in 0..40 {
        let fifty: Vec<_> = (0..50).map(Moved::By).collect();
        append(&pool, &format!("s{}", n % 3), Expected::Any, &fifty)
            .await
            .expect("appended");
    }
    let events = all(&pool, 1_000).await;
    let kills = if is_full() { 100 } else { 8 };
    for version in [1, 2] {
        let text = version.to_string();
        let envs = [
            ("POSTGRES_URL", url.as_str()),
            ("VERSION", &text),
            ("DIES_AT", "0"),
        ];
        for _ in 0..kills {
            let mut process = spawn_self("killed::projector_process", &envs);
            tokio::time::sleep(Duration::from_millis(fastrand::u64(20..200))).await;
            if process.is_running() {
                process.kill();
            }
        }
        assert!(run(&url, version, 0), "it was to live");
        assert_eq!(balances(&pool).await, balances_of(&events, version.into()));
    }
}
