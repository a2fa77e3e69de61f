//! Attempts of one job, one after the other and beside each other.

use std::time::Duration;

use oxcart::{Context, Failure, JobId, Timestamp};
use oxcart_postgres::{INCARNATION_HEADER, InTransaction, migrate};
use sqlx::PgPool;

use crate::rig::{add, add_once, attempt, balance, bank};
use crate::support::{database, eventually_async};

const PATIENCE: Duration = Duration::from_secs(20);

async fn run_once(pool: &PgPool, context: &Context) -> Result<i64, Failure> {
    let mut tx = pool.begin().await?;
    let given = add_once(context, &mut tx).await?;
    tx.commit().await?;
    Ok(given)
}

/// Waits until so many sessions wait for a lock.
async fn until_waiting(pool: &PgPool, sessions: i64) {
    eventually_async(PATIENCE, async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waiting: i64 = sqlx::query_scalar(waiting)
            .fetch_one(pool)
            .await
            .expect("it can be asked");
        waiting == sessions
    })
    .await;
}

#[tokio::test]
async fn an_effect_that_is_committed_is_not_repeated() {
    let pool = bank().await;
    let id = JobId::generate();
    for fence in [1, 2, 2, 7] {
        let given = run_once(&pool, &attempt(&id, fence)).await;
        assert_eq!(given.expect("it gives what the first gave"), 100);
    }
    assert_eq!(balance(&pool).await, 100);
    // Another job has its own.
    let other = run_once(&pool, &attempt(&JobId::generate(), 1)).await;
    assert_eq!(other.expect("another job"), 200);
}

#[tokio::test]
async fn an_effect_that_is_rolled_back_is_had_by_the_next_attempt() {
    let pool = bank().await;
    let id = JobId::generate();
    let mut tx = pool.begin().await.expect("a transaction");
    let given = add_once(&attempt(&id, 1), &mut tx).await;
    assert_eq!(given.expect("it runs"), 100);
    drop(tx);
    assert_eq!(balance(&pool).await, 0);

    let mut tx = pool.begin().await.expect("a transaction");
    let second = attempt(&id, 2);
    let failed = second.once(&mut tx, async |tx| {
        add(tx, 100).await?;
        Err::<i64, _>(Failure::dead("as asked"))
    });
    assert!(
        failed
            .await
            .is_err_and(|failure| failure.to_string() == "as asked")
    );
    drop(tx);
    let given = run_once(&pool, &attempt(&id, 3)).await;
    assert_eq!(given.expect("nothing was committed before"), 100);
}

#[tokio::test]
async fn each_named_effect_is_had_once() {
    let pool = bank().await;
    let id = JobId::generate();
    for (fence, name, given) in [
        (1, "a", 100),
        (1, "b", 200),
        (2, "a", 100),
        (2, "c", 300),
        (3, "b", 200),
    ] {
        let mut tx = pool.begin().await.expect("a transaction");
        let context = attempt(&id, fence);
        let run = context.once_named(&mut tx, name, async |tx| add(tx, 100).await);
        assert_eq!(run.await.expect("each in its turn"), given, "{name}");
        tx.commit().await.expect("committed");
    }
    let mut tx = pool.begin().await.expect("a transaction");
    let (late, early) = (attempt(&id, 4), attempt(&id, 2));
    late.hold_in(&mut tx).await.expect("the latest");
    let refused = early.once_named(&mut tx, "d", async |tx| add(tx, 100).await);
    assert!(
        refused
            .await
            .is_err_and(|failure| failure.to_string().contains("later attempt"))
    );
    let refused = late.once_named(&mut tx, "", async |tx| add(tx, 100).await);
    assert!(
        refused
            .await
            .is_err_and(|failure| failure.to_string().contains("is empty"))
    );
}

/// Once an effect without a name is there, the fences count all the same.
#[tokio::test]
async fn an_earlier_attempt_has_no_effect_beside_one_that_is_there() {
    let pool = bank().await;
    let id = JobId::generate();
    run_once(&pool, &attempt(&id, 5)).await.expect("the first");
    let mut tx = pool.begin().await.expect("a transaction");
    let early = attempt(&id, 4);
    assert_eq!(add_once(&early, &mut tx).await.expect("what is there"), 100);
    let refused = early.once_named(&mut tx, "more", async |tx| add(tx, 100).await);
    assert!(refused.await.is_err());
    assert!(early.hold_in(&mut tx).await.is_err());
}

#[tokio::test]
async fn once_a_later_attempt_has_been_here_an_earlier_one_is_refused() {
    let pool = bank().await;
    let id = JobId::generate();
    let (early, late) = (attempt(&id, 5), attempt(&id, 6));
    for context in [&early, &late] {
        let mut tx = pool.begin().await.expect("a transaction");
        context.hold_in(&mut tx).await.expect("each in its turn");
        tx.commit().await.expect("committed");
    }
    let mut tx = pool.begin().await.expect("a transaction");
    let refused = add_once(&early, &mut tx).await.expect_err("too late");
    assert!(refused.to_string().contains("(fence 6)"), "{refused}");
    for refused in [
        early.hold_in(&mut tx).await,
        early.complete_in(&mut tx, &1).await,
    ] {
        let refused = refused.expect_err("too late");
        assert_eq!(refused.kind(), oxcart_postgres::ErrorKind::Stale);
    }
    drop(tx);
    assert_eq!(
        run_once(&pool, &late).await.expect("the later one may"),
        100
    );
}

/// Whichever of two attempts comes first, and whether it commits or not: the other one waits, and there is one effect.
#[tokio::test]
async fn of_two_attempts_at_once_one_has_the_effect() {
    for (first_fence, second_fence) in [(1, 2), (2, 1)] {
        for first_commits in [true, false] {
            let pool = bank().await;
            let id = JobId::generate();
            let mut tx = pool.begin().await.expect("a transaction");
            let given = add_once(&attempt(&id, first_fence), &mut tx).await;
            assert_eq!(given.expect("nobody was here before"), 100);

            let second = tokio::spawn({
                let (pool, context) = (pool.clone(), attempt(&id, second_fence));
                async move { run_once(&pool, &context).await }
            });
            until_waiting(&pool, 1).await;
            match first_commits {
                true => tx.commit().await.expect("committed"),
                false => tx.rollback().await.expect("rolled back"),
            }
            let given = second
                .await
                .expect("no panic")
                .expect("it waits for its turn");
            assert_eq!((given, balance(&pool).await), (100, 100));
        }
    }
}

/// The same with the fence of the later attempt committed before: nothing is left for the earlier one.
#[tokio::test]
async fn an_attempt_that_waits_for_a_later_one_is_refused_when_that_ends_without_effect() {
    let pool = bank().await;
    let id = JobId::generate();
    let late = attempt(&id, 9);
    let mut tx = pool.begin().await.expect("a transaction");
    late.hold_in(&mut tx).await.expect("the first");
    let early = tokio::spawn({
        let (pool, context) = (pool.clone(), attempt(&id, 8));
        async move { run_once(&pool, &context).await }
    });
    until_waiting(&pool, 1).await;
    tx.commit().await.expect("committed");
    let refused = early.await.expect("no panic").expect_err("too late");
    assert!(refused.to_string().contains("later attempt"), "{refused}");
    assert_eq!(balance(&pool).await, 0);
}

/// As PostgreSQL writes it: `59s`, or `59998ms`.
fn is_40_to_60_s(time: &str) -> bool {
    let ms = match (time.strip_suffix("ms"), time.strip_suffix('s')) {
        (Some(ms), _) => ms.parse().ok(),
        (_, Some(s)) => s.parse().ok().map(|s: u64| s * 1_000),
        _ => None,
    };
    ms.is_some_and(|ms| (40_000..=60_000).contains(&ms))
}

/// Else a frozen process would hold its job for ever.
#[tokio::test]
async fn a_transaction_that_holds_a_job_ends_when_it_is_idle_for_two_leases() {
    let pool = bank().await;
    let limit = "SELECT current_setting('idle_in_transaction_session_timeout')";
    for (set, found) in [
        ("0", "1min"),
        ("1h", "1min"),
        ("15s", "15s"),
        ("1500ms", "1500ms"),
    ] {
        for completes in [false, true] {
            let context = attempt(&JobId::generate(), 1);
            let mut tx = pool.begin().await.expect("a transaction");
            let set = format!("SET LOCAL idle_in_transaction_session_timeout = '{set}'");
            sqlx::query(&set).execute(&mut *tx).await.expect("set");
            match completes {
                true => context.complete_in(&mut tx, &()).await.expect("completed"),
                false => context.hold_in(&mut tx).await.expect("held"),
            }
            let now: String = sqlx::query_scalar(limit)
                .fetch_one(&mut *tx)
                .await
                .expect("a setting");
            // What is left of the lease is less than all of it, and a busy machine takes its time.
            let about = if found == "1min" {
                now == "1min" || is_40_to_60_s(&now)
            } else {
                now == found
            };
            assert!(about, "{set}: {now}");
            tx.rollback().await.expect("rolled back");
            let after: String = sqlx::query_scalar(limit)
                .fetch_one(&pool)
                .await
                .expect("a setting");
            assert_eq!(after, "0", "it is about this transaction alone");
        }
    }
}

#[tokio::test]
async fn a_chosen_id_that_is_used_again_is_another_job_and_a_made_one_is_not() {
    let pool = bank().await;
    let at = |id: &JobId, ms: u64| {
        let context = Context::builder().id(id.clone());
        context.enqueued_at(Timestamp::from_millis(ms))
    };
    let chosen = JobId::new("invoice-42").expect("an id");
    let made = JobId::generate();
    let tick = JobId::new("nightly@1735700400000").expect("an id");
    let mut expected = 0;
    for (id, ms, is_new) in [
        (&chosen, 1_000, true),
        (&chosen, 1_000, false),
        (&chosen, 2_000, true),
        (&made, 1_000, true),
        (&made, 2_000, false),
        (&tick, 1_000, true),
        (&tick, 2_000, false),
    ] {
        expected += if is_new { 100 } else { 0 };
        run_once(&pool, &at(id, ms).build()).await.expect("it runs");
        assert_eq!(balance(&pool).await, expected, "{id} at {ms}");
    }
    // Who sends a job again says that it is the same.
    for (ms, text) in [(3_000, "a"), (4_000, "a"), (4_000, "b")] {
        let context = at(&chosen, ms).header(INCARNATION_HEADER, text).build();
        run_once(&pool, &context).await.expect("it runs");
    }
    assert_eq!(balance(&pool).await, expected + 200);
    let long = at(&chosen, 1)
        .header(INCARNATION_HEADER, "x".repeat(257))
        .build();
    assert!(
        run_once(&pool, &long)
            .await
            .is_err_and(|error| error.to_string().contains("256"))
    );
}

#[tokio::test]
async fn what_is_wrong_is_told_with_what_to_do() {
    let pool = database().await.pool().await;
    let context = attempt(&JobId::generate(), 1);
    let mut tx = pool.begin().await.expect("a transaction");
    let error = context.hold_in(&mut tx).await.expect_err("no tables");
    assert_eq!(error.kind(), oxcart_postgres::ErrorKind::NotMigrated);
    assert!(error.to_string().contains("migrate(&pool)"), "{error}");
    let error = context.complete_in(&mut tx, &1).await.expect_err("aborted");
    assert_eq!(error.kind(), oxcart_postgres::ErrorKind::Aborted);
    assert!(error.to_string().contains("roll it back"), "{error}");
    drop(tx);

    migrate(&pool).await.expect("migrated");
    let mut tx = pool.begin().await.expect("a transaction");
    let read_only = sqlx::query("SET TRANSACTION READ ONLY").execute(&mut *tx);
    read_only.await.expect("set");
    let error = context.hold_in(&mut tx).await.expect_err("read-only");
    assert_eq!(error.kind(), oxcart_postgres::ErrorKind::ReadOnly);
    drop(tx);

    // What the first gave was a number.
    let mut tx = pool.begin().await.expect("a transaction");
    let given = context.once(&mut tx, async |_| Ok(7u64)).await;
    assert_eq!(given.expect("stored"), 7);
    let unreadable = context.once(&mut tx, async |_| Ok(String::new())).await;
    let unreadable = unreadable.expect_err("no text");
    assert!(
        unreadable.to_string().contains("did the type change?"),
        "{unreadable}"
    );
}
