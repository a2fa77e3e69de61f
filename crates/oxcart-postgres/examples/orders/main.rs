//! An order service in two processes, with an outbox, an inbox, an event store and a projection. `make example-orders` runs it.
//!
//! - `web` takes orders by HTTP ([`web`]). An order and the job that charges it are committed together.
//! - `worker` charges the orders ([`work`]). The money, the event and the end of the job are committed together. It also carries what the outbox has to
//!   Redis, and keeps the board of orders up to date.
//! - Without an argument it starts a private Redis, a private PostgreSQL and both processes, places orders, some of them several times, kills both
//!   processes now and then, and looks at the end whether the sums are right ([`check`]).
#![allow(
    clippy::panic,
    reason = "the private servers are those of the tests, and an example that cannot start them ends"
)]

mod board;
mod check;
mod order;
#[path = "../../tests/support/mod.rs"]
mod support;
mod web;
mod work;

use std::error::Error;

use oxcart::Oxcart;
use sqlx::PgPool;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("web") => web::run(oxcart().await?, pool().await?).await,
        Some("worker") => work::run(oxcart().await?, pool().await?).await,
        Some(other) => {
            Err(format!("`{other}`: there are `web` and `worker`; without any, both").into())
        }
        None => check::run().await,
    }
}

/// Where Redis is: `REDIS_URL`, or the usual place.
async fn oxcart() -> Result<Oxcart> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    Ok(Oxcart::connect(&url).await?)
}

/// Where PostgreSQL is: `DATABASE_URL`. Each process makes the tables, if they are not there.
async fn pool() -> Result<PgPool> {
    let url = std::env::var("DATABASE_URL").map_err(|_| "DATABASE_URL is not set")?;
    let pool = PgPool::connect(&url).await?;
    oxcart_postgres::migrate(&pool).await?;
    Ok(pool)
}
