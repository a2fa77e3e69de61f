//! What the services agree on: requests, commands and events. They share nothing else.

use std::time::Duration;

use oxcart::{Backoff, Error, Job, JobId, JobOptions, Oxcart, Replies, Topic, Upcasters};
use serde::{Deserialize, Serialize};

/// The facts about orders.
pub(crate) fn orders(oxcart: &Oxcart) -> Result<Topic, Error> {
    oxcart.topic("orders")
}

/// What all events of one order have in common, and what they are ordered by.
pub(crate) fn subject(order: u64) -> String {
    format!("order-{order}")
}

/// The same id each time an event is published anew, so that it is published once.
pub(crate) fn event_id(what: &str, order: u64) -> Result<JobId, Error> {
    JobId::new(format!("{what}-{order}"))
}

/// Services die, and so do those that they ask: tried again soon, and often.
fn patient() -> JobOptions {
    JobOptions::new()
        .attempts(100)
        .backoff(Backoff::fixed(Duration::from_millis(200)))
}

/// A customer asks the shop: I want this article.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PlaceOrder {
    pub(crate) order: u64,
    pub(crate) article: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placed {
    pub(crate) cents: u64,
}

/// An answer, and no failure: asking again would change nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NotPlaced {
    NotSold,
}

impl Job for PlaceOrder {
    const NAME: &'static str = "place-order";
    const QUEUE: &'static str = "shop";
    type Output = Result<Placed, NotPlaced>;

    fn options() -> JobOptions {
        patient()
    }
}

/// The shop asks the warehouse: where is this article, and for how much? Each offer comes as soon as it is found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FindOffers {
    pub(crate) article: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Offer {
    pub(crate) shelf: u32,
    pub(crate) cents: u64,
}

impl Job for FindOffers {
    const NAME: &'static str = "find-offers";
    const QUEUE: &'static str = "stock";
    type Output = ();

    fn options() -> JobOptions {
        patient()
    }
}

impl Replies for FindOffers {
    type Reply = Offer;
}

/// A command: the invoice of an order is to be printed. It is large.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PrintInvoice {
    pub(crate) order: u64,
    pub(crate) text: String,
}

impl Job for PrintInvoice {
    const NAME: &'static str = "print-invoice";
    const QUEUE: &'static str = "invoices";
    type Output = ();

    fn options() -> JobOptions {
        patient()
    }
}

/// An event. Its first version counted whole euros.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OrderPlaced {
    pub(crate) order: u64,
    pub(crate) cents: u64,
}

impl Job for OrderPlaced {
    const NAME: &'static str = "order-placed";
    const VERSION: u32 = 2;
    type Output = ();

    fn options() -> JobOptions {
        patient()
    }

    fn upcasters() -> Upcasters<Self> {
        Upcasters::since(1).then(|old: OrderPlacedV1| Self {
            order: old.order,
            cents: old.euros * 100,
        })
    }
}

/// The same event, as a shop publishes it that was not deployed for long.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OrderPlacedV1 {
    pub(crate) order: u64,
    pub(crate) euros: u64,
}

impl Job for OrderPlacedV1 {
    const NAME: &'static str = "order-placed";
    type Output = ();

    fn options() -> JobOptions {
        patient()
    }
}

/// An event: the money is there.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OrderPaid {
    pub(crate) order: u64,
    pub(crate) cents: u64,
}

impl Job for OrderPaid {
    const NAME: &'static str = "order-paid";
    type Output = ();

    fn options() -> JobOptions {
        patient()
    }
}

/// An event: the bank has declined.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OrderDeclined {
    pub(crate) order: u64,
}

impl Job for OrderDeclined {
    const NAME: &'static str = "order-declined";
    type Output = ();

    fn options() -> JobOptions {
        patient()
    }
}

/// An event: it is on its way.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OrderShipped {
    pub(crate) order: u64,
}

impl Job for OrderShipped {
    const NAME: &'static str = "order-shipped";
    type Output = ();

    fn options() -> JobOptions {
        patient()
    }
}
