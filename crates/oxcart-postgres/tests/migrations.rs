//! Making the tables.

mod support;

use std::time::Duration;

use oxcart_postgres::{ErrorKind, migrate};
use sqlx::postgres::PgPoolOptions;
use support::database;

#[tokio::test]
async fn migrations_run_once_whoever_runs_them_and_how_often() {
    let database = database().await;
    let pool = database.pool().await;
    let runs: Vec<_> = (0..5)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { migrate(&pool).await })
        })
        .collect();
    for run in runs {
        run.await.expect("no panic").expect("migrated");
    }
    migrate(&pool).await.expect("nothing to be done");
    let ran: Vec<i32> = sqlx::query_scalar("SELECT version FROM oxcart.migration ORDER BY version")
        .fetch_all(&pool)
        .await
        .expect("the table is there");
    let expected: Vec<i32> = (1..).take(ran.len()).collect();
    assert!(ran.len() > 1 && ran == expected, "{ran:?}");
}

#[tokio::test]
async fn one_connection_is_enough() {
    let database = database().await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(10));
    let pool = pool.connect_with(database.options.clone()).await;
    let pool = pool.expect("a connection");
    migrate(&pool).await.expect("migrated");
    migrate(&pool).await.expect("nothing to be done");
}

/// Who waits for another process sees what that has done, whatever the isolation level of the database.
#[tokio::test]
async fn the_isolation_level_does_not_matter() {
    let database = database().await;
    let strict = [("default_transaction_isolation", "serializable")];
    let options = database.options.clone().options(strict);
    let pool = PgPoolOptions::new().max_connections(10);
    let pool = pool.connect_with(options).await.expect("a connection");
    let runs: Vec<_> = (0..5)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { migrate(&pool).await })
        })
        .collect();
    for run in runs {
        run.await.expect("no panic").expect("migrated");
    }
}

#[tokio::test]
async fn tables_of_a_newer_version_are_left_alone() {
    let database = database().await;
    let pool = database.pool().await;
    migrate(&pool).await.expect("migrated");
    sqlx::query("INSERT INTO oxcart.migration (version, name) VALUES (999, 'of tomorrow')")
        .execute(&pool)
        .await
        .expect("the table is there");
    let error = migrate(&pool).await.expect_err("too new");
    assert_eq!(error.kind(), ErrorKind::NewerSchema);
    assert!(error.to_string().contains("update"), "{error}");
}

/// A program whose user may not make tables starts where they are there.
#[tokio::test]
async fn where_nothing_is_to_be_done_nothing_is_needed() {
    let database = database().await;
    let pool = database.pool().await;
    let owner = pool.acquire().await.expect("a connection");
    sqlx::raw_sql("CREATE ROLE clerk LOGIN")
        .execute(&pool)
        .await
        .expect("a role");
    let clerk = database.options.clone().username("clerk");
    let clerk = sqlx::PgPool::connect_with(clerk)
        .await
        .expect("a connection");
    let error = migrate(&clerk).await.expect_err("a clerk may not");
    assert_eq!(error.kind(), ErrorKind::Unsuitable, "{error}");
    migrate(&pool).await.expect("migrated");
    sqlx::raw_sql(
        "GRANT USAGE ON SCHEMA oxcart TO clerk; GRANT SELECT ON oxcart.migration TO clerk",
    )
    .execute(&pool)
    .await
    .expect("granted");
    migrate(&clerk).await.expect("nothing to be done");
    drop(owner);
}
