//! What goes on: mails, pictures, payments and reports, some of which fail.

use std::time::Duration;

use anyhow::Result;
use oxcart::{Context, Failure, Job, Oxcart, Worker, Workers};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

const MERCHANTS: [&str; 5] = ["acme", "globex", "initech", "umbrella", "wonka"];

#[derive(Serialize, Deserialize)]
struct SendMail {
    to: String,
    subject: String,
}

impl Job for SendMail {
    const NAME: &'static str = "send-mail";
    const QUEUE: &'static str = "mail";
    type Output = ();
}

async fn send_mail(_: SendMail) -> Result<(), Failure> {
    sleep(some(20..200)).await;
    match fastrand::u32(0..30) {
        0 => Err("421 4.7.0 the server is busy, try again later".into()),
        _ => Ok(()),
    }
}

#[derive(Serialize, Deserialize)]
struct Resize {
    picture: u64,
    widths: Vec<u32>,
}

impl Job for Resize {
    const NAME: &'static str = "resize";
    const QUEUE: &'static str = "pictures";
    type Output = Vec<String>;
}

async fn resize(job: Resize, context: Context) -> Result<Vec<String>, Failure> {
    let mut made = Vec::new();
    for (done, width) in job.widths.iter().enumerate() {
        context.log(format!("picture {} at {width} pixels", job.picture));
        sleep(some(500..4_000)).await;
        let part = 100 * (done + 1) / job.widths.len();
        context.progress(&part).await?;
        made.push(format!("{}-{width}.webp", job.picture));
    }
    Ok(made)
}

#[derive(Serialize, Deserialize)]
struct Charge {
    order: u64,
    cents: u64,
    card: String,
}

impl Job for Charge {
    const NAME: &'static str = "charge";
    const QUEUE: &'static str = "payments";
    const SECRET: &'static [&'static str] = &["card"];
    type Output = String;
}

async fn charge(job: Charge) -> Result<String, Failure> {
    sleep(some(50..600)).await;
    match fastrand::u32(0..40) {
        0 => Err(Failure::dead(format!(
            "order {}: the card has expired",
            job.order
        ))),
        1 => Err(Failure::dead(format!(
            "order {}: no account 4711 at the bank\n  at gateway::charge (src/gateway.rs:88)\n  at payments::run (src/lib.rs:31)",
            job.order
        ))),
        2..6 => Err("the bank does not answer".into()),
        _ => Ok(format!("receipt-{}", job.order)),
    }
}

#[derive(Serialize, Deserialize)]
struct Report {
    kind: String,
}

impl Job for Report {
    const NAME: &'static str = "report";
    const QUEUE: &'static str = "reports";
    type Output = u64;
}

async fn report(job: Report) -> Result<u64, Failure> {
    sleep(some(2_000..9_000)).await;
    Ok(job.kind.len() as u64)
}

fn some(ms: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(fastrand::u64(ms))
}

/// Producers and workers, until something fails.
pub(crate) async fn go_on(oxcart: &Oxcart) -> Result<()> {
    let queue = |name| oxcart.queue(name);
    let reports = queue("reports")?;
    for (name, seconds) in [("daily", 20), ("weekly", 45), ("monthly", 3_600)] {
        let schedule = reports.schedule(name).every(Duration::from_secs(seconds));
        let kind = name.to_owned();
        schedule.job(Report { kind }).await?;
    }
    let workers = [
        Worker::builder(&queue("mail")?)
            .concurrency(8)
            .handle(send_mail),
        Worker::builder(&queue("pictures")?)
            .concurrency(4)
            .handle(resize),
        Worker::builder(&queue("payments")?)
            .concurrency(6)
            .handle(charge),
        Worker::builder(&reports).concurrency(2).handle(report),
    ];
    let workers = workers.into_iter().map(|worker| worker.build());
    let workers = Workers::new(workers.collect::<Result<Vec<_>, _>>()?);
    tokio::select! {
        ended = workers.run_until(std::future::pending::<()>()) => ended?,
        produced = produce(oxcart) => produced?,
    }
    Ok(())
}

async fn produce(oxcart: &Oxcart) -> Result<()> {
    let newsletters = oxcart.queue("newsletters")?;
    newsletters.pause().await?;
    for number in 0_u64.. {
        oxcart
            .enqueue(SendMail {
                to: format!("user-{number}@example.com"),
                subject: "Welcome <b>aboard</b> & hello".to_owned(),
            })
            .await?;
        if number % 4 == 0 {
            let merchant = MERCHANTS[fastrand::usize(..MERCHANTS.len())];
            let card = "4111 1111 1111 1111".to_owned();
            let (order, cents) = (number, fastrand::u64(100..90_000));
            let charge = oxcart.enqueue(Charge { order, cents, card });
            charge.group(merchant).attempts(3).await?;
        }
        if number % 10 == 0 {
            let widths = vec![320, 640, 1280];
            oxcart
                .enqueue(Resize {
                    picture: number,
                    widths,
                })
                .await?;
        }
        if number % 25 == 0 {
            let to = format!("reader-{number}@example.com");
            let subject = "News".to_owned();
            let mail = newsletters.enqueue(SendMail { to, subject }).any_queue();
            mail.delay(some(0..120_000)).await?;
        }
        sleep(some(10..120)).await;
    }
    Ok(())
}
