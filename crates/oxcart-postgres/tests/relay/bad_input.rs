//! What goes wrong, and what is said of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxcart::Oxcart;
use oxcart_postgres::{ErrorKind, Outbox, Relay, migrate};
use sqlx::PgConnection;
use sqlx::postgres::PgPoolOptions;

use crate::rig::{Entry, PATIENCE, Rig, enter, relay, run};
use crate::support::{Postgres, database, eventually_async};

fn entry(number: i64) -> Entry {
    Entry { key: 0, number }
}

async fn sent(connection: &mut PgConnection, rig: &Rig) -> Result<(), oxcart_postgres::Error> {
    let sent = Outbox::new()
        .enqueue(connection, &rig.queue, entry(1))
        .await;
    sent.map(drop)
}

#[tokio::test]
async fn each_mistake_has_an_error_that_says_what_to_do() {
    let rig = Rig::new().await;
    // Nothing was sent, so the transaction goes on.
    let mut tx = rig.pool.begin().await.expect("a transaction");
    let outbox = Outbox::new();
    let error = outbox
        .enqueue(&mut tx, &rig.queue, entry(1))
        .attempts(0)
        .await;
    assert_eq!(error.expect_err("no attempts").kind(), ErrorKind::Invalid);
    let small = Oxcart::builder()
        .payload_max(3)
        .connect(&rig.redis.url())
        .await;
    let small = small.expect("connected").queue("work").expect("a name");
    let error = outbox.enqueue(&mut tx, &small, entry(1)).await;
    assert_eq!(error.expect_err("too large").kind(), ErrorKind::Invalid);
    sent(&mut tx, &rig).await.expect("the transaction goes on");

    sqlx::query("SELECT 1 / 0")
        .execute(&mut *tx)
        .await
        .expect_err("a division by zero");
    let error = sent(&mut tx, &rig).await.expect_err("it has failed");
    assert_eq!(error.kind(), ErrorKind::Aborted, "{error}");
    assert!(error.to_string().contains("roll it back"), "{error}");
    drop(tx);

    let mut tx = rig.pool.begin().await.expect("a transaction");
    sqlx::query("SET TRANSACTION READ ONLY")
        .execute(&mut *tx)
        .await
        .expect("set");
    let error = sent(&mut tx, &rig).await.expect_err("read-only");
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    drop(tx);

    let empty = database().await.pool().await;
    let mut connection = empty.acquire().await.expect("a connection");
    let error = sent(&mut connection, &rig).await.expect_err("no tables");
    assert_eq!(error.kind(), ErrorKind::NotMigrated, "{error}");
    assert!(error.to_string().contains("migrate"), "{error}");
    let relay = Relay::new(empty.clone(), rig.oxcart.clone());
    let error = relay
        .run_until(std::future::pending())
        .await
        .expect_err("no tables");
    assert_eq!(error.kind(), ErrorKind::NotMigrated, "{error}");
    migrate(&empty).await.expect("migrated");
    sqlx::query("INSERT INTO oxcart.migration (version, name) VALUES (999, 'new')")
        .execute(&empty)
        .await
        .expect("written");
    let relay = Relay::new(empty.clone(), rig.oxcart.clone());
    let error = relay
        .run_until(std::future::pending())
        .await
        .expect_err("newer tables");
    assert_eq!(error.kind(), ErrorKind::NewerSchema, "{error}");
    // Nothing of all this is in the outbox.
    assert!(rig.is_sent().await);
}

#[tokio::test]
async fn a_pool_of_one_connection_is_too_small_for_a_relay() {
    let rig = Rig::new().await;
    let options = (*rig.pool.connect_options()).clone();
    let small = PgPoolOptions::new().max_connections(1);
    let relay = Relay::new(small.connect_lazy_with(options), rig.oxcart.clone());
    let error = relay
        .run_until(std::future::pending())
        .await
        .expect_err("one connection");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("max_connections"), "{error}");
}

/// A row that cannot be sent holds up no other, is listed, and can be sent again.
#[tokio::test]
async fn a_row_that_cannot_be_sent_is_set_aside() {
    let rig = Rig::new().await;
    let mut connection = rig.pool.acquire().await.expect("a connection");
    let outbox = Outbox::new();
    let large = |number| rig.queue.enqueue(entry(number)).header("h", "x");
    sqlx::query(
        "SELECT oxcart.outbox_add(ARRAY['work', 'no such name', 'work'], ARRAY['\\x00', '\\x01', '\\x6a6f6220']::bytea[],
            ARRAY['a', 'b', 'c'], ARRAY[NULL, NULL, 'k'])",
    )
    .execute(&mut *connection)
    .await
    .expect("written");
    let good = outbox
        .enqueue_many(&mut connection, &rig.queue, (1..=3).map(large))
        .await;
    good.expect("written");
    // A relay that allows less than whoever enqueued.
    let small = Oxcart::builder()
        .payload_max(20)
        .connect(&rig.redis.url())
        .await;
    let small = small.expect("connected");
    let wide = Entry {
        key: 1_000_000,
        number: 1_000_000_000_000,
    };
    let wide = outbox
        .enqueue(&mut connection, &rig.queue, wide)
        .ordered_by("k")
        .await;
    let wide = wide.expect("written");
    let last = outbox.enqueue(&mut connection, &rig.queue, entry(4)).await;
    last.expect("written");
    let first = relay(&rig.pool, &small);
    eventually_async(PATIENCE, async || {
        rig.queue
            .counts()
            .await
            .is_ok_and(|counts| counts.left() == 4)
    })
    .await;
    rig.until_sent().await;
    let failed = outbox.failed(&mut connection, 0, 10).await.expect("a list");
    let mut ids: Vec<&str> = failed.iter().map(|row| &*row.job_id).collect();
    ids.sort_unstable();
    let mut expected = vec!["a", "b", "c", wide.as_str()];
    expected.sort_unstable();
    assert_eq!(ids, expected, "{failed:?}");
    let row = failed
        .iter()
        .find(|row| row.job_id == wide.as_str())
        .expect("the large one");
    assert!(row.error.contains("payload"), "{row:?}");
    assert_eq!(
        row.job
            .as_ref()
            .and_then(oxcart::EncodedJob::ordered_by)
            .as_deref(),
        Some("k")
    );
    let status = outbox.status(&mut connection).await.expect("a status");
    assert_eq!(status.failed, 4);
    first.stop().await;
    let relay = relay(&rig.pool, &rig.oxcart);
    assert_eq!(
        outbox
            .retry(&mut connection, &[row.id, -1])
            .await
            .expect("put back"),
        1
    );
    eventually_async(PATIENCE, async || {
        rig.queue
            .counts()
            .await
            .is_ok_and(|counts| counts.left() == 5)
    })
    .await;
    let failed = outbox.failed(&mut connection, 0, 2).await.expect("a list");
    assert_eq!(failed.len(), 2);
    let failed = outbox
        .failed(&mut connection, failed[1].id, 10)
        .await
        .expect("a list");
    assert_eq!(failed.len(), 1);
    relay.stop().await;
}

/// A standby that is promoted, a server that is started again: the relay goes on by itself.
#[tokio::test]
async fn a_relay_waits_for_postgres_and_for_redis() {
    let postgres = Postgres::start(&[]);
    let database = postgres.database().await;
    let rig = Rig::with(database.pool().await).await;
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let seen = |kind| kinds.lock().expect("no panic").contains(&kind);
    let relay = Relay::new(rig.pool.clone(), rig.oxcart.clone());
    let relay = run(relay.on_trouble({
        let kinds = Arc::clone(&kinds);
        move |error| kinds.lock().expect("no panic").push(error.kind())
    }));
    let count = async |number| {
        let counts = rig.queue.counts().await;
        counts.is_ok_and(|counts| counts.left() == number)
    };
    enter(&rig.pool, &rig.queue, 0, true)
        .await
        .expect("entered");
    eventually_async(PATIENCE, async || count(1).await).await;

    postgres.kill();
    eventually_async(PATIENCE, async || seen(ErrorKind::Unreachable)).await;
    postgres.restart();
    let entered = async || enter(&rig.pool, &rig.queue, 0, true).await.is_ok();
    eventually_async(PATIENCE, async || entered().await).await;
    eventually_async(PATIENCE, async || count(2).await).await;

    // As on a standby; connections that are there keep the old setting.
    let mut admin = database.connect().await;
    let set = "SET default_transaction_read_only = off; DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$";
    sqlx::raw_sql(set).execute(&mut admin).await.expect("set");
    enter(&rig.pool, &rig.queue, 0, true)
        .await
        .expect("entered before the connection ends");
    postgres.cut().await;
    let again = async || {
        let _ = enter(&rig.pool, &rig.queue, 0, true).await;
        seen(ErrorKind::ReadOnly)
    };
    // What was on its way when the connections ended may have been sent; so there is always something to take.
    let mut writer = database.connect().await;
    sqlx::raw_sql("SET default_transaction_read_only = off")
        .execute(&mut writer)
        .await
        .expect("set");
    eventually_async(PATIENCE, async || {
        let sent = Outbox::new()
            .enqueue(&mut writer, &rig.queue, entry(9))
            .await;
        sent.expect("written");
        again().await
    })
    .await;
    let reset = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database()); END $$";
    sqlx::raw_sql(reset)
        .execute(&mut writer)
        .await
        .expect("reset");
    postgres.cut().await;
    eventually_async(PATIENCE, async || rig.is_sent().await).await;

    let before = rig.queue.counts().await.expect("counts").left();
    rig.redis.kill();
    enter(&rig.pool, &rig.queue, 0, true)
        .await
        .expect("Redis is not needed");
    eventually_async(PATIENCE, async || seen(ErrorKind::Queue)).await;
    let mut connection = rig.pool.acquire().await.expect("a connection");
    eventually_async(PATIENCE, async || {
        let status = Outbox::new()
            .status(&mut connection)
            .await
            .expect("a status");
        status.streams.iter().any(|stream| stream.trouble.is_some())
    })
    .await;
    rig.redis.restart();
    eventually_async(PATIENCE, async || count(before + 1).await).await;
    tokio::time::timeout(Duration::from_secs(20), relay.stop())
        .await
        .expect("it stops");
}
