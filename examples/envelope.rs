//! What jobs and events carry: an event of an old version is read by a new worker, a chain of jobs knows its causes, and an event leaves as a
//! CloudEvent. Without a Redis.
//!
//! `cargo run --example envelope --features memory`

use oxcart::{CloudEvent, Context, Failure, Job, Oxcart, Queue, Upcasters, Worker};
use serde::{Deserialize, Serialize};

/// As the program of last year has it.
#[derive(Serialize, Deserialize)]
struct OrderPlacedV1 {
    order: u64,
    euros: u64,
}

impl Job for OrderPlacedV1 {
    const NAME: &'static str = "order-placed";
    type Output = ();
}

/// As the program of today has it.
#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    order: u64,
    cents: u64,
}

impl Job for OrderPlaced {
    const NAME: &'static str = "order-placed";
    const VERSION: u32 = 2;
    type Output = ();

    fn upcasters() -> Upcasters<Self> {
        Upcasters::since(1).then(|old: OrderPlacedV1| OrderPlaced {
            order: old.order,
            cents: old.euros * 100,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Bill {
    order: u64,
}

impl Job for Bill {
    const NAME: &'static str = "bill";
    type Output = ();
}

async fn on_order(event: OrderPlaced, queue: Queue, context: Context) -> Result<(), Failure> {
    println!("order {}: {} cents", event.order, event.cents);
    queue.enqueue(Bill { order: event.order }).await?;
    let event = serde_json::to_string_pretty(&context.cloud_event(event))?;
    println!("for other systems:\n{event}");
    Ok(())
}

async fn on_bill(bill: Bill, context: Context) -> Result<(), Failure> {
    let cause = context.causation_id().unwrap_or("nothing");
    println!(
        "a bill for order {}, because of {cause}, for {}",
        bill.order,
        context.correlation_id()
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let oxcart = Oxcart::in_memory();
    let orders = oxcart.topic("orders")?;
    let billing = oxcart.queue("billing")?;
    orders.subscribe("billing", &billing).await?;

    // The new program publishes first. The old worker leaves in its place what it does not know.
    let new = OrderPlaced {
        order: 1,
        cents: 750,
    };
    orders.publish(new).await?;
    let old_worker =
        Worker::builder(&billing).handle(async |_: OrderPlacedV1| Ok::<_, Failure>(()));
    for ran in old_worker.build()?.drain().await {
        println!("the old worker: {}", ran.outcome);
    }

    // An old program publishes as well, and another system sends a CloudEvent, in the old form.
    let old = orders.publish(OrderPlacedV1 { order: 2, euros: 8 });
    old.subject("order-2").correlation_id("request-2").await?;
    let text = r#"{"specversion": "1.0", "id": "A-3", "type": "order-placed", "source": "https://partner.example/shop",
        "data": {"order": 3, "euros": 9}}"#;
    let event: CloudEvent<serde_json::Value> = serde_json::from_str(text)?;
    orders.publish_event(event).await?;

    // The new worker reads all of them.
    let worker = Worker::builder(&billing).handle(on_order).handle(on_bill);
    let ran = worker.build()?.drain().await;
    println!("{} jobs ran", ran.len());
    Ok(())
}
