//! What is too deep, too large, or cannot be read.

use oxcart_postgres::{AppendError, ErrorKind, Event, Expected, Projector, Subscription, migrate};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::rig::{Balances, Moved, STORE, append, position, store};
use crate::support::database;

/// Anything.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Kept {
    Value(Value),
}

impl Event for Kept {}

fn nested(levels: u32) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

async fn keep(pool: &PgPool, data: Value, metadata: &Value) -> Result<u64, ErrorKind> {
    let mut connection = pool.acquire().await.expect("a connection");
    let events = [Kept::Value(data)];
    let kept = STORE.append_with(&mut connection, "deep", Expected::Any, &events, metadata);
    match kept.await {
        Ok(appended) => Ok(appended.last),
        Err(AppendError::Failed(error)) => Err(error.kind()),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_is_nested_too_deep_to_be_read_is_not_stored() {
    let pool = store().await;
    let flat = json!(null);
    for deep in [128, 200] {
        let deep = nested(deep);
        assert_eq!(
            keep(&pool, deep.clone(), &flat).await,
            Err(ErrorKind::Codec)
        );
        assert_eq!(keep(&pool, json!(1), &deep).await, Err(ErrorKind::Invalid));
    }
    let large = json!("x".repeat(1 << 20));
    assert_eq!(keep(&pool, json!(1), &large).await, Err(ErrorKind::Invalid));
    assert_eq!(keep(&pool, nested(127), &nested(127)).await, Ok(1));
    let read = STORE.read_all(&pool, 0, 10).await.expect("it can be read");
    let kept: Vec<Kept> = read
        .iter()
        .map(|event| event.decode().expect("kept"))
        .collect();
    assert_eq!(kept, [Kept::Value(nested(127))]);
    assert_eq!(read[0].metadata, nested(127));
}

#[tokio::test]
async fn readers_come_as_far_as_the_event_that_cannot_be_read_and_name_it() {
    let pool = store().await;
    let five: Vec<_> = (0..5).map(Moved::By).collect();
    append(&pool, "a", Expected::Any, &five)
        .await
        .expect("appended");
    let deep = "UPDATE oxcart.event SET metadata = (repeat('[', 200) || repeat(']', 200))::jsonb WHERE version = 4";
    sqlx::query(deep).execute(&pool).await.expect("changed");
    let names_it = |error: oxcart_postgres::Error, position: &str| {
        assert_eq!(error.kind(), ErrorKind::Codec);
        let named =
            format!("event 4 of the stream `a` (By, {position}) cannot be read: its metadata");
        assert!(error.to_string().contains(&named), "{error}");
    };

    let mut connection = pool.acquire().await.expect("a connection");
    let read = STORE
        .read_stream(&mut connection, "a", 0, 10)
        .await
        .expect("three are read");
    assert_eq!(read.len(), 3);
    let error = STORE.read_stream(&mut connection, "a", 3, 10).await;
    names_it(error.expect_err("the next one cannot"), "no position");

    let read = STORE.read_all(&pool, 0, 10).await.expect("three are read");
    assert_eq!(read.len(), 3);
    let error = STORE.read_all(&pool, 3, 10).await;
    names_it(error.expect_err("the next one cannot"), "position 4");
    assert_eq!(STORE.read_all(&pool, 4, 10).await.expect("one").len(), 1);

    let subscription = Subscription::new(&pool, "mailer").expect("a name");
    let (tx, taken) = subscription.take(10).await.expect("three are taken");
    assert_eq!(taken.len(), 3);
    tx.commit().await.expect("committed");
    names_it(
        subscription
            .take(10)
            .await
            .expect_err("the next one cannot"),
        "position 4",
    );
    assert_eq!(subscription.position().await.expect("a position"), 3);

    let projector = Projector::new(&pool, Balances::<1>);
    names_it(
        projector.catch_up().await.expect_err("the next one cannot"),
        "position 4",
    );
    assert_eq!(STORE.projections(&pool).await.expect("read")[0].position, 3);
}

#[tokio::test]
async fn a_page_ends_with_the_event_that_makes_it_a_mebibyte() {
    let pool = database().await.pool().await;
    migrate(&pool).await.expect("migrated");
    let flat = json!(null);
    let quarter = json!("x".repeat(1 << 18));
    let whole = json!("x".repeat((1 << 20) - 2));
    // Of each, how often: 4 small ones make a page, and a large one is a page of its own, or the end of one.
    let sizes = [(quarter, 6), (whole, 2), (json!(1), 3)];
    for (data, times) in sizes {
        for _ in 0..times {
            keep(&pool, data.clone(), &flat).await.expect("kept");
        }
    }
    let mut connection = pool.acquire().await.expect("a connection");
    let (mut of_all, mut of_stream) = (vec![0], vec![0]);
    loop {
        let after = *of_all.last().expect("one at least");
        let page = STORE.read_all(&pool, after, 100).await.expect("read");
        let Some(last) = page.last() else { break };
        of_all.push(position(last));
    }
    loop {
        let after = *of_stream.last().expect("one at least");
        let page = STORE.read_stream(&mut connection, "deep", after, 100);
        let page = page.await.expect("read");
        let Some(last) = page.last() else { break };
        of_stream.push(last.version);
    }
    assert_eq!(of_all, [0, 4, 7, 8, 11]);
    assert_eq!(of_stream, of_all);
}
