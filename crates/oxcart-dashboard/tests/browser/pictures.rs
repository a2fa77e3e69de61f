//! The pictures of the documentation (`make screenshots`): of queues in memory, whose clock can be turned, so that they have a history.

use std::path::Path;
use std::time::Duration;

use oxcart::{Backoff, Context, Failure, Job, JobId, JobState, Oxcart, Queue, State, Worker};
use oxcart_dashboard::Role;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::acting::id;
use crate::devtools::Devtools;
use crate::page::{Page, Screen};
use crate::site::{BASE, Served};
use crate::steps;
use crate::support::eventually_async;

const PATIENCE: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);
/// Minutes of history that are played.
const MINUTES: u64 = 90;
/// Largest picture, in bytes: they are part of the repository.
const LARGEST: usize = 150 * 1024;

/// Whether jobs run until they are told to end.
#[derive(Clone, Copy)]
struct Lasting(bool);

macro_rules! jobs {
    ($($type:ident, $name:literal, $errors:expr;)*) => {$(
        #[derive(Serialize, Deserialize)]
        struct $type {
            number: u64,
            customer: String,
        }

        impl Job for $type {
            const NAME: &'static str = $name;
            type Output = u64;
        }

        impl $type {
            fn new(number: u64) -> Self {
                let customer = ["Hopper", "Liskov", "Lamport", "Dijkstra"][number as usize % 4];
                Self { number, customer: customer.to_owned() }
            }

            /// Some first attempts fail, and a few jobs always.
            async fn run(job: Self, context: Context, lasting: State<Lasting>) -> Result<u64, Failure> {
                context.log(format!("{} for {}", $name, job.customer));
                if lasting.0 {
                    let progress = json!({ "done": job.number % 90 + 5, "of": 100 });
                    let _ = context.progress(&progress).await;
                    context.cancellation().cancelled().await;
                }
                let is_first = context.attempt().number == 1;
                match (job.number % 13, job.number % 5) {
                    (5, always) if is_first || always == 0 => Err(Failure::retry($errors[job.number as usize % 3])),
                    _ => Ok(job.number),
                }
            }
        }
    )*};
}

jobs! {
    Charge, "charge-card", [
        "the bank answers 503 Service Unavailable",
        "the card has expired",
        "the bank answers 503 Service Unavailable",
    ];
    Send, "send-receipt", [
        "550 5.1.1 no such mailbox",
        "connection reset by peer (mx.example.org:25)",
        "550 5.1.1 no such mailbox",
    ];
    Index, "index-product", [
        "the index is read-only: no space left on device",
        "the product has no price",
        "timed out after 30 s",
    ];
}

/// One queue: how many jobs come in a minute, and how many attempts each has.
struct Played {
    queue: Queue,
    pace: u64,
    attempts: u32,
}

impl Played {
    fn worker(&self, lasting: bool) -> Worker {
        let worker = Worker::builder(&self.queue).concurrency(if lasting { 6 } else { 20 });
        let worker = worker.state(Lasting(lasting));
        let worker = worker
            .handle(Charge::run)
            .handle(Send::run)
            .handle(Index::run);
        worker.build().unwrap()
    }

    async fn enqueue(&self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let (attempts, queue) = (self.attempts, &self.queue);
            macro_rules! enqueue {
                ($type:ident) => {{
                    let request = queue.enqueue($type::new(number)).attempts(attempts);
                    let request = request.backoff(Backoff::fixed(MINUTE));
                    request
                        .any_queue()
                        .header("order", format!("o-{number}"))
                        .await
                        .unwrap();
                }};
            }
            match queue.name() {
                "billing" => enqueue!(Charge),
                "mail" => enqueue!(Send),
                _ => enqueue!(Index),
            }
        }
    }

    /// Jobs come, wait for some seconds, and run.
    async fn minute(&self, oxcart: &Oxcart, minute: u64) {
        // More by day than by night: a wave that is as long as what is shown.
        let wave = (minute as f64 / MINUTES as f64 * 9.0).sin() * 0.4 + 1.0;
        let jobs = (self.pace as f64 * wave) as u64;
        self.enqueue(minute * 100..minute * 100 + jobs).await;
        oxcart.advance_time(Duration::from_millis(300 + 40 * (minute % 30)));
        let done = eventually_async(PATIENCE, async || {
            let counts = self.queue.counts().await.unwrap();
            counts.waiting + counts.active == 0
        });
        self.worker(false).run_until(done).await.unwrap();
    }
}

/// Plays some time in all queues, and leaves jobs in every state.
async fn play(oxcart: &Oxcart) -> Vec<tokio::task::JoinHandle<()>> {
    let played = [
        ("billing", 40, 3),
        ("mail", 70, 2),
        ("search", 25, 3),
        ("reports", 6, 5),
    ];
    let played = played.map(|(name, pace, attempts)| Played {
        queue: oxcart.queue(name).unwrap(),
        pace,
        attempts,
    });
    // A saga that was refused, and that cannot be undone.
    let orders = oxcart.queue("orders").unwrap();
    steps::order(&orders).await;
    oxcart.advance_time(MINUTE);
    let order = id("order");
    let refused = orders.signal(&order, "approved", &false);
    refused.await.unwrap();
    steps::work_until(&orders, JobState::Dead).await;
    for minute in 0..MINUTES {
        for played in &played {
            played.minute(oxcart, minute).await;
        }
        oxcart.advance_time(MINUTE - Duration::from_secs(4));
    }
    let nightly = played[3]
        .queue
        .schedule("sales-of-yesterday")
        .cron("0 3 * * *");
    nightly.job(Index::new(1)).await.unwrap();
    let pulse = played[2].queue.schedule("freshen-index").every(15 * MINUTE);
    pulse.job(Index::new(2)).await.unwrap();
    played[3].queue.pause().await.unwrap();

    let mut working = Vec::new();
    for (played, waiting) in played.iter().zip([3, 14, 2, 4]) {
        let worker = played.worker(true);
        working.push(tokio::spawn(async move {
            worker.run_until(std::future::pending()).await.unwrap();
        }));
        played.enqueue(20_000..20_006 + waiting).await;
        let request = played.queue.enqueue(Index::new(9)).delay(20 * MINUTE);
        request
            .any_queue()
            .id(JobId::new("o-7719").unwrap())
            .await
            .unwrap();
    }
    oxcart.advance_time(Duration::from_secs(8));
    working
}

async fn save(page: &Page, folder: &Path, name: &str) {
    // What is shown has been read after the page was opened.
    page.until("document.fonts.status === 'loaded'").await;
    let picture = page.picture().await;
    let size = picture.len();
    println!("{name}.png: {} KB", size / 1024);
    assert!(
        size <= LARGEST,
        "{name}.png is too large for the repository"
    );
    std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
}

pub(crate) async fn take(devtools: &Devtools, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let oxcart = Oxcart::in_memory();
    let working = play(&oxcart).await;
    let served = Served::of(&oxcart).await;
    let page = served.page(devtools, Role::Admin).await;
    page.sized(1280, 800).await;
    // Rates are read for some queues at a time.
    page.until_shown("/min").await;
    let pages = [
        ("overview", String::new()),
        ("queue", "/queues/billing".to_owned()),
        ("dead", "/queues/mail/dead".to_owned()),
    ];
    for (name, path) in pages {
        for scheme in ["light", "dark"] {
            page.in_colours(scheme).await;
            page.go(&format!("{BASE}{path}")).await;
            if path.is_empty() {
                page.until(
                    "document.querySelector('main table').innerText.match(/\\/min/g)?.length >= 6",
                )
                .await;
            }
            let name = if scheme == "dark" {
                format!("{name}-dark")
            } else {
                name.to_owned()
            };
            save(&page, folder, &name).await;
        }
    }
    page.in_colours("light").await;
    page.go(&format!("{BASE}/queues/reports/jobs?state=dead"))
        .await;
    page.eval("document.querySelector('main a[href*=\"/jobs/\"]').click()")
        .await;
    page.until("location.pathname.includes('/jobs/') && document.readyState === 'complete'")
        .await;
    save(&page, folder, "job").await;
    page.sized(1280, 1120).await;
    page.go(&format!("{BASE}/queues/orders/jobs/order")).await;
    save(&page, folder, "saga").await;
    page.on(Screen::Phone).await;
    page.go(BASE).await;
    save(&page, folder, "phone").await;
    page.close().await;
    for working in working {
        working.abort();
    }
}
