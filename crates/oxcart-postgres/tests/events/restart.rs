//! PostgreSQL dies under a projector.

use std::time::Duration;

use oxcart_postgres::{Expected, Projector, migrate};

use crate::rig::{Balances, Moved, STORE, all, append, balances, balances_of};
use crate::support::{Postgres, eventually_async};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projector_goes_on_by_itself_when_postgresql_is_back() {
    let server = Postgres::start(&[]);
    let pool = server.database().await.pool().await;
    migrate(&pool).await.expect("migrated");
    let projector = Projector::new(&pool, Balances::<1>).poll(Duration::from_millis(5));
    let running =
        tokio::spawn(async move { projector.run_until(std::future::pending::<()>()).await });
    for round in 0..2u64 {
        for n in 0..20 {
            let stream = format!("s{}", n % 3);
            // A connection that was cut is noticed when it is used.
            eventually_async(PATIENCE, async || {
                append(&pool, &stream, Expected::Any, &[Moved::By(n)])
                    .await
                    .is_ok()
            })
            .await;
        }
        eventually_async(PATIENCE, async || {
            let info = STORE.projections(&pool).await.unwrap_or_default();
            info.iter()
                .any(|one| one.position >= 20 * (round + 1) && one.behind == 0)
        })
        .await;
        server.restart();
    }
    assert!(!running.is_finished());
    running.abort();
    eventually_async(PATIENCE, async || pool.acquire().await.is_ok()).await;
    let events = all(&pool, 100).await;
    assert_eq!(balances(&pool).await, balances_of(&events, 1));
}
