//! Starts everything, places orders, kills services, closes the bank, and looks whether all is as it must be.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::stream::{self, StreamExt, TryStreamExt};
use oxcart::{Changed, Error, ErrorKind, JobId, Oxcart, Queue};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::audit::{self, Book, Seen};
use crate::contract::{NotPlaced, PlaceOrder, Placed, event_id, subject};
use crate::outside::{Outside, is_declined};
use crate::payments::invoice;
use crate::warehouse::offers;

#[allow(
    dead_code,
    unreachable_pub,
    reason = "the private server is that of the tests"
)]
#[path = "../../../tests/support/port.rs"]
mod port;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "processes are those of the tests"
)]
#[allow(
    clippy::panic,
    reason = "a process that cannot be started ends the check"
)]
#[path = "../../../tests/support/process.rs"]
mod process;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the private server is that of the tests"
)]
#[path = "../../../crates/oxcart-cli/tests/cli/support/road.rs"]
mod road;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the private server is that of the tests"
)]
#[allow(
    clippy::panic,
    reason = "a server that cannot be started ends the check"
)]
#[path = "../../../tests/support/server.rs"]
mod server;

use process::Process;
use server::Server;

const ORDERS: u64 = 200;
/// Customers that are in the shop at a time.
const CUSTOMERS: usize = 20;
const SERVICES: [&str; 4] = ["shop", "old-shop", "payments", "warehouse"];
const KILLS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(60);

/// What the shop answered to a customer.
type Answer = Result<Placed, NotPlaced>;

pub(crate) async fn run() -> Result<()> {
    let redis = Server::start();
    let folder = TempDir::new()?;
    let outside = Outside::in_folder(folder.path());
    let oxcart = Oxcart::connect(&redis.url()).await?;
    let envs = vec![
        ("REDIS_URL", redis.url()),
        ("OUTSIDE", folder.path().display().to_string()),
    ];
    let mut services = Services::start(envs);
    println!(
        "a shop in its old and its new release, payments and a warehouse run, each in a process of its own"
    );

    let began = Instant::now();
    let shop = oxcart.queue("shop")?;
    let bank = async {
        sleep(Duration::from_secs(1)).await;
        outside.close_bank()?;
        sleep(Duration::from_secs(3)).await;
        outside.open_bank()
    };
    let (answers, kills, closed) = tokio::join!(visit(&shop), services.trouble(), bank);
    let answers = answers?;
    closed?;
    println!(
        "{ORDERS} customers were answered; {kills} services were killed, and the bank was closed for 3 s"
    );

    refuses_strangers(&shop).await?;
    let expected = answers
        .iter()
        .zip(0..)
        .map(|(answer, order)| events_of(order, answer));
    let expected: usize = expected.map(|events| events.len()).sum();
    wait_for_events(&oxcart, expected).await?;
    println!(
        "{expected} events were published, {:.1?} after the first order",
        began.elapsed()
    );
    let book = audit::read(&oxcart, expected, PATIENCE).await?;
    check_events(&answers, &book)?;
    println!(
        "the audit joined late, and got each event once, in order for each order, with what caused it"
    );
    check_outside(&outside, &answers).await?;
    check_queues(&oxcart).await?;
    println!(
        "the closed bank was asked {} times; no job is dead, and nothing is left over: all is right",
        outside.asked_in_vain()?
    );
    Ok(())
}

struct Services {
    envs: Vec<(&'static str, String)>,
    running: Vec<Process>,
}

impl Services {
    fn start(envs: Vec<(&'static str, String)>) -> Self {
        let mut services = Self {
            envs,
            running: Vec::new(),
        };
        services.running = SERVICES.iter().map(|name| services.spawn(name)).collect();
        services
    }

    fn spawn(&self, service: &str) -> Process {
        let program = std::env::current_exe().expect("a process knows its own binary");
        let envs = self.envs.iter().map(|(name, value)| (name, value));
        let mut command = Command::new(program);
        command.arg(service).envs(envs).stdin(Stdio::null());
        Process::spawn(&mut command, None)
    }

    /// Kills one service after the other (SIGKILL), and starts it anew; how many.
    async fn trouble(&mut self) -> usize {
        for _ in 0..KILLS {
            sleep(Duration::from_millis(fastrand::u64(100..600))).await;
            let one = fastrand::usize(..SERVICES.len());
            self.running[one].kill();
            self.running[one] = self.spawn(SERVICES[one]);
        }
        KILLS
    }
}

fn article(order: u64) -> &'static str {
    match order % 10 {
        5 => "unicorn",
        even if even % 2 == 0 => "tea",
        _ => "teapot",
    }
}

/// What one visit to the shop has in common: the order, its events, all that is done for it.
fn correlation(order: u64) -> String {
    format!("visit-{order}")
}

/// All customers; their answers in the order of their numbers.
async fn visit(shop: &Queue) -> Result<Vec<Answer>, Error> {
    let visits = stream::iter(0..ORDERS).map(|order| place(shop, order));
    visits.buffered(CUSTOMERS).try_collect().await
}

async fn place(shop: &Queue, order: u64) -> Result<Answer, Error> {
    let id = event_id("order", order)?;
    let job = PlaceOrder {
        order,
        article: article(order).to_owned(),
    };
    let request = shop
        .enqueue(job)
        .id(id.clone())
        .header("customer", format!("customer {order}"))
        .correlation_id(correlation(order));
    if order % 10 == 3 {
        // The program of this customer dies when the request is sent. It starts again, and waits by the id.
        request.await?;
        return shop
            .handle::<PlaceOrder>(id)
            .result()
            .within(PATIENCE)
            .await;
    }
    request.result().within(PATIENCE).await
}

/// The middleware of the shop does.
async fn refuses_strangers(shop: &Queue) -> Result<()> {
    let job = PlaceOrder {
        order: ORDERS,
        article: article(0).to_owned(),
    };
    let request = shop.enqueue(job);
    let refused = request.result().within(PATIENCE).await.unwrap_err();
    ensure!(
        refused.kind() == ErrorKind::Dead,
        "a stranger was told: {refused}"
    );
    let id = refused.job_id().context("the error names no job")?;
    ensure!(
        shop.remove(id).await? == Changed::Done,
        "the dead request is gone"
    );
    Ok(())
}

/// The names of the events of an order, in order.
fn events_of(order: u64, answer: &Answer) -> Vec<&'static str> {
    match answer {
        Err(NotPlaced::NotSold) => vec![],
        Ok(_) if is_declined(order) => vec!["order-placed", "order-declined"],
        Ok(_) => vec!["order-placed", "order-paid", "order-shipped"],
    }
}

async fn wait_for_events(oxcart: &Oxcart, expected: usize) -> Result<()> {
    let topic = crate::contract::orders(oxcart)?;
    let began = Instant::now();
    loop {
        let events = topic.info().await?.published;
        if events >= expected as u64 {
            ensure!(
                events == expected as u64,
                "{events} events, and not {expected}"
            );
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            bail!("{events} of {expected} events were published");
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn check_events(answers: &[Answer], book: &Book) -> Result<()> {
    for (order, answer) in (0..).zip(answers) {
        let none = Vec::new();
        let seen = book.get(&subject(order)).unwrap_or(&none);
        let names: Vec<&str> = seen.iter().map(|event| event.name.as_str()).collect();
        let expected = events_of(order, answer);
        ensure!(
            names == expected,
            "order {order} has the events {names:?}, and not {expected:?}"
        );
        let mut cause = event_id("order", order)?;
        for Seen {
            name,
            source,
            correlation: of,
            causation,
        } in seen
        {
            let visit = correlation(order);
            ensure!(
                of.as_deref() == Some(visit.as_str()),
                "{name} of order {order} belongs to {of:?}"
            );
            ensure!(
                causation.as_deref() == Some(cause.as_str()),
                "{name} of order {order} was caused by {causation:?}, and not by {cause}"
            );
            ensure!(
                SERVICES.contains(&source.trim_start_matches('/')),
                "{name} comes from {source}"
            );
            cause = JobId::new(name.replacen("order-", "", 1) + &format!("-{order}"))?;
        }
    }
    Ok(())
}

/// The bank, the lorries and the printer: each did what it must have done, once, and nothing else.
async fn check_outside(outside: &Outside, answers: &[Answer]) -> Result<()> {
    let began = Instant::now();
    let mut cents_of_all = 0;
    for (order, answer) in (0..).zip(answers) {
        let is_sold = article(order) != "unicorn";
        ensure!(
            answer.is_ok() == is_sold,
            "the answer to order {order} was {answer:?}"
        );
        let cents = offers(article(order)).map(|offer| offer.cents).min();
        ensure!(
            cents == answer.as_ref().ok().map(|placed| placed.cents),
            "order {order}: {answer:?}"
        );
        let paid = cents.filter(|_| !is_declined(order));
        let printed = paid.map(|cents| invoice(order, cents));
        // The invoice is printed whenever it is its turn.
        while outside.done("printed", order)? != printed {
            ensure!(
                began.elapsed() < PATIENCE,
                "the invoice of order {order} is not right"
            );
            sleep(Duration::from_millis(50)).await;
        }
        let charged = outside.done("charged", order)?;
        ensure!(
            charged == paid.map(|cents| cents.to_string()),
            "order {order} was charged {charged:?}"
        );
        let shipped = outside.done("shipped", order)?.is_some();
        ensure!(
            shipped == paid.is_some(),
            "order {order}, shipped: {shipped}"
        );
        cents_of_all += paid.unwrap_or(0);
    }
    println!("{cents_of_all} cents were paid; what was paid was shipped, and has its invoice");
    Ok(())
}

/// No job is dead, or anywhere else.
async fn check_queues(oxcart: &Oxcart) -> Result<()> {
    for name in [
        "shop",
        "stock",
        "payments",
        "invoices",
        "warehouse",
        "audit",
    ] {
        let began = Instant::now();
        loop {
            let counts = oxcart.queue(name)?.counts().await?;
            ensure!(counts.dead == 0, "{} jobs of {name} are dead", counts.dead);
            let open = counts.waiting + counts.active + counts.delayed + counts.blocked;
            if open == 0 {
                break;
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "{open} jobs of {name} are left over"
            );
            sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}
