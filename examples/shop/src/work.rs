//! The worker: what the shop does with its jobs.

use oxcart::{Context, Error, Failure, JobId, Oxcart, Queue, State, Worker, Workers};

use crate::bank::{Bank, NotPaid};
use crate::jobs::{Charge, Payment, SendReceipt};
use crate::metrics::Metrics;

/// Where receipts are enqueued.
#[derive(Debug, Clone)]
pub struct Mail(pub Queue);

/// All workers of the shop.
///
/// # Errors
///
/// If a worker cannot be built.
pub fn workers(oxcart: &Oxcart, bank: Bank, metrics: &Metrics) -> Result<Workers, Error> {
    let payments = payments(oxcart, bank, metrics)?;
    let mail = Worker::builder(&oxcart.queue("mail")?)
        .wrap(metrics.clone())
        .handle(send_receipt)
        .build()?;
    Ok(Workers::new([payments, mail]))
}

/// The worker that charges cards.
///
/// # Errors
///
/// If it cannot be built.
pub fn payments(oxcart: &Oxcart, bank: Bank, metrics: &Metrics) -> Result<Worker, Error> {
    Worker::builder(&oxcart.queue("payments")?)
        .concurrency(20)
        .state(bank)
        .state(Mail(oxcart.queue("mail")?))
        .wrap(metrics.clone())
        .handle(charge)
        .build()
}

/// Takes the money, and has the receipt sent.
///
/// # Errors
///
/// A declined card ends the job; anything else is tried again.
pub async fn charge(
    job: Charge,
    bank: State<Bank>,
    mail: State<Mail>,
    context: Context,
) -> Result<Payment, Failure> {
    let order = context.id();
    let payment = match bank.charge(order.as_str(), &job.card, job.cents).await {
        Ok(payment) => payment,
        Err(declined @ NotPaid::Declined) => return Err(Failure::dead(declined)),
        Err(away @ NotPaid::BankIsAway) => return Err(away.into()),
    };
    let receipt = SendReceipt {
        customer: job.customer,
        payment: payment.clone(),
    };
    // If this attempt is repeated, the receipt has the same id, and is not sent twice.
    let id = JobId::new(format!("receipt-{order}"))?;
    mail.0.enqueue(receipt).id(id).await?;
    Ok(payment)
}

/// Sends a receipt.
///
/// # Errors
///
/// None in this example.
pub async fn send_receipt(job: SendReceipt) -> Result<(), Failure> {
    tracing::info!(
        customer = job.customer,
        reference = job.payment.reference,
        "receipt sent"
    );
    Ok(())
}
