//! Calls of a projection that fail, and do not move it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use oxcart_postgres::{Expected, Projection, ProjectionError, Projector, Recorded};
use sqlx::PgConnection;

use crate::rig::{Balances, Moved, STORE, all, append, balances, balances_of, store};

/// How the fourth call fails, and each call after it until there were so many.
enum Fails {
    AsSql,
    InsideAnother,
    ByPanic,
}

struct Failing {
    fails: Fails,
    state: &'static str,
    calls: AtomicU32,
    until: u32,
}

#[derive(Debug)]
struct Wrapped(sqlx::Error);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the table was not written")
    }
}

impl StdError for Wrapped {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

impl Projection for Failing {
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
        Balances::<1>.apply(&mut *tx, table, event).await?;
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if !(4..self.until).contains(&call) {
            return Ok(());
        }
        let raise = format!(
            "DO $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '{}'; END $$",
            self.state
        );
        let raised = sqlx::query(&raise).execute(tx).await;
        let raised = raised.expect_err("as asked");
        match self.fails {
            Fails::AsSql => Err(raised.into()),
            Fails::InsideAnother => Err(Wrapped(raised).into()),
            Fails::ByPanic => panic!("as asked"),
        }
    }
}

#[tokio::test]
async fn a_deadlock_is_tried_again_and_moves_nothing() {
    for (fails, state) in [
        (Fails::AsSql, "40P01"),
        (Fails::AsSql, "40001"),
        (Fails::InsideAnother, "40P01"),
    ] {
        let pool = store().await;
        let ten: Vec<_> = (0..10).map(Moved::By).collect();
        append(&pool, "a", Expected::Any, &ten)
            .await
            .expect("appended");
        // The fourth event fails, then the three before it are taken in, then it fails once more.
        let failing = Failing {
            fails,
            state,
            calls: AtomicU32::new(0),
            until: 9,
        };
        let position = Projector::new(&pool, failing).catch_up().await;
        assert_eq!(position.expect("it is tried again"), 10);
        assert_eq!(
            balances(&pool).await,
            balances_of(&all(&pool, 100).await, 1)
        );
    }
}

#[tokio::test]
async fn a_panic_moves_nothing() {
    let pool = store().await;
    let ten: Vec<_> = (0..10).map(Moved::By).collect();
    append(&pool, "a", Expected::Any, &ten)
        .await
        .expect("appended");
    let failing = Failing {
        fails: Fails::ByPanic,
        state: "P0001",
        calls: AtomicU32::new(0),
        until: 100,
    };
    let projector = Projector::new(&pool, failing);
    let panicked = tokio::spawn(async move { projector.catch_up().await });
    assert!(panicked.await.expect_err("as asked").is_panic());
    assert_eq!(STORE.projections(&pool).await.expect("read")[0].position, 0);
    assert_eq!(balances(&pool).await, []);
    let projector = Projector::new(&pool, Balances::<1>);
    assert_eq!(projector.catch_up().await.expect("caught up"), 10);
    assert_eq!(
        balances(&pool).await,
        balances_of(&all(&pool, 100).await, 1)
    );
}
