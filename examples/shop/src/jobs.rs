//! The jobs of the shop, as the web service and the worker agree on them.

use oxcart::{Backoff, Job, JobOptions};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Takes the money for an order. The job's id is the number of the order, so that one order is charged
/// once, however often the customer presses the button.
#[derive(Debug, Serialize, Deserialize)]
pub struct Charge {
    /// Who pays, and gets the receipt.
    pub customer: String,
    /// The number of the card.
    pub card: String,
    /// How much.
    pub cents: u64,
}

/// What the bank says of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// How the bank calls it.
    pub reference: String,
    /// How much was paid.
    pub cents: u64,
}

impl Job for Charge {
    const NAME: &'static str = "charge";
    const QUEUE: &'static str = "payments";
    type Output = Payment;

    fn options() -> JobOptions {
        let second = Duration::from_secs(1);
        let steps = [second, 5 * second, 30 * second, 300 * second];
        JobOptions::new()
            .attempts(5)
            .backoff(Backoff::steps(steps))
            .timeout(20 * second)
    }
}

/// Sends the receipt for a payment.
#[derive(Debug, Serialize, Deserialize)]
pub struct SendReceipt {
    /// Who gets it.
    pub customer: String,
    /// What it is for.
    pub payment: Payment,
}

impl Job for SendReceipt {
    const NAME: &'static str = "send-receipt";
    const QUEUE: &'static str = "mail";
    type Output = ();
}
