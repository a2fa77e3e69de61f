//! Runs both processes, places orders, kills what it has started, and looks whether the sums are right.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use oxcart::Oxcart;
use oxcart_postgres::{Projector, migrate};
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;
use crate::board::Board;
use crate::support::{Port, Postgres, Process, Server};
use crate::web::NewOrder;

const ORDERS: i64 = 200;
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn run() -> Result<()> {
    let redis = Server::start();
    let postgres = Postgres::start(&[]);
    let database = postgres.database().await;
    let pool = database.pool().await;
    migrate(&pool).await?;
    let tables = "CREATE TABLE till (cents bigint NOT NULL); INSERT INTO till VALUES (0); CREATE TABLE attempt (stream text NOT NULL)";
    sqlx::raw_sql(tables).execute(&pool).await?;
    let port = Port::claim();
    let services = Services {
        envs: vec![
            ("REDIS_URL", redis.url()),
            ("DATABASE_URL", database.url()),
            ("PORT", port.number().to_string()),
        ],
    };
    println!("a web service, a worker, a private Redis and a private PostgreSQL run");

    let mut web = services.start("web");
    let mut worker = services.start("worker");
    let mut kills = 0;
    let mut asked = 0;
    let began = Instant::now();
    for number in 0..ORDERS {
        // Some clients ask again, although they were answered.
        for _ in 0..fastrand::u32(1..=3) {
            asked += place(port.number(), number).await?;
        }
        if number % 40 == 20 {
            // Orders are under way then.
            tokio::time::sleep(Duration::from_millis(fastrand::u64(..100))).await;
            (web, worker) = (
                services.replace(web, "web"),
                services.replace(worker, "worker"),
            );
            kills += 2;
        }
    }
    println!(
        "{ORDERS} orders were placed in {asked} requests, in {:.1?}",
        began.elapsed()
    );
    wait_until_paid(&pool, began).await?;
    let attempts = number(&pool, "SELECT count(*) FROM attempt").await?;
    println!("all are paid, in {attempts} attempts; {kills} processes were killed");
    drop((web, worker));
    check(&pool, &redis).await
}

struct Services {
    envs: Vec<(&'static str, String)>,
}

impl Services {
    fn start(&self, service: &str) -> Process {
        let program = std::env::current_exe().expect("a process knows its own binary");
        let envs = self.envs.iter().map(|(name, value)| (name, value));
        let mut command = Command::new(program);
        command.arg(service).envs(envs).stdin(Stdio::null());
        Process::spawn(&mut command, None)
    }

    /// Kills it (SIGKILL), and starts another one.
    fn replace(&self, mut old: Process, service: &str) -> Process {
        old.kill();
        self.start(service)
    }
}

/// Asks until it is answered; how often that was.
async fn place(port: u16, number: i64) -> Result<u32> {
    let order = NewOrder {
        customer: format!("customer {}", number % 17),
        cents: 100 + number,
    };
    let body = serde_json::to_string(&order)?;
    let request = format!(
        "POST /orders/{number} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let began = Instant::now();
    for asked in 1.. {
        let answer = ask(port, &request).await.unwrap_or_default();
        if answer.starts_with("HTTP/1.1 202") {
            return Ok(asked);
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("order {number} is not taken: {answer}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    unreachable!("it asks until it returns")
}

async fn ask(port: u16, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// By the board, which has to be made, and to follow.
async fn wait_until_paid(pool: &PgPool, began: Instant) -> Result<()> {
    loop {
        let paid = number(pool, "SELECT count(*) FROM order_board WHERE paid > 0").await;
        if paid.is_ok_and(|paid| paid == ORDERS) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err("not all orders are paid".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn check(pool: &PgPool, redis: &Server) -> Result<()> {
    let expected: i64 = (0..ORDERS).map(|number| 100 + number).sum();
    let sums = [
        (
            "cents in the till",
            number(pool, "SELECT cents FROM till").await?,
            expected,
        ),
        (
            "cents of all orders on the board",
            number(pool, "SELECT sum(cents)::bigint FROM order_board").await?,
            expected,
        ),
        (
            "cents paid on the board",
            number(pool, "SELECT sum(paid)::bigint FROM order_board").await?,
            expected,
        ),
        (
            "events",
            number(pool, "SELECT count(*) FROM oxcart.event").await?,
            2 * ORDERS,
        ),
    ];
    for (what, found, expected) in sums {
        println!("{what}: {found}, expected {expected}");
        if found != expected {
            return Err(format!("{what}: {found} and not {expected}").into());
        }
    }
    // The board is what it would be if it were made of nothing but the events.
    let keep = "ALTER TABLE order_board RENAME TO board_before; DELETE FROM oxcart.projection";
    sqlx::raw_sql(keep).execute(pool).await?;
    Projector::new(pool, Board).catch_up().await?;
    let differences =
        "SELECT count(*) FROM (SELECT * FROM order_board EXCEPT SELECT * FROM board_before) AS a";
    if number(pool, differences).await? != 0 {
        return Err("the board differs from one that is made anew".into());
    }
    let oxcart = Oxcart::connect(&redis.url()).await?;
    let dead = oxcart.queue("payments")?.counts().await?.dead;
    if dead != 0 {
        return Err(format!("{dead} jobs are dead").into());
    }
    println!("the board equals one that is made anew, and no job is dead: all is right");
    Ok(())
}

async fn number(pool: &PgPool, query: &str) -> Result<i64> {
    Ok(sqlx::query_scalar(query).fetch_one(pool).await?)
}
