//! Starts everything, places orders, kills services, closes the bank, and looks whether all is as it must be.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use futures::stream::{self, StreamExt, TryStreamExt};
use oxcart::{Changed, Error, ErrorKind, JobId, Oxcart, Queue, Retention};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::audit::{self, Book, Seen};
use crate::contract::{self, NotPlaced, PlaceOrder, Placed, event_id, subject};
use crate::harness::{SERVICES, Server, Services};
use crate::outside::{Outside, is_declined};
use crate::payments::invoice;
use crate::warehouse::offers;
use crate::{PAYLOADS, connect};

const ORDERS: u64 = 200;
/// Customers that are in the shop at a time.
const CUSTOMERS: usize = 20;
const KILLS: usize = 16;
/// When the bank closes: so many customers have paid.
const PAID: usize = 20;
/// How often it may be asked while it is closed: by the calls that open the breaker, those that are under way then, and a probe each half second.
const ASKED_IN_VAIN: usize = 60;
const PATIENCE: Duration = Duration::from_secs(60);

/// What the shop answered to a customer.
type Answer = Result<Placed, NotPlaced>;

pub(crate) async fn run() -> Result<()> {
    let redis = Server::start();
    let folder = TempDir::new()?;
    let outside = Outside::in_folder(folder.path());
    let oxcart = connect(&redis.url(), "check", folder.path()).await?;
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
    let bank = close_bank_for_a_while(&oxcart, &outside);
    let (answers, (), closed) = tokio::join!(visit(&shop), services.trouble(KILLS), bank);
    let answers = answers?;
    closed?;
    println!(
        "{ORDERS} customers were answered; {KILLS} services were killed, and the bank was closed for a while"
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
    let interrupted = check_queues(&oxcart).await?;
    let left = sweep(&oxcart.queue("invoices")?, &folder.path().join(PAYLOADS)).await?;
    println!(
        "all invoices went through a folder, and a sweep has deleted {left} that kills had left over there"
    );
    let asked = outside.asked_in_vain()?;
    ensure!(
        asked <= ASKED_IN_VAIN,
        "the closed bank was asked {asked} times"
    );
    println!(
        "the closed bank was asked {asked} times, and {interrupted} jobs were interrupted by kills; none is dead, and nothing is left over: all is right"
    );
    Ok(())
}

/// Deletes the payloads that are left of jobs that are gone, because their process was killed between the two; how many there were.
async fn sweep(invoices: &Queue, folder: &Path) -> Result<usize> {
    ensure!(folder.is_dir(), "no payload was put into a folder");
    // A sweep leaves what is younger than an hour: the job of it may still come.
    let two_hours_ago = SystemTime::now() - Duration::from_secs(2 * 60 * 60);
    let left = files_in(folder)?;
    for file in &left {
        let opened = File::options().write(true).open(file);
        // A worker may be deleting it.
        match opened.and_then(|file| file.set_modified(two_hours_ago)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    invoices
        .sweep_payloads(Duration::from_secs(60 * 60))
        .await?;
    let after = files_in(folder)?;
    ensure!(after.is_empty(), "payloads are left over: {after:?}");
    Ok(left.len())
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => files.extend(files_in(&path)?),
            false => files.push(path),
        }
    }
    Ok(files)
}

/// Until its breaker has opened, and two seconds more.
async fn close_bank_for_a_while(oxcart: &Oxcart, outside: &Outside) -> Result<()> {
    let began = Instant::now();
    let charged = || Ok::<_, anyhow::Error>(outside.all()?.len());
    while charged()? < PAID {
        ensure!(began.elapsed() < PATIENCE, "too few orders are paid");
        sleep(Duration::from_millis(20)).await;
    }
    outside.close_bank()?;
    let breaker = oxcart.breaker("bank")?;
    while breaker.info().await?.opened == 0 {
        ensure!(began.elapsed() < PATIENCE, "the breaker has not opened");
        sleep(Duration::from_millis(20)).await;
    }
    sleep(Duration::from_secs(2)).await;
    outside.open_bank()?;
    Ok(())
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
        // The program of this customer dies when the request is sent. It starts again, and waits by the id; so the answer has to be kept until then.
        request.keep(Retention::For(PATIENCE)).await?;
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
    let topic = contract::orders(oxcart)?;
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
    let mut sources = BTreeSet::new();
    for (order, answer) in (0..).zip(answers) {
        let seen = book.get(&subject(order)).map_or(&[][..], Vec::as_slice);
        let names: Vec<&str> = seen.iter().map(|event| event.name.as_str()).collect();
        let expected = events_of(order, answer);
        ensure!(
            names == expected,
            "order {order} has the events {names:?}, and not {expected:?}"
        );
        let visit = correlation(order);
        let mut cause = event_id("order", order)?;
        for event in seen {
            let Seen {
                name,
                source,
                correlation,
                causation,
            } = event;
            ensure!(
                correlation.as_ref() == Some(&visit)
                    && causation.as_deref() == Some(cause.as_str()),
                "{event:?} belongs to {visit}, and {cause} has caused it"
            );
            sources.insert(source.as_str());
            cause = JobId::new(format!("{}-{order}", name.trim_start_matches("order-")))?;
        }
    }
    let all = SERVICES.map(|service| format!("/{service}"));
    let all: BTreeSet<&str> = all.iter().map(String::as_str).collect();
    ensure!(
        sources == all,
        "events came from {sources:?}, and not from {all:?}"
    );
    Ok(())
}

/// The bank, the lorries and the printer: each did what it must have done, and nothing else.
async fn check_outside(outside: &Outside, answers: &[Answer]) -> Result<()> {
    let mut expected = BTreeSet::new();
    let mut cents_of_all = 0;
    let began = Instant::now();
    for (order, answer) in (0..).zip(answers) {
        let cents = offers(article(order)).map(|offer| offer.cents).min();
        let told = answer.as_ref().ok().map(|placed| placed.cents);
        ensure!(told == cents, "the answer to order {order} was {answer:?}");
        let Some(paid) = cents.filter(|_| !is_declined(order)) else {
            continue;
        };
        cents_of_all += paid;
        // The invoice is printed when it is its turn.
        while outside.done("printed", order)? != Some(invoice(order, paid)) {
            ensure!(
                began.elapsed() < PATIENCE,
                "the invoice of order {order} is not right"
            );
            sleep(Duration::from_millis(50)).await;
        }
        let charged = outside.done("charged", order)?;
        ensure!(
            charged == Some(paid.to_string()),
            "order {order} was charged {charged:?}"
        );
        let done = ["charged", "shipped", "printed"];
        expected.extend(done.map(|what| format!("{what} {order}")));
    }
    let all = outside.all()?;
    let differ: Vec<_> = all.symmetric_difference(&expected).collect();
    ensure!(
        differ.is_empty(),
        "done and not to be done, or the reverse: {differ:?}"
    );
    println!("{cents_of_all} cents were paid; what was paid was shipped, and has its invoice");
    Ok(())
}

/// No job is dead, or anywhere else; how many were interrupted.
async fn check_queues(oxcart: &Oxcart) -> Result<u64> {
    let began = Instant::now();
    let mut interrupted = 0;
    for name in [
        "shop",
        "stock",
        "payments",
        "invoices",
        "warehouse",
        "audit",
    ] {
        loop {
            let counts = oxcart.queue(name)?.counts().await?;
            ensure!(counts.dead == 0, "{} jobs of {name} are dead", counts.dead);
            let open = counts.waiting + counts.active + counts.delayed + counts.blocked;
            if open == 0 {
                interrupted += counts.totals.stalled;
                break;
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "{open} jobs of {name} are left over"
            );
            sleep(Duration::from_millis(50)).await;
        }
    }
    ensure!(
        interrupted > 0,
        "no kill has hit a job: the check says nothing"
    );
    Ok(interrupted)
}
