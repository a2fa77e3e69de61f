//! What an order is: its events, its commands, and the job that charges it.

use oxcart::Job;
use oxcart_postgres::{Aggregate, Event};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(crate) enum OrderEvent {
    Placed { customer: String, cents: i64 },
    Paid { cents: i64 },
}

impl Event for OrderEvent {}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Order {
    cents: Option<i64>,
    is_paid: bool,
}

pub(crate) enum Command {
    Place { customer: String, cents: i64 },
    Pay,
}

impl Aggregate for Order {
    const NAME: &'static str = "order";
    type Event = OrderEvent;
    type Command = Command;
    type Refusal = &'static str;

    fn handle(&self, command: Command) -> Result<Vec<OrderEvent>, &'static str> {
        match (command, self.cents) {
            (Command::Place { .. }, Some(_)) => Err("there is such an order"),
            (Command::Place { customer, cents }, None) => {
                Ok(vec![OrderEvent::Placed { customer, cents }])
            }
            (Command::Pay, None) => Err("there is no such order"),
            (Command::Pay, Some(_)) if self.is_paid => Err("it is paid"),
            (Command::Pay, Some(cents)) => Ok(vec![OrderEvent::Paid { cents }]),
        }
    }

    fn apply(&mut self, event: OrderEvent) {
        match event {
            OrderEvent::Placed { cents, .. } => self.cents = Some(cents),
            OrderEvent::Paid { .. } => self.is_paid = true,
        }
    }
}

/// Charges an order; what the till holds then.
#[derive(Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) order: String,
    pub(crate) cents: i64,
}

impl Job for Charge {
    const NAME: &'static str = "charge";
    const QUEUE: &'static str = "payments";
    type Output = i64;
}
