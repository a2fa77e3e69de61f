//! What is in the way of a relay, and of its other queues.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxcart::Queue;
use oxcart_postgres::{ErrorKind, Outbox, Relay};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::rig::{Entry, PATIENCE, Rig, enter_many, relay, run};
use crate::silent::SilentWay;
use crate::support::{database, eventually_async};

fn entry(number: i64) -> Entry {
    Entry { key: 0, number }
}

async fn add(pool: &PgPool, queue: &Queue, jobs: i64) {
    let mut connection = pool.acquire().await.expect("a connection");
    let added = Outbox::new()
        .enqueue_many(&mut connection, queue, (0..jobs).map(entry))
        .await;
    added.expect("written");
}

async fn has(queue: &Queue, jobs: u64) -> bool {
    let counts = queue.counts().await;
    counts.is_ok_and(|counts| counts.left() == jobs)
}

/// The connection on which rows are taken dies without a word: the relay gives it up after half a minute, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_dies_without_a_word_is_given_up() {
    let database = database().await;
    let rig = Rig::with(database.pool().await).await;
    add(&rig.pool, &rig.queue, 3).await;
    let way = SilentWay::start(&database.options, "oxcart.outbox_take", 1).await;
    let pool = PgPoolOptions::new().max_connections(4);
    let pool = pool.acquire_timeout(Duration::from_secs(2));
    let troubles = Arc::new(Mutex::new(Vec::new()));
    let relay = Relay::new(
        pool.connect_lazy_with(way.options.clone()),
        rig.oxcart.clone(),
    );
    let relay = run(relay.on_trouble({
        let troubles = Arc::clone(&troubles);
        move |error| troubles.lock().expect("no panic").push(error.to_string())
    }));
    eventually_async(PATIENCE, async || has(&rig.queue, 3).await).await;
    assert!(way.swallowed.load(Ordering::SeqCst) >= 1);
    let said = troubles.lock().expect("no panic").join("\n");
    assert!(said.contains("did not answer within 30s"), "{said}");
    relay.stop().await;
}

/// What PostgreSQL refuses to one queue is no trouble to others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_queue_that_cannot_be_served_holds_up_no_other() {
    let rig = Rig::new().await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON oxcart.outbox_sent FOR EACH ROW WHEN (NEW.queue = 'work') EXECUTE FUNCTION refuse()";
    sqlx::raw_sql(refuse)
        .execute(&rig.pool)
        .await
        .expect("made");
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let relay = Relay::new(rig.pool.clone(), rig.oxcart.clone());
    let relay = run(relay.on_trouble({
        let kinds = Arc::clone(&kinds);
        move |error| kinds.lock().expect("no panic").push(error.kind())
    }));
    let other = rig.oxcart.queue("other").expect("a name");
    add(&rig.pool, &rig.queue, 1).await;
    for round in 1..=5 {
        add(&rig.pool, &other, 1).await;
        let is_there = eventually_async(PATIENCE, async || has(&other, round).await);
        is_there.await;
        let tried = || kinds.lock().expect("no panic").len();
        let before = tried();
        eventually_async(PATIENCE, async || tried() > before).await;
    }
    assert!(has(&rig.queue, 0).await);
    let seen = kinds.lock().expect("no panic").clone();
    assert!(
        seen.iter().all(|kind| *kind == ErrorKind::Database),
        "{seen:?}"
    );
    let allow = "DROP TRIGGER refuse ON oxcart.outbox_sent";
    sqlx::raw_sql(allow).execute(&rig.pool).await.expect("done");
    eventually_async(PATIENCE, async || has(&rig.queue, 1).await).await;
    relay.stop().await;
}

/// Many more queues than connections, and than are served at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_queues_take_turns() {
    let database = database().await;
    let rig = Rig::with(database.pool().await).await;
    let mut queues = Vec::new();
    for number in 0..100 {
        let queue = rig
            .oxcart
            .queue(&format!("queue-{number}"))
            .expect("a name");
        add(&rig.pool, &queue, 20).await;
        queues.push(queue);
    }
    let few = PgPoolOptions::new().max_connections(2);
    let few = few.connect_lazy_with(database.options.clone());
    let relay = relay(&few, &rig.oxcart);
    for queue in &queues {
        eventually_async(PATIENCE, async || has(queue, 20).await).await;
    }
    relay.stop().await;
}

/// Whatever the database has as its default, slots are emptied, and no row that is needed goes with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stricter_isolation_changes_nothing() {
    let database = database().await;
    let rig = Rig::with(database.pool().await).await;
    let set = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database()); END $$";
    sqlx::raw_sql(set).execute(&rig.pool).await.expect("set");
    let strict = database.pool().await;
    let wrong = sqlx::query("SELECT oxcart.outbox_rotate('1 s')")
        .execute(&strict)
        .await;
    let wrong = wrong.expect_err("it would not see what was committed meanwhile");
    assert!(wrong.to_string().contains("READ COMMITTED"), "{wrong}");

    let relay = Relay::new(strict.clone(), rig.oxcart.clone()).keep(Duration::from_millis(300));
    let relay = run(relay);
    enter_many(&rig.pool, &rig.queue, 200).await;
    rig.until_sent().await;
    let kept = async || {
        let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM oxcart.outbox_sent")
            .fetch_one(&rig.pool)
            .await
            .expect("counted");
        kept
    };
    eventually_async(PATIENCE, async || kept().await == 0).await;
    let entries = crate::rig::committed(&rig.pool).await.len();
    assert!(has(&rig.queue, entries as u64).await);
    relay.stop().await;
}

/// A relay that only looks does not let the relay at work believe that nothing waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_looks_hides_no_rows_from_the_one_at_work() {
    const ROWS: i64 = 200;
    let rig = Rig::new().await;
    add(&rig.pool, &rig.queue, ROWS).await;
    let take = async |pool: &PgPool, known: i64, relay: &str| {
        let take =
            "SELECT upto FROM oxcart.outbox_take('work', $1, $2::uuid, false, '10 s', 1, 1000)";
        let taken: Option<i64> = sqlx::query_scalar(take)
            .bind(known)
            .bind(relay)
            .fetch_one(pool)
            .await
            .expect("taken");
        taken
    };
    let (holder, other) = (
        "00000000-0000-0000-0000-000000000001",
        "00000000-0000-0000-0000-000000000002",
    );
    assert_eq!(take(&rig.pool, 0, holder).await, Some(1));
    let lookers: Vec<_> = (0..3)
        .map(|_| {
            let pool = rig.pool.clone();
            tokio::spawn(async move {
                let mut looks = 0;
                loop {
                    let look = "SELECT upto FROM oxcart.outbox_take('work', 0, $1::uuid, false, '10 s', 1, 1000)";
                    let seen: Result<Option<i64>, _> =
                        sqlx::query_scalar(look).bind(other).fetch_one(&pool).await;
                    assert_eq!(seen.expect("answered"), None);
                    looks += 1;
                    if looks > 2_000 {
                        return;
                    }
                }
            })
        })
        .collect();
    for known in 1..ROWS {
        assert_eq!(take(&rig.pool, known, holder).await, Some(known + 1));
    }
    for looker in lookers {
        looker.abort();
        assert!(looker.await.err().is_none_or(|error| error.is_cancelled()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_times_are_as_good_as_others() {
    let rig = Rig::new().await;
    let relay = Relay::new(rig.pool.clone(), rig.oxcart.clone());
    let relay = run(relay.keep(Duration::MAX).poll(Duration::MAX));
    add(&rig.pool, &rig.queue, 2).await;
    eventually_async(PATIENCE, async || has(&rig.queue, 2).await).await;
    relay.stop().await;
}
