//! The worker: it charges orders, carries what the outbox has, and keeps the board up to date.

use std::time::Duration;

use oxcart::{Context, Failure, Oxcart, State, Worker, shutdown_signal};
use oxcart_postgres::{EventStore, InTransaction, Inbox, Projector, Relay};
use sqlx::PgPool;

use crate::Result;
use crate::board::Board;
use crate::order::{Charge, Command, Order};

pub(crate) async fn run(oxcart: Oxcart, pool: PgPool) -> Result<()> {
    let worker = Worker::builder(&oxcart.queue("payments")?)
        .lease(Duration::from_secs(2))
        .state(pool.clone())
        .handle(Inbox::new(&pool).wrap(charge))
        .build()?;
    let relay = Relay::new(pool.clone(), oxcart.clone());
    let board = Projector::new(&pool, Board);
    // If one of them ends with an error, the process ends, and whatever watches it starts it again.
    tokio::try_join!(
        async { Result::Ok(worker.run_until(shutdown_signal()).await?) },
        async { Result::Ok(relay.run_until(shutdown_signal()).await?) },
        async { Result::Ok(board.run_until(shutdown_signal()).await?) },
    )?;
    Ok(())
}

/// The money, the event and the end of the job are one transaction. Whatever dies, the order is paid once.
async fn charge(
    job: Charge,
    context: Context,
    pool: State<PgPool>,
) -> std::result::Result<i64, Failure> {
    sqlx::query("INSERT INTO attempt (stream) VALUES ($1)")
        .bind(&job.order)
        .execute(&*pool)
        .await?;
    // What takes long comes before the transaction: here the bank is asked.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut tx = pool.begin().await?;
    // From here on the transaction ends if it is idle: a frozen process holds no till for ever.
    context.hold_in(&mut tx).await?;
    let store = EventStore::new();
    store
        .execute::<Order>(&mut tx, &job.order, Command::Pay)
        .await?;
    let take = "UPDATE till SET cents = cents + $1 RETURNING cents";
    let till = sqlx::query_scalar(take).bind(job.cents);
    let till: i64 = till.fetch_one(&mut *tx).await?;
    context.complete_in(&mut tx, &till).await?;
    tx.commit().await?;
    // Here a process may die as well as anywhere: the order is paid, and the worker has not said so.
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(till)
}
