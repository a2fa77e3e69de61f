//! Topics: an order is placed and paid. Billing gets every event, the statistics join later and want payments alone, and the shop that publishes knows neither.
//!
//! `cargo run --example topics`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use oxcart::{Context, Error, EventFilter, EventOrder, Failure, Job, Oxcart, Queue, Start, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    order: u64,
}

impl Job for OrderPlaced {
    const NAME: &'static str = "order-placed";
    type Output = ();
}

#[derive(Serialize, Deserialize)]
struct OrderPaid {
    order: u64,
    cents: u64,
}

impl Job for OrderPaid {
    const NAME: &'static str = "order-paid";
    type Output = ();
}

/// A worker that says what it gets.
fn worker(queue: &Queue) -> Result<Worker, Error> {
    let placed = async |event: OrderPlaced, context: Context| {
        let queue = &context.attempt().queue;
        println!("{queue}: order {} was placed", event.order);
        Ok::<_, Failure>(())
    };
    let paid = async |event: OrderPaid, context: Context| {
        let queue = &context.attempt().queue;
        println!(
            "{queue}: order {} was paid, {} cents",
            event.order, event.cents
        );
        Ok::<_, Failure>(())
    };
    Worker::builder(queue).handle(placed).handle(paid).build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".into());
    let oxcart = Oxcart::builder()
        .namespace("example-topics")
        .connect(&url)
        .await?;
    let orders = oxcart.topic("orders")?;
    let (billing, statistics) = (oxcart.queue("billing")?, oxcart.queue("statistics")?);
    let stop = CancellationToken::new();

    // The events of one order are handled one after the other.
    orders
        .subscribe("billing", &billing)
        .ordered_by(EventOrder::OfSubject)
        .await?;
    let billing_works = tokio::spawn(worker(&billing)?.run_until(stop.clone().cancelled_owned()));

    for order in 1..=3 {
        let subject = format!("order-{order}");
        orders
            .publish(OrderPlaced { order })
            .subject(&subject)
            .await?;
        let cents = order * 1_000;
        orders
            .publish(OrderPaid { order, cents })
            .subject(&subject)
            .await?;
    }

    // It was not there when the orders were paid, and gets what is kept of them.
    orders
        .subscribe("statistics", &statistics)
        .only(EventFilter::new().event::<OrderPaid>())
        .starting(Start::Kept)
        .await?;
    let statistics_work =
        tokio::spawn(worker(&statistics)?.run_until(stop.clone().cancelled_owned()));

    for (queue, events) in [(&billing, 6), (&statistics, 3)] {
        while queue.counts().await?.totals.completed < events {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    stop.cancel();
    billing_works.await??;
    statistics_work.await??;

    for it in orders.info().await?.subscriptions {
        println!(
            "{} is {} events behind, and missed {}",
            it.name, it.behind, it.missed
        );
    }
    orders.delete().await?;
    for queue in [billing, statistics] {
        queue.delete().with_jobs().await?;
    }
    Ok(())
}
