//! The warehouse: it says what is there, and ships what was paid.

use std::time::Duration;

use oxcart::{
    Error, EventFilter, EventOrder, Failure, Oxcart, ReplySender, Start, State, Topic, Worker,
    Workers,
};

use crate::contract::{FindOffers, Offer, OrderPaid, OrderShipped, event_id, orders, subject};
use crate::middleware::timed;
use crate::outside::Outside;
use crate::settings;

struct Warehouse {
    outside: Outside,
    orders: Topic,
}

pub(crate) async fn workers(oxcart: &Oxcart, outside: Outside) -> Result<Workers, Error> {
    let orders = orders(oxcart)?;
    let queue = oxcart.queue("warehouse")?;
    orders
        .subscribe("warehouse", &queue)
        .starting(Start::Kept)
        .only(EventFilter::new().event::<OrderPaid>())
        .ordered_by(EventOrder::OfSubject)
        .await?;
    let lease = Duration::from_secs(2);
    let ships = Worker::builder(&queue)
        .lease(lease)
        .queue_settings(settings())
        .wrap(timed)
        .state(Warehouse { outside, orders })
        .handle(ship)
        .build()?;
    let stock = Worker::builder(&oxcart.queue("stock")?)
        .lease(lease)
        .queue_settings(settings())
        .wrap(timed)
        .handle(find_offers)
        .build()?;
    Ok(Workers::new([ships, stock]))
}

async fn find_offers(job: FindOffers, replies: ReplySender<FindOffers>) -> Result<(), Failure> {
    for offer in offers(&job.article).skip(replies.resume()) {
        replies.send(&offer).await?;
    }
    Ok(())
}

/// Each article lies on several shelves, at several prices; of some articles there is nothing.
pub(crate) fn offers(article: &str) -> impl Iterator<Item = Offer> {
    let euros = 10 + article.len() as u64;
    let shelves = if article == "unicorn" { 0 } else { 5 };
    (1..=shelves).map(move |shelf| Offer {
        shelf,
        cents: 100 * (euros + u64::from(shelf * 7 % 5)),
    })
}

async fn ship(event: OrderPaid, warehouse: State<Warehouse>) -> Result<(), Failure> {
    let order = event.order;
    warehouse.outside.ship(order).await?;
    let event = warehouse.orders.publish(OrderShipped { order });
    let event = event.id(event_id("shipped", order)?);
    event.subject(subject(order)).await?;
    Ok(())
}
