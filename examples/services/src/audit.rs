//! The audit joins when all is over, and gets what is kept of the events, in order for each order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use oxcart::{CloudEvent, Context, EventOrder, Failure, Job, Oxcart, Start, State, Worker};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::contract::{OrderDeclined, OrderPaid, OrderPlaced, OrderShipped, orders};
use crate::settings;

/// What is to be known of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) correlation: Option<String>,
    pub(crate) causation: Option<String>,
}

/// The events of each subject, as they were handled.
pub(crate) type Book = BTreeMap<String, Vec<Seen>>;

#[derive(Clone, Default)]
struct Audit {
    book: Arc<Mutex<Book>>,
}

impl Audit {
    fn note<J: Job>(&self, event: CloudEvent<J>) {
        let mut extensions = event.extensions;
        let seen = Seen {
            name: event.name,
            source: event.source,
            correlation: extensions.remove("correlationid"),
            causation: extensions.remove("causationid"),
        };
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.entry(event.subject.unwrap_or_default())
            .or_default()
            .push(seen);
    }
}

/// Notes an event of whatever type.
async fn note<E: Job>(event: E, context: Context, audit: State<Audit>) -> Result<(), Failure> {
    audit.note(context.cloud_event(event));
    Ok(())
}

/// All events, once as many were handled.
pub(crate) async fn read(oxcart: &Oxcart, expected: usize, limit: Duration) -> Result<Book> {
    let queue = oxcart.queue("audit")?;
    let topic = orders(oxcart)?;
    topic
        .subscribe("audit", &queue)
        .starting(Start::Kept)
        .ordered_by(EventOrder::OfSubject)
        .await?;
    let audit = Audit::default();
    let worker = Worker::builder(&queue)
        .queue_settings(settings())
        .state(audit.clone())
        .handle(note::<OrderPlaced>)
        .handle(note::<OrderPaid>)
        .handle(note::<OrderDeclined>)
        .handle(note::<OrderShipped>)
        .build()?;
    let stop = CancellationToken::new();
    let working = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));
    let began = Instant::now();
    let handled = || {
        let book = audit.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.values().map(Vec::len).sum::<usize>()
    };
    while handled() < expected {
        if began.elapsed() > limit {
            bail!("{} of {expected} events came to the audit", handled());
        }
        sleep(Duration::from_millis(20)).await;
    }
    // One that comes twice would come now.
    sleep(Duration::from_millis(200)).await;
    stop.cancel();
    working.await??;
    topic.unsubscribe("audit").await?;
    let book = audit.book.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(book.clone())
}
