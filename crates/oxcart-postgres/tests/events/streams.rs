//! Appending to streams, and reading them.

use oxcart_postgres::{
    AppendError, Conflict, ErrorKind, Event, Expected, Projector, StoredEvent, Subscription,
    migrate,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::rig::{Balances, Moved, STORE, all, append, store, store_and_database};
use crate::support::database;

fn conflict(appended: Result<oxcart_postgres::Appended, AppendError>) -> Conflict {
    match appended {
        Err(AppendError::Conflict(conflict)) => conflict,
        other => panic!("no conflict: {other:?}"),
    }
}

#[tokio::test]
async fn who_believes_the_stream_to_be_elsewhere_is_told_where_it_is() {
    let pool = store().await;
    let one = [Moved::By(1)];
    for (expected, found) in [(Expected::Version(1), 0), (Expected::after(7), 0)] {
        let conflict = conflict(append(&pool, "a", expected, &one).await);
        assert_eq!((conflict.expected, conflict.found), (expected, found));
    }
    let three = [Moved::By(1), Moved::By(2), Moved::By(3)];
    let appended = append(&pool, "a", Expected::after(0), &three)
        .await
        .expect("empty");
    assert_eq!((appended.first, appended.last), (1, 3));
    let mut tx = pool.begin().await.expect("a transaction");
    for expected in [Expected::Empty, Expected::Version(2), Expected::Version(4)] {
        let conflict = conflict(STORE.append(&mut tx, "a", expected, &one).await);
        assert_eq!((conflict.found, conflict.stream.as_str()), (3, "a"));
        assert!(conflict.to_string().contains("at version 3"), "{conflict}");
    }
    // The transaction is sound.
    let appended = STORE.append(&mut tx, "a", Expected::Version(3), &one).await;
    assert_eq!(appended.expect("it is there").last, 4);
    let appended = STORE.append(&mut tx, "a", Expected::Any, &one).await;
    assert_eq!(appended.expect("any will do").last, 5);
    let appended = STORE.append(&mut tx, "b", Expected::Any, &one).await;
    assert_eq!(appended.expect("any will do").last, 1);
    tx.commit().await.expect("committed");

    let mut connection = pool.acquire().await.expect("a connection");
    let read = STORE
        .read_stream(&mut connection, "a", 2, 2)
        .await
        .expect("read");
    let read: Vec<_> = read
        .iter()
        .map(|event| (event.version, event.decode().expect("moved")))
        .collect();
    assert_eq!(read, [(3, Moved::By(3)), (4, Moved::By(1))]);
}

/// Each writer reads the last version, and appends if nobody else has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_8_writers_on_one_stream_none_loses_an_update() {
    const EACH: u32 = 50;
    let pool = store().await;
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut conflicts = 0;
                let mut version = 0;
                for number in 0..EACH {
                    let event = [Moved::Written { writer, number }];
                    version = loop {
                        let expected = Expected::after(version);
                        match append(&pool, "one", expected, &event).await {
                            Ok(appended) => break appended.last,
                            Err(AppendError::Conflict(conflict)) => version = conflict.found,
                            Err(AppendError::Failed(error)) => panic!("{error}"),
                            Err(_) => unreachable!("all kinds are known"),
                        }
                        conflicts += 1;
                    };
                }
                conflicts
            })
        })
        .collect();
    let mut conflicts = 0;
    for writer in writers {
        conflicts += writer.await.expect("no panic");
    }
    assert!(conflicts > 0, "they did not meet");
    let mut connection = pool.acquire().await.expect("a connection");
    let events = STORE
        .read_stream(&mut connection, "one", 0, 10_000)
        .await
        .expect("read");
    let versions: Vec<_> = events.iter().map(|event| event.version).collect();
    assert_eq!(versions, (1..=8 * u64::from(EACH)).collect::<Vec<_>>());
    let mut next = [0; 8];
    for event in &events {
        let Moved::Written { writer, number } = event.decode().expect("written") else {
            panic!("{event:?}");
        };
        let next = &mut next[writer as usize];
        assert_eq!(number, *next, "writer {writer}");
        *next += 1;
    }
    assert_eq!(next, [EACH; 8]);
}

#[tokio::test]
async fn what_cannot_be_appended_is_refused_before_it_is_sent() {
    let pool = store().await;
    let one = [Moved::By(1)];
    let long = "x".repeat(513);
    let many = vec![Moved::By(1); 1_001];
    for (stream, events) in [
        ("", &one[..]),
        (&long, &one),
        ("a\0", &one),
        ("a", &[]),
        ("a", &many),
    ] {
        let error = append(&pool, stream, Expected::Any, events).await;
        let Err(AppendError::Failed(error)) = error else {
            panic!("{error:?}");
        };
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    let pool = database().await.pool().await;
    let error = append(&pool, "a", Expected::Any, &one)
        .await
        .expect_err("no tables");
    assert!(error.to_string().contains("migrate"), "{error}");
    migrate(&pool).await.expect("migrated");
    append(&pool, "a", Expected::Any, &one)
        .await
        .expect("appended");
}

#[tokio::test]
async fn an_event_of_an_older_version_is_read_as_one_of_today() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Today {
        By { cents: i64 },
    }
    impl Event for Today {
        const VERSION: u16 = 2;

        fn upcast(old: StoredEvent) -> Result<StoredEvent, String> {
            Ok(StoredEvent {
                data: json!({ "cents": old.data.as_i64().ok_or("no number")? * 100 }),
                version: 2,
                ..old
            })
        }
    }
    let pool = store().await;
    append(&pool, "a", Expected::Any, &[Moved::By(3)])
        .await
        .expect("appended");
    let mut tx = pool.begin().await.expect("a transaction");
    let today = [Today::By { cents: 5 }];
    let by = json!({ "by": "ana" });
    let appended = STORE
        .append_with(&mut tx, "a", Expected::Version(1), &today, &by)
        .await;
    appended.expect("appended");
    let read = STORE.read_stream(&mut tx, "a", 0, 10).await.expect("read");
    let decoded: Vec<Today> = read
        .iter()
        .map(|event| event.decode().expect("lifted"))
        .collect();
    assert_eq!(decoded, [Today::By { cents: 300 }, Today::By { cents: 5 }]);
    assert_eq!((&read[0].metadata, &read[1].metadata), (&json!(null), &by));
    // A program that does not know the new version says so.
    let error = read[1].decode::<Moved>().expect_err("too new");
    assert!(error.to_string().contains("update it"), "{error}");
}

/// The rights that docs/event-store.md names are enough.
#[tokio::test]
async fn writers_and_readers_need_the_rights_that_are_named() {
    let (database, pool) = store_and_database().await;
    let rights = "CREATE ROLE writer LOGIN; CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA oxcart TO writer, reader;
        GRANT SELECT, INSERT, UPDATE ON oxcart.stream TO writer; GRANT SELECT, INSERT ON oxcart.event TO writer;
        GRANT INSERT ON oxcart.event_unordered TO writer;
        GRANT SELECT ON oxcart.event TO reader; GRANT SELECT, DELETE ON oxcart.event_unordered TO reader;
        GRANT SELECT, INSERT, UPDATE, DELETE ON oxcart.event_order, oxcart.event_head, oxcart.snapshot, oxcart.subscription,
            oxcart.projection TO reader";
    sqlx::raw_sql(rights).execute(&pool).await.expect("granted");
    let as_user = async |user: &str| {
        let options = database.options.clone().username(user);
        let pool = sqlx::PgPool::connect_with(options).await;
        pool.expect("a connection")
    };
    let (writer, reader) = (as_user("writer").await, as_user("reader").await);
    for expected in [Expected::Any, Expected::Version(1)] {
        let appended = append(&writer, "a", expected, &[Moved::By(1)]).await;
        appended.expect("it may append");
    }
    // Who is told of a conflict has looked.
    conflict(append(&writer, "a", Expected::Empty, &[Moved::By(1)]).await);
    assert_eq!(all(&reader, 10).await.len(), 2);
    let mut connection = reader.acquire().await.expect("a connection");
    let stream = STORE.read_stream(&mut connection, "a", 0, 10).await;
    assert_eq!(stream.expect("it may read").len(), 2);
    let subscription = Subscription::new(&reader, "mailer").expect("a name");
    let (tx, taken) = subscription.take(10).await.expect("it may take");
    assert_eq!(taken.len(), 2);
    tx.commit().await.expect("committed");

    // A projector makes and renames tables.
    sqlx::raw_sql("REVOKE CREATE ON SCHEMA public FROM public")
        .execute(&pool)
        .await
        .expect("revoked");
    let projector = Projector::new(&reader, Balances::<1>).catch_up().await;
    projector.expect_err("it may not make its table");
    sqlx::raw_sql("GRANT USAGE, CREATE ON SCHEMA public TO reader")
        .execute(&pool)
        .await
        .expect("granted");
    let projector = Projector::new(&reader, Balances::<1>).catch_up().await;
    assert_eq!(projector.expect("it may make its table"), 2);
    let projector = Projector::new(&reader, Balances::<2>).catch_up().await;
    assert_eq!(projector.expect("it may switch"), 2);
}
