//! What an application sees.

use std::time::Duration;

use oxcart::{JobState, Retention};
use oxcart_postgres::{Outbox, Relay};
use sqlx::PgPool;

use crate::rig::{Entry, Ledger, PATIENCE, Rig, committed, enter, enter_many, relay, run, work};
use crate::support::{database, eventually_async};

fn entry(number: i64) -> Entry {
    Entry { key: 0, number }
}

#[tokio::test]
async fn a_job_is_there_if_the_transaction_is_committed_and_only_then() {
    let rig = Rig::new().await;
    let outbox = Outbox::new();
    let mut tx = rig.pool.begin().await.expect("a transaction");
    let one = outbox.enqueue(&mut tx, &rig.queue, entry(1));
    let one = one
        .priority(7)
        .header("tenant", "t")
        .await
        .expect("written");
    tx.commit().await.expect("committed");
    let mut tx = rig.pool.begin().await.expect("a transaction");
    let gone = outbox.enqueue(&mut tx, &rig.queue, entry(2)).await;
    let gone = gone.expect("written");
    tx.rollback().await.expect("rolled back");
    // Without a transaction; a savepoint that is rolled back.
    let mut tx = rig.pool.acquire().await.expect("a connection");
    let many = [
        rig.queue.enqueue(entry(3)).delay(Duration::from_secs(600)),
        rig.queue.enqueue(entry(4)).keep(Retention::Nothing),
    ];
    let many = outbox.enqueue_many(&mut tx, &rig.queue, many).await;
    let many = many.expect("written");
    let encoded = rig.queue.enqueue(entry(5)).encode().expect("encoded");
    let encoded = outbox.enqueue_encoded(&mut tx, [encoded]).await;
    let encoded = encoded.expect("written");
    assert_eq!(rig.queue.counts().await.expect("counts").left(), 0);
    let status = outbox.status(&mut tx).await.expect("a status");
    let stream = &status.streams[0];
    assert_eq!(
        (stream.waiting, &*stream.queue, status.failed),
        (4, "work", 0)
    );
    assert!(stream.oldest.is_some());

    let relay = relay(&rig.pool, &rig.oxcart);
    rig.until_sent().await;
    let job = rig
        .queue
        .job(&one)
        .await
        .expect("an answer")
        .expect("a job");
    assert_eq!((job.priority, job.headers.len()), (7, 1));
    assert_eq!(
        rig.queue.job(&gone).await.expect("an answer").map(|_| ()),
        None
    );
    let late = rig
        .queue
        .job(&many[0])
        .await
        .expect("an answer")
        .expect("a job");
    assert_eq!(late.state, JobState::Delayed);
    for id in [&many[1], &encoded[0]] {
        assert!(rig.queue.job(id).await.expect("an answer").is_some());
    }
    let counts = rig.queue.counts().await.expect("counts");
    assert_eq!((counts.waiting, counts.delayed), (3, 1));
    relay.stop().await;
}

/// It hears of a commit, and does not wait until it looks by itself.
#[tokio::test]
async fn a_relay_wakes_when_something_is_committed() {
    let rig = Rig::new().await;
    let relay =
        run(Relay::new(rig.pool.clone(), rig.oxcart.clone()).poll(Duration::from_secs(3600)));
    for number in 1..=3 {
        enter(&rig.pool, &rig.queue, 0, true)
            .await
            .expect("entered");
        eventually_async(PATIENCE, async || {
            rig.queue
                .counts()
                .await
                .is_ok_and(|counts| counts.left() == number)
        })
        .await;
    }
    relay.stop().await;
}

/// And if it does not hear of it, it looks.
#[tokio::test]
async fn a_relay_looks_by_itself() {
    let rig = Rig::new().await;
    let relay = relay(&rig.pool, &rig.oxcart);
    let mut quiet = rig.pool.acquire().await.expect("a connection");
    sqlx::raw_sql("SET oxcart.notify = off")
        .execute(&mut *quiet)
        .await
        .expect("set");
    let sent = Outbox::new()
        .enqueue(&mut quiet, &rig.queue, entry(1))
        .await;
    sent.expect("written");
    eventually_async(PATIENCE, async || {
        rig.queue
            .counts()
            .await
            .is_ok_and(|counts| counts.left() == 1)
    })
    .await;
    relay.stop().await;
}

async fn begun(pool: &PgPool) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut tx = pool.begin().await.expect("a transaction");
    // It has a number, which is smaller than that of the next one.
    let number = sqlx::query("SELECT pg_current_xact_id()").execute(&mut *tx);
    number.await.expect("a number");
    tx
}

/// Of two transactions with one key, the second to enqueue waits until the first has ended; other keys do not wait.
#[tokio::test]
async fn g5_rows_of_a_key_are_in_the_order_of_their_commits() {
    let rig = Rig::new().await;
    let outbox = Outbox::new();
    let mut early = begun(&rig.pool).await;
    let mut late = begun(&rig.pool).await;
    let late_first = outbox.enqueue(&mut late, &rig.queue, entry(1));
    late_first.ordered_by("k").await.expect("written");
    let other = outbox.enqueue(&mut early, &rig.queue, Entry { key: 1, number: 1 });
    other
        .ordered_by("other")
        .await
        .expect("another key does not wait");
    let queue = rig.queue.clone();
    let waits = tokio::spawn(async move {
        let request = Outbox::new().enqueue(&mut early, &queue, entry(2));
        request.ordered_by("k").await.expect("written");
        early.commit().await.expect("committed");
    });
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    eventually_async(PATIENCE, async || {
        let count: i64 = sqlx::query_scalar(waiting)
            .fetch_one(&rig.pool)
            .await
            .expect("a count");
        count == 1
    })
    .await;
    late.commit().await.expect("committed");
    waits.await.expect("committed");
    let ledger = Ledger::new().await;
    let (relay, worker) = (relay(&rig.pool, &rig.oxcart), work(&rig.queue, &ledger));
    rig.until_done(&ledger, 3).await;
    ledger.assert_is(&[(0, 1), (0, 2), (1, 1)]).await;
    relay.stop().await;
    worker.stop().await;
}

/// Several relays, many transactions at a time, rollbacks among them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_several_relays_carry_each_row_once() {
    let rig = Rig::new().await;
    let ledger = Ledger::new().await;
    let worker = work(&rig.queue, &ledger);
    let relays: Vec<_> = (0..4).map(|_| relay(&rig.pool, &rig.oxcart)).collect();
    enter_many(&rig.pool, &rig.queue, 1_000).await;
    let committed = committed(&rig.pool).await;
    rig.until_done(&ledger, committed.len()).await;
    ledger.assert_is(&committed).await;
    for relay in relays {
        relay.stop().await;
    }
    worker.stop().await;
}

/// Rows that were sent are dropped when their time is over, and the positions go on.
#[tokio::test]
async fn what_was_sent_is_dropped_after_a_while() {
    let rig = Rig::new().await;
    let keep = Duration::from_millis(300);
    let relay = run(Relay::new(rig.pool.clone(), rig.oxcart.clone()).keep(keep));
    let mut connection = rig.pool.acquire().await.expect("a connection");
    for round in 1..=3_u64 {
        let jobs = (0..10).map(entry);
        let sent = Outbox::new()
            .enqueue_many(&mut connection, &rig.queue, jobs)
            .await;
        sent.expect("written");
        eventually_async(PATIENCE, async || {
            rig.queue
                .counts()
                .await
                .is_ok_and(|counts| counts.left() == 10 * round)
        })
        .await;
        eventually_async(PATIENCE, async || {
            let kept = sqlx::query_scalar("SELECT count(*) FROM oxcart.outbox_sent");
            kept.fetch_one(&rig.pool)
                .await
                .is_ok_and(|kept: i64| kept == 0)
        })
        .await;
    }
    relay.stop().await;
}

/// A copy of the database, used beside it with the same Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_detached_sends_nothing_of_the_original() {
    let database = database().await;
    let rig = Rig::with(database.pool().await).await;
    let first = relay(&rig.pool, &rig.oxcart);
    enter_many(&rig.pool, &rig.queue, 40).await;
    rig.until_sent().await;
    first.stop().await;
    // These wait in both.
    enter_many(&rig.pool, &rig.queue, 40).await;
    let copy = database.copy().await.pool().await;
    let detach = "SELECT oxcart.outbox_detach_copy()";
    sqlx::query(detach).execute(&copy).await.expect("detached");
    let relays = [relay(&rig.pool, &rig.oxcart), relay(&copy, &rig.oxcart)];
    rig.until_sent().await;
    let before = committed(&rig.pool).await.len() as u64;
    assert_eq!(rig.queue.counts().await.expect("counts").left(), before);
    // What is committed in the copy is its own.
    enter_many(&copy, &rig.queue, 4).await;
    let both = committed(&copy).await.len() as u64;
    eventually_async(PATIENCE, async || {
        let counts = rig.queue.counts().await;
        counts.is_ok_and(|counts| counts.left() >= both)
    })
    .await;
    for relay in relays {
        relay.stop().await;
    }
    assert_eq!(rig.queue.counts().await.expect("counts").left(), both);
}
