//! The global order: no gap, and nobody who reads it skips an event.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oxcart_postgres::{Expected, Recorded};
use sqlx::PgPool;

use crate::rig::{Moved, STORE, all, append, position, store};
use crate::support::is_full;

/// The trap: of two transactions the first to append is the last to commit.
#[tokio::test]
async fn an_event_that_is_committed_late_is_not_skipped() {
    let pool = store().await;
    let mut late = pool.begin().await.expect("a transaction");
    let appended = STORE
        .append(&mut late, "late", Expected::Any, &[Moved::By(1)])
        .await;
    appended.expect("appended");
    append(&pool, "early", Expected::Any, &[Moved::By(2)])
        .await
        .expect("appended");
    // It does not wait for the transaction that is open.
    let read = all(&pool, 10).await;
    let ids = "SELECT max(id) FROM oxcart.event";
    let last_id: i64 = sqlx::query_scalar(ids)
        .fetch_one(&pool)
        .await
        .expect("an id");
    assert_eq!((read.len(), read[0].stream.as_str()), (1, "early"));
    late.commit().await.expect("committed");
    let read = STORE
        .read_all(&pool, position(&read[0]), 10)
        .await
        .expect("read");
    assert_eq!(
        (read.len(), read[0].stream.as_str(), read[0].position),
        (1, "late", Some(2))
    );
    // Who reads by ids misses it.
    let by_ids = "SELECT count(*) FROM oxcart.event WHERE id > $1";
    let by_ids: i64 = sqlx::query_scalar(by_ids)
        .bind(last_id)
        .fetch_one(&pool)
        .await
        .expect("a count");
    assert_eq!(by_ids, 0);
}

/// A transaction that began to write long before may append after another one. An order by the numbers of transactions would turn them round.
#[tokio::test]
async fn the_order_within_a_stream_is_that_of_its_versions() {
    let pool = store().await;
    let mut old = pool.begin().await.expect("a transaction");
    // It has its number now.
    sqlx::query("SELECT pg_current_xact_id()")
        .execute(&mut *old)
        .await
        .expect("a number");
    append(&pool, "a", Expected::Empty, &[Moved::By(1)])
        .await
        .expect("appended");
    let appended = STORE
        .append(&mut old, "a", Expected::Version(1), &[Moved::By(2)])
        .await;
    appended.expect("appended");
    old.commit().await.expect("committed");
    let read = all(&pool, 10).await;
    let versions: Vec<_> = read.iter().map(|event| event.version).collect();
    assert_eq!(versions, [1, 2]);
}

#[tokio::test]
async fn a_reader_that_may_not_write_reads_what_has_a_position() {
    let pool = store().await;
    append(&pool, "a", Expected::Any, &[Moved::By(1)])
        .await
        .expect("appended");
    all(&pool, 10).await;
    append(&pool, "a", Expected::Any, &[Moved::By(2)])
        .await
        .expect("appended");
    let options = (*pool.connect_options())
        .clone()
        .options([("default_transaction_read_only", "on")]);
    let read_only = PgPool::connect_with(options).await.expect("a connection");
    assert_eq!(all(&read_only, 10).await.len(), 1);
    assert_eq!(all(&pool, 10).await.len(), 2);
}

/// Some applications set a higher isolation level for the whole database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_at_once_in_a_higher_isolation_level_miss_nothing() {
    let pool = store().await;
    let options = (*pool.connect_options())
        .clone()
        .options([("default_transaction_isolation", "serializable")]);
    let strict = PgPool::connect_with(options).await.expect("a connection");
    let ends = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(follow(strict.clone(), 10, Arc::clone(&ends))))
        .collect();
    for n in 0..100 {
        append(
            &pool,
            &format!("s{}", n % 7),
            Expected::Any,
            &[Moved::By(n)],
        )
        .await
        .expect("appended");
    }
    ends.store(true, Ordering::SeqCst);
    for reader in readers {
        assert_eq!(reader.await.expect("no gap").len(), 100);
    }
}

/// Reads after what it has read, again and again, until it is told that nothing more comes.
async fn follow(pool: PgPool, page: u32, ends: Arc<AtomicBool>) -> Vec<Recorded> {
    let mut read: Vec<Recorded> = Vec::new();
    loop {
        let is_last = ends.load(Ordering::SeqCst);
        let after = read.last().map_or(0, position);
        let next = STORE.read_all(&pool, after, page).await.expect("read");
        for (event, expected) in next.iter().zip(after + 1..) {
            assert_eq!(position(event), expected, "a gap");
        }
        if next.is_empty() && is_last {
            return read;
        }
        read.extend(next);
    }
}

/// Writers whose transactions last for different times, append to several streams, and are rolled back now and then, while others read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_8_writers_on_1000_streams_no_reader_skips_an_event() {
    let rounds: u32 = if is_full() { 5_000 } else { 150 };
    let pool = store().await;
    let ends = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = [11, 100, 1_000]
        .map(|page| tokio::spawn(follow(pool.clone(), page, Arc::clone(&ends))))
        .into_iter()
        .collect();
    let writers: Vec<_> = (0..8u32)
        .map(|writer| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut written = 0u64;
                for number in 0..rounds {
                    let mut tx = pool.begin().await.expect("a transaction");
                    // In the order of their names, so that writers do not wait in a circle.
                    let mut streams = [0; 2].map(|_| fastrand::u32(..1_000));
                    streams.sort_unstable();
                    for stream in streams {
                        let events = [Moved::Written { writer, number }, Moved::By(1)];
                        let name = format!("stream-{stream:04}");
                        let appended = STORE.append(&mut tx, &name, Expected::Any, &events).await;
                        appended.expect("any will do");
                        if fastrand::u8(..8) == 0 {
                            tokio::time::sleep(Duration::from_millis(fastrand::u64(..30))).await;
                        }
                    }
                    if fastrand::u8(..10) == 0 {
                        tx.rollback().await.expect("rolled back");
                        continue;
                    }
                    tx.commit().await.expect("committed");
                    written += 4;
                }
                written
            })
        })
        .collect();
    let mut written = 0;
    for writer in writers {
        written += writer.await.expect("no panic");
    }
    ends.store(true, Ordering::SeqCst);
    let mut last: Option<Vec<Recorded>> = None;
    for reader in readers {
        let read = reader.await.expect("no gap");
        assert_eq!(read.len() as u64, written, "an event was skipped");
        let mut versions = HashMap::<&str, u64>::new();
        for event in &read {
            let version = versions.entry(&event.stream).or_default();
            *version += 1;
            assert_eq!(event.version, *version, "{}", event.stream);
        }
        if let Some(last) = last.replace(read.clone()) {
            assert!(last == read, "readers see different orders");
        }
    }
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM oxcart.event_unordered")
        .fetch_one(&pool)
        .await
        .expect("a count");
    assert_eq!(
        (left, STORE.last_position(&pool).await.expect("a position")),
        (0, written)
    );
}
