//! The shop: it takes orders. It asks the warehouse for offers, and tells everybody that an order was placed.

use std::time::Duration;

use oxcart::{Error, Failure, Oxcart, Queue, State, Topic, Worker, Workers};

use crate::contract::{
    FindOffers, NotPlaced, Offer, OrderPlaced, OrderPlacedV1, PlaceOrder, Placed, event_id, orders,
    subject,
};
use crate::middleware::{only_customers, timed};
use crate::settings;

/// Which code this process runs: while a release is rolled out, both run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Release {
    /// Its events are of version 1.
    Old,
    New,
}

struct Shop {
    orders: Topic,
    stock: Queue,
    release: Release,
}

pub(crate) fn workers(oxcart: &Oxcart, release: Release) -> Result<Workers, Error> {
    let shop = Shop {
        orders: orders(oxcart)?,
        stock: oxcart.queue("stock")?,
        release,
    };
    let worker = Worker::builder(&oxcart.queue("shop")?)
        .lease(Duration::from_secs(2))
        .queue_settings(settings())
        .wrap(timed)
        .wrap(only_customers)
        .state(shop)
        .handle(place)
        .build()?;
    Ok(Workers::new([worker]))
}

async fn place(job: PlaceOrder, shop: State<Shop>) -> Result<Result<Placed, NotPlaced>, Failure> {
    let PlaceOrder { order, article } = job;
    // If the warehouse is away, this attempt fails in time, and nobody looks for offers that nobody waits for.
    let request = shop.stock.enqueue(FindOffers { article }).replies();
    let mut offers = request
        .deadline(Duration::from_secs(2))
        .cancel_on_drop()
        .await?;
    let mut cheapest = None;
    while let Some(Offer { cents, .. }) = offers.next().await? {
        cheapest = Some(cheapest.map_or(cents, |other: u64| other.min(cents)));
    }
    let Some(cents) = cheapest else {
        return Ok(Err(NotPlaced::NotSold));
    };
    let id = event_id("placed", order)?;
    match shop.release {
        Release::New => {
            let event = shop.orders.publish(OrderPlaced { order, cents });
            event.id(id).subject(subject(order)).await?;
        }
        Release::Old => {
            let euros = cents / 100;
            let event = shop.orders.publish(OrderPlacedV1 { order, euros });
            event.id(id).subject(subject(order)).await?;
        }
    }
    Ok(Ok(Placed { cents }))
}
