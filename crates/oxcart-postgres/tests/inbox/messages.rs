//! Messages from elsewhere.

use std::time::Duration;

use oxcart::{Context, Failure, Handler, Job, JobId};
use oxcart_postgres::{Error, ErrorKind, InTransaction, Inbox};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::rig::{add_once, attempt, balance, bank};

async fn take(pool: &PgPool, consumer: &str, message: &str) -> Result<i64, Error> {
    let mut tx = pool.begin().await.expect("a transaction");
    let inbox = Inbox::new(pool);
    let given = inbox.once(&mut tx, consumer, message, async |tx| {
        let add = "UPDATE account SET cents = cents + 1 RETURNING cents";
        let added = sqlx::query_scalar(add).fetch_one(tx).await;
        Ok::<i64, Error>(added.expect("it can be added"))
    });
    let given = given.await?;
    tx.commit().await.expect("committed");
    Ok(given)
}

#[tokio::test]
async fn a_message_is_taken_once_by_each_consumer() {
    let pool = bank().await;
    for (consumer, message, balance) in [
        ("billing", "m1", 1),
        ("billing", "m1", 1),
        ("billing", "m2", 2),
        ("mail", "m1", 3),
        ("billing", "m1", 1),
    ] {
        let given = take(&pool, consumer, message).await.expect("taken");
        assert_eq!(given, balance, "{consumer} {message}");
    }
}

#[tokio::test]
async fn a_message_that_comes_many_times_at_once_is_taken_once() {
    let pool = bank().await;
    let takes: Vec<_> = (0..40)
        .map(|n| {
            let pool = pool.clone();
            tokio::spawn(async move { take(&pool, "billing", &format!("m{}", n % 4)).await })
        })
        .collect();
    for taken in takes {
        taken.await.expect("no panic").expect("taken");
    }
    assert_eq!(balance(&pool).await, 4);
}

#[tokio::test]
async fn names_that_cannot_be_stored_are_refused() {
    let pool = bank().await;
    let long = "x".repeat(513);
    for (consumer, message) in [
        ("", "m"),
        ("c", ""),
        (&long, "m"),
        ("c", &long),
        ("c", "a\0b"),
    ] {
        let error = take(&pool, consumer, message).await.expect_err("no name");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    assert_eq!(balance(&pool).await, 0);
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_nothing_else() {
    let pool = bank().await;
    let inbox = Inbox::new(&pool);
    let old = JobId::generate();
    for id in [&old, &JobId::generate()] {
        let mut tx = pool.begin().await.expect("a transaction");
        attempt(id, 1).hold_in(&mut tx).await.expect("held");
        tx.commit().await.expect("committed");
    }
    let many = "INSERT INTO oxcart.inbox_message (consumer, message, seen_at) \
        SELECT 'c', n::text, now() - interval '3 hours' FROM generate_series(1, 11000) n";
    let age = "UPDATE oxcart.inbox_job SET seen_at = now() - interval '3 hours' WHERE job = $1";
    sqlx::query(many).execute(&pool).await.expect("inserted");
    sqlx::query(age)
        .bind(old.as_str())
        .execute(&pool)
        .await
        .expect("aged");
    take(&pool, "c", "new").await.expect("taken");

    let hour = Duration::from_secs(3_600);
    assert_eq!(inbox.prune(4 * hour).await.expect("nothing is so old"), 0);
    assert_eq!(inbox.prune(2 * hour).await.expect("pruned"), 11_001);
    assert_eq!(inbox.prune(2 * hour).await.expect("nothing is left"), 0);
    let left = "SELECT (SELECT count(*) FROM oxcart.inbox_job) + (SELECT count(*) FROM oxcart.inbox_message)";
    let left: i64 = sqlx::query_scalar(left)
        .fetch_one(&pool)
        .await
        .expect("counted");
    assert_eq!(left, 2);
    let error = inbox.prune(hour / 2).await.expect_err("too short");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[derive(Serialize, Deserialize)]
struct Nothing;

impl Job for Nothing {
    const NAME: &'static str = "nothing";
    type Output = ();
}

/// However old a row is: who has just used it may use it again.
#[tokio::test]
async fn what_is_in_use_is_not_forgotten() {
    let pool = bank().await;
    let inbox = Inbox::new(&pool);
    let id = JobId::generate();
    let hour = Duration::from_secs(3_600);
    let age = async || {
        let age = "UPDATE oxcart.inbox_job SET seen_at = now() - interval '3 hours'; \
            UPDATE oxcart.inbox_message SET seen_at = now() - interval '3 hours'";
        sqlx::raw_sql(age).execute(&pool).await.expect("aged");
    };
    let left = async |table: &str| {
        inbox.prune(2 * hour).await.expect("pruned");
        let left = format!("SELECT count(*) FROM oxcart.{table}");
        let left: i64 = sqlx::query_scalar(&left)
            .fetch_one(&pool)
            .await
            .expect("counted");
        left
    };
    for (use_number, way) in ["held", "once", "named", "begun", "completed"]
        .iter()
        .enumerate()
    {
        age().await;
        let fence = 1 + use_number as u64;
        let context = Context::builder().id(id.clone()).fence(fence).attempt(2);
        let context = context.build();
        let mut tx = pool.begin().await.expect("a transaction");
        match *way {
            "held" => context.hold_in(&mut tx).await.expect("held"),
            "once" => drop(add_once(&context, &mut tx).await.expect("added")),
            "named" => {
                let nothing = context.once_named(&mut tx, "a", async |_| Ok(()));
                nothing.await.expect("done");
            }
            "begun" => {
                let fails = async |_: Nothing| Err::<(), _>(Failure::retry("it does nothing"));
                let called = inbox.wrap(fails).call(Nothing, context).await;
                assert!(called.is_err());
            }
            _ => context.complete_in(&mut tx, &()).await.expect("completed"),
        }
        tx.commit().await.expect("committed");
        assert_eq!(left("inbox_job").await, 1, "{way}");
    }
    take(&pool, "c", "m").await.expect("taken");
    age().await;
    take(&pool, "c", "m").await.expect("taken before");
    assert_eq!(left("inbox_message").await, 1);
    // It can be forgotten.
    age().await;
    assert_eq!(left("inbox_message").await + left("inbox_job").await, 0);
}
