//! What the inbox adds to a transaction, and how fast the event store is: `cargo run --release -p oxcart-postgres --example inbox_pace -- [events]`.
//!
//! It starts a PostgreSQL of its own, which writes to disk as it does by default.

use std::error::Error;
use std::time::{Duration, Instant};

use oxcart::{Context, JobId};
use oxcart_postgres::{
    Event, EventStore, Expected, InTransaction, Projection, ProjectionError, Projector, Recorded,
    migrate,
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use tokio::task::JoinSet;

#[path = "../tests/support/mod.rs"]
mod support;

type Done<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

const WRITERS: usize = 8;

#[derive(Serialize, Deserialize)]
enum Moved {
    By(i64),
}

impl Event for Moved {}

struct Sums;

impl Projection for Sums {
    const NAME: &'static str = "sums";

    async fn create(&self, tx: &mut PgConnection, table: &str) -> Result<(), ProjectionError> {
        let create = format!("CREATE TABLE {table} (stream text PRIMARY KEY, sum int8 NOT NULL)");
        sqlx::query(&create).execute(tx).await?;
        Ok(())
    }

    async fn apply(
        &self,
        tx: &mut PgConnection,
        table: &str,
        event: &Recorded,
    ) -> Result<(), ProjectionError> {
        let Moved::By(number) = event.decode()?;
        let add = format!(
            "INSERT INTO {table} AS t VALUES ($1, $2) ON CONFLICT (stream) DO UPDATE SET sum = t.sum + $2"
        );
        let add = sqlx::query(&add).bind(&event.stream).bind(number);
        add.execute(tx).await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Done {
    let events = std::env::args().nth(1).map(|number| number.parse());
    let events = events.transpose()?.unwrap_or(50_000);
    let server = support::Postgres::start(&["max_wal_size=4GB"]);
    let pool = server.database().await.pool().await;
    migrate(&pool).await?;
    inbox(&pool).await?;
    event_store(&pool, events).await
}

/// Each kind of transaction in turn, so that all of them meet the same disk.
async fn inbox(pool: &PgPool) -> Done {
    const ROUNDS: u32 = 500;
    sqlx::raw_sql("CREATE TABLE account (id int8 PRIMARY KEY, cents int8 NOT NULL)")
        .execute(pool)
        .await?;
    let kinds = ["alone", "once", "once_named", "hold_in and complete_in"];
    let mut times = [Duration::ZERO; 4];
    for round in 0..ROUNDS {
        for (kind, time) in times.iter_mut().enumerate() {
            let context = Context::builder().id(JobId::generate()).fence(1).build();
            let id = i64::from(round) * 4 + i64::try_from(kind)?;
            let began = Instant::now();
            let mut tx = pool.begin().await?;
            match kind {
                0 => add(&mut tx, id).await?,
                1 => {
                    let once = context.once(&mut tx, async |tx| Ok(add(tx, id).await?));
                    once.await.map_err(|failure| failure.to_string())?;
                }
                2 => {
                    let once =
                        context.once_named(&mut tx, "add", async |tx| Ok(add(tx, id).await?));
                    once.await.map_err(|failure| failure.to_string())?;
                }
                _ => {
                    context.hold_in(&mut tx).await?;
                    add(&mut tx, id).await?;
                    context.complete_in(&mut tx, &()).await?;
                }
            }
            tx.commit().await?;
            *time += began.elapsed();
        }
    }
    for (kind, time) in kinds.iter().zip(times) {
        println!("a transaction of one insert, {kind}: {:?}", time / ROUNDS);
    }
    Ok(())
}

async fn add(tx: &mut PgConnection, id: i64) -> Result<(), sqlx::Error> {
    let add = sqlx::query("INSERT INTO account VALUES ($1, 100)").bind(id);
    add.execute(tx).await.map(drop)
}

async fn event_store(pool: &PgPool, events: usize) -> Done {
    let began = Instant::now();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let pool = pool.clone();
        writers.spawn(async move {
            for number in 0..events / WRITERS {
                let stream = format!("stream-{writer}-{}", number % 125);
                let mut connection = pool.acquire().await?;
                let append =
                    EventStore.append(&mut connection, &stream, Expected::Any, &[Moved::By(1)]);
                append.await?;
            }
            Done::Ok(())
        });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    told(
        &format!(
            "appended, each in a transaction of its own, by {WRITERS} writers to 1,000 streams"
        ),
        events,
        began,
    );
    let began = Instant::now();
    let mut after = 0;
    loop {
        let page = EventStore.read_all(pool, after, 1_000).await?;
        let Some(last) = page.last() else { break };
        after = last.position.unwrap_or(u64::MAX);
    }
    told("read", events, began);
    let began = Instant::now();
    Projector::new(pool, Sums).catch_up().await?;
    told(
        "taken in by a projection of one statement each",
        events,
        began,
    );
    Ok(())
}

fn told(what: &str, events: usize, began: Instant) {
    let pace = events as f64 / began.elapsed().as_secs_f64();
    println!("{events} events {what}: {pace:.0}/s");
}
