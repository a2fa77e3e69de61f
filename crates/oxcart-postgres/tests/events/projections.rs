//! Tables that follow the events.

use std::time::Duration;

use oxcart_postgres::{ErrorKind, Expected, Projection, ProjectionError, Projector, Recorded};
use sqlx::{PgConnection, PgPool};
use tokio::sync::oneshot;

use crate::rig::{Balances, Moved, STORE, all, append, balances, balances_of, store};
use crate::support::eventually_async;

const PATIENCE: Duration = Duration::from_secs(20);

/// Ends what was given the future, when it is dropped.
struct Stop(oneshot::Sender<()>);

impl Stop {
    fn new() -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), async move {
            let _ = receiver.await;
        })
    }
}

async fn fill(pool: &PgPool, events: i64) {
    for n in 0..events {
        let stream = format!("s{}", n % 5);
        append(pool, &stream, Expected::Any, &[Moved::By(n)])
            .await
            .expect("appended");
    }
}

#[tokio::test]
async fn a_projection_follows_and_has_each_event_once() {
    let pool = store().await;
    fill(&pool, 30).await;
    let projector = Projector::new(&pool, Balances::<1>).batch(7);
    assert_eq!(projector.catch_up().await.expect("caught up"), 30);
    assert_eq!(
        balances(&pool).await,
        balances_of(&all(&pool, 100).await, 1)
    );

    // Several processes take turns.
    let (stops, runs): (Vec<_>, Vec<_>) = (0..3)
        .map(|_| {
            let (stop, stopped) = Stop::new();
            let projector = Projector::new(&pool, Balances::<1>)
                .batch(3)
                .poll(Duration::from_millis(5));
            (
                stop,
                tokio::spawn(async move { projector.run_until(stopped).await }),
            )
        })
        .unzip();
    fill(&pool, 70).await;
    eventually_async(PATIENCE, async || {
        let info = STORE.projections(&pool).await.expect("read");
        info[0].behind == 0
    })
    .await;
    for stop in stops {
        stop.0.send(()).expect("it runs");
    }
    for run in runs {
        run.await.expect("no panic").expect("stopped");
    }
    let info = STORE.projections(&pool).await.expect("read");
    assert_eq!(
        (info.len(), info[0].position, info[0].serves),
        (1, 100, true)
    );
    assert_eq!(
        balances(&pool).await,
        balances_of(&all(&pool, 100).await, 1)
    );
}

#[tokio::test]
async fn a_new_version_is_built_beside_the_old_one_which_serves() {
    let pool = store().await;
    fill(&pool, 40).await;
    let old = Projector::new(&pool, Balances::<1>);
    old.catch_up().await.expect("caught up");
    let first = balances_of(&all(&pool, 100).await, 1);

    // The old one serves, and moves on, while the new one is built.
    // Two processes build it.
    let (stops, building): (Vec<_>, Vec<_>) = (0..2)
        .map(|_| {
            let (stop, stopped) = Stop::new();
            let new = Projector::new(&pool, Slow)
                .batch(4)
                .poll(Duration::from_millis(5));
            (
                stop,
                tokio::spawn(async move { new.run_until(stopped).await }),
            )
        })
        .unzip();
    eventually_async(PATIENCE, async || {
        let info = STORE.projections(&pool).await.expect("read");
        info.iter().any(|one| !one.serves && one.position > 8)
    })
    .await;
    assert_eq!(balances(&pool).await, first);
    fill(&pool, 5).await;
    assert_eq!(old.catch_up().await.expect("it serves still"), 45);
    let second = balances_of(&all(&pool, 100).await, 1);
    assert_eq!(balances(&pool).await, second);

    eventually_async(PATIENCE, async || {
        let info = STORE.projections(&pool).await.expect("read");
        info.len() == 1 && info[0].version == 2 && info[0].behind == 0
    })
    .await;
    let error = old.catch_up().await.expect_err("it is old");
    assert_eq!(error.kind(), ErrorKind::Superseded, "{error}");
    fill(&pool, 5).await;
    eventually_async(PATIENCE, async || {
        STORE.projections(&pool).await.expect("read")[0].position == 50
    })
    .await;
    assert_eq!(
        balances(&pool).await,
        balances_of(&all(&pool, 100).await, 2)
    );
    for (stop, building) in stops.into_iter().zip(building) {
        stop.0.send(()).expect("it runs");
        building.await.expect("no panic").expect("stopped");
    }
    let left = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'balance%'";
    let left: i64 = sqlx::query_scalar(left)
        .fetch_one(&pool)
        .await
        .expect("a count");
    assert_eq!(left, 1);
}

/// Version 2, and it takes its time.
struct Slow;

impl Projection for Slow {
    const NAME: &'static str = Balances::<2>::NAME;
    const VERSION: u32 = 2;

    async fn create(&self, tx: &mut PgConnection, table: &str) -> Result<(), ProjectionError> {
        Balances::<2>.create(tx, table).await
    }

    async fn apply(
        &self,
        tx: &mut PgConnection,
        table: &str,
        event: &Recorded,
    ) -> Result<(), ProjectionError> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Balances::<2>.apply(tx, table, event).await
    }
}

#[tokio::test]
async fn what_an_earlier_version_has_begun_to_build_is_thrown_away() {
    let pool = store().await;
    fill(&pool, 20).await;
    Projector::new(&pool, Balances::<1>)
        .catch_up()
        .await
        .expect("caught up");
    // A process of version 2 has died on its way.
    let begun = "CREATE TABLE balance__next (of_version_2 int); \
        INSERT INTO oxcart.projection (name, serves, version, position) VALUES ('balance', false, 2, 7)";
    sqlx::raw_sql(begun).execute(&pool).await.expect("begun");
    Projector::new(&pool, Balances::<3>)
        .catch_up()
        .await
        .expect("caught up");
    assert_eq!(
        balances(&pool).await,
        balances_of(&all(&pool, 100).await, 3)
    );
    let error = Projector::new(&pool, Balances::<2>)
        .catch_up()
        .await
        .expect_err("it is old");
    assert_eq!(error.kind(), ErrorKind::Superseded);
}

#[tokio::test]
async fn a_projection_stays_before_the_event_that_it_cannot_take() {
    let pool = store().await;
    fill(&pool, 10).await;
    let bad = [Moved::Written {
        writer: 0,
        number: 0,
    }];
    append(&pool, "bad", Expected::Any, &bad)
        .await
        .expect("appended");
    fill(&pool, 10).await;
    let projector = Projector::new(&pool, Balances::<1>).batch(8);
    let error = projector.catch_up().await.expect_err("as asked");
    assert_eq!(error.kind(), ErrorKind::Projection);
    assert!(
        error.to_string().contains("event 11 (Written of `bad`)"),
        "{error}"
    );
    let info = STORE.projections(&pool).await.expect("read");
    assert_eq!((info[0].position, info[0].behind), (10, 11));
    // A new version can: it begins anew.
    struct Takes;
    impl Projection for Takes {
        const NAME: &'static str = "balance";
        const VERSION: u32 = 2;
        async fn create(&self, tx: &mut PgConnection, table: &str) -> Result<(), ProjectionError> {
            Balances::<1>.create(tx, table).await
        }
        async fn apply(
            &self,
            tx: &mut PgConnection,
            table: &str,
            event: &Recorded,
        ) -> Result<(), ProjectionError> {
            match event.stream.as_str() {
                "bad" => Ok(()),
                _ => Balances::<1>.apply(tx, table, event).await,
            }
        }
    }
    let position = Projector::new(&pool, Takes)
        .catch_up()
        .await
        .expect("caught up");
    assert_eq!(position, 21);
}

struct Named<const N: usize>;

const NAMES: [&str; 3] = ["Orders; DROP TABLE account", "balance__next", "__next"];

impl<const N: usize> Projection for Named<N> {
    const NAME: &'static str = NAMES[N];
    async fn create(&self, _: &mut PgConnection, _: &str) -> Result<(), ProjectionError> {
        Ok(())
    }
    async fn apply(
        &self,
        _: &mut PgConnection,
        _: &str,
        _: &Recorded,
    ) -> Result<(), ProjectionError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_name_that_no_table_can_have_is_refused() {
    let pool = store().await;
    for refused in [
        Projector::new(&pool, Named::<0>).catch_up().await,
        Projector::new(&pool, Named::<1>).catch_up().await,
        Projector::new(&pool, Named::<2>).catch_up().await,
    ] {
        assert_eq!(refused.expect_err("no name").kind(), ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn the_table_of_a_new_version_has_the_grants_of_the_old_one() {
    let pool = store().await;
    fill(&pool, 3).await;
    let old = Projector::new(&pool, Balances::<1>);
    old.catch_up().await.expect("caught up");
    let granted = "CREATE ROLE \"A role\"; CREATE ROLE grants_on;
        GRANT SELECT ON balance TO PUBLIC; GRANT INSERT, UPDATE ON balance TO \"A role\";
        GRANT DELETE ON balance TO grants_on WITH GRANT OPTION; GRANT REFERENCES (stream) ON balance TO \"A role\";
        ALTER TABLE balance ADD of_old_only int; GRANT REFERENCES (of_old_only) ON balance TO \"A role\"";
    sqlx::raw_sql(granted)
        .execute(&pool)
        .await
        .expect("granted");
    let grants = async || {
        let grants = "SELECT grantee || ' ' || privilege_type || ' ' || is_grantable FROM information_schema.table_privileges
            WHERE table_name = 'balance'
            UNION ALL SELECT grantee || ' ' || privilege_type || ' ' || column_name FROM information_schema.column_privileges
            WHERE table_name = 'balance' AND privilege_type = 'REFERENCES' AND column_name <> 'of_old_only' ORDER BY 1";
        let grants = sqlx::query_scalar(grants).fetch_all(&pool).await;
        grants.expect("read")
    };
    let before: Vec<String> = grants().await;
    for grant in [
        "PUBLIC SELECT NO",
        "A role UPDATE NO",
        "grants_on DELETE YES",
        "A role REFERENCES stream",
    ] {
        assert!(before.iter().any(|one| one == grant), "{before:?}");
    }
    let new = Projector::new(&pool, Balances::<2>);
    new.catch_up().await.expect("caught up");
    assert_eq!(grants().await, before);
    assert_eq!(
        balances(&pool).await,
        balances_of(&all(&pool, 100).await, 2)
    );
}
