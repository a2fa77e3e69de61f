//! Readers whose position is stored.

use oxcart_postgres::{ErrorKind, Expected, Subscription};

use crate::rig::{Moved, append, position, store};

#[tokio::test]
async fn events_are_taken_when_the_transaction_commits() {
    let pool = store().await;
    let five: Vec<_> = (0..5).map(Moved::By).collect();
    append(&pool, "a", Expected::Any, &five)
        .await
        .expect("appended");
    let subscription = Subscription::new(&pool, "mailer").expect("a name");
    for (commits, expected) in [(false, [1, 2]), (true, [1, 2]), (true, [3, 4])] {
        let (tx, events) = subscription.take(2).await.expect("taken");
        let positions: Vec<_> = events.iter().map(position).collect();
        assert_eq!(positions, expected);
        if commits {
            tx.commit().await.expect("committed");
        }
    }
    assert_eq!(subscription.position().await.expect("a position"), 4);
    let other = Subscription::new(&pool, "other").expect("a name");
    let (_tx, events) = other.take(10).await.expect("taken");
    assert_eq!(events.len(), 5);
    let error = Subscription::new(&pool, "").expect_err("no name");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

/// What is written with the events is written once for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_one_name_take_each_event_once() {
    let pool = store().await;
    sqlx::query("CREATE TABLE taken (position bigint)")
        .execute(&pool)
        .await
        .expect("made");
    let many: Vec<_> = (0..500).map(Moved::By).collect();
    append(&pool, "a", Expected::Any, &many)
        .await
        .expect("appended");
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let subscription = Subscription::new(&pool, "mailer").expect("a name");
                loop {
                    let (mut tx, events) = subscription.take(7).await.expect("taken");
                    for event in &events {
                        let insert = sqlx::query("INSERT INTO taken VALUES ($1)");
                        let insert = insert.bind(i64::try_from(position(event)).expect("small"));
                        insert.execute(&mut *tx).await.expect("inserted");
                    }
                    match fastrand::u8(..4) {
                        0 => drop(tx),
                        _ => tx.commit().await.expect("committed"),
                    }
                    if events.is_empty() {
                        break;
                    }
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.expect("no panic");
    }
    let taken: Vec<i64> = sqlx::query_scalar("SELECT position FROM taken ORDER BY 1")
        .fetch_all(&pool)
        .await
        .expect("read");
    assert_eq!(taken, (1..=500).collect::<Vec<_>>());
}
