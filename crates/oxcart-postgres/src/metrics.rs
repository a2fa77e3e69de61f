//! What the recorder of the `metrics` facade is told.

use ::metrics::{counter, gauge};

use crate::OutboxStatus;

pub(crate) const IS_ON: bool = true;

pub(crate) fn sent(queue: &str, rows: u64) {
    counter!("oxcart_postgres_outbox_sent_total", "queue" => queue.to_owned()).increment(rows);
}

pub(crate) fn set_aside(queue: &str, rows: u64) {
    counter!("oxcart_postgres_outbox_set_aside_total", "queue" => queue.to_owned()).increment(rows);
}

pub(crate) fn lost(queue: &str, rows: u64) {
    counter!("oxcart_postgres_outbox_lost_by_redis_total", "queue" => queue.to_owned())
        .increment(rows);
}

pub(crate) fn status(status: &OutboxStatus) {
    for stream in &status.streams {
        let queue = || stream.queue.clone();
        gauge!("oxcart_postgres_outbox_waiting_rows", "queue" => queue())
            .set(stream.waiting as f64);
        let oldest = stream.oldest.unwrap_or_default().as_secs_f64();
        gauge!("oxcart_postgres_outbox_oldest_seconds", "queue" => queue()).set(oldest);
    }
    gauge!("oxcart_postgres_outbox_failed_rows").set(status.failed as f64);
}
