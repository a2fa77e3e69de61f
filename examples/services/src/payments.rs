//! Payments: it charges what was ordered, and has the invoices printed. The bank is closed now and then.

use std::time::Duration;

use oxcart::{
    Breaker, BreakerSettings, Error, EventFilter, EventOrder, Failure, Oxcart, Queue, Start, State,
    Topic, Worker, Workers,
};

use crate::contract::{
    OrderDeclined, OrderPaid, OrderPlaced, PrintInvoice, event_id, orders, subject,
};
use crate::middleware::timed;
use crate::outside::{Charged, Outside};
use crate::settings;

struct Payments {
    outside: Outside,
    bank: Breaker,
    orders: Topic,
    invoices: Queue,
}

pub(crate) async fn workers(oxcart: &Oxcart, outside: Outside) -> Result<Workers, Error> {
    let orders = orders(oxcart)?;
    let queue = oxcart.queue("payments")?;
    let invoices = oxcart.queue("invoices")?;
    orders
        .subscribe("payments", &queue)
        .starting(Start::Kept)
        .only(EventFilter::new().event::<OrderPlaced>())
        .ordered_by(EventOrder::OfSubject)
        .await?;
    let second = Duration::from_secs(1);
    let settings_of_bank = BreakerSettings::new()
        .trips_at(5, 10 * second)
        .open_for(second / 2)
        .rising(50, 2 * second);
    let payments = Payments {
        outside: outside.clone(),
        bank: oxcart.breaker("bank")?.settings(settings_of_bank)?,
        orders,
        invoices: invoices.clone(),
    };
    let charges = Worker::builder(&queue)
        .lease(2 * second)
        .queue_settings(settings())
        .wrap(timed)
        .state(payments)
        .handle(charge)
        .build()?;
    let prints = Worker::builder(&invoices)
        .lease(2 * second)
        .queue_settings(settings())
        .wrap(timed)
        .state(outside)
        .handle(print)
        .build()?;
    Ok(Workers::new([charges, prints]))
}

async fn charge(event: OrderPlaced, payments: State<Payments>) -> Result<(), Failure> {
    let OrderPlaced { order, cents } = event;
    let ask_bank = || payments.outside.charge(order, cents);
    match payments.bank.call(ask_bank).await? {
        Charged::Declined => {
            let event = payments.orders.publish(OrderDeclined { order });
            let event = event.id(event_id("declined", order)?);
            event.subject(subject(order)).await?;
        }
        Charged::Paid => {
            let text = invoice(order, cents);
            let print = payments.invoices.enqueue(PrintInvoice { order, text });
            print.id(event_id("invoice", order)?).await?;
            let event = payments.orders.publish(OrderPaid { order, cents });
            let event = event.id(event_id("paid", order)?);
            event.subject(subject(order)).await?;
        }
    }
    Ok(())
}

async fn print(job: PrintInvoice, outside: State<Outside>) -> Result<(), Failure> {
    Ok(outside.print(job.order, &job.text)?)
}

/// With all small print.
pub(crate) fn invoice(order: u64, cents: u64) -> String {
    let line = format!("Order {order}: {cents} cents, payable at once. ");
    line.repeat(200 * 1024 / line.len())
}
