//! A small shop, built with oxcart as a product would be: a web service takes orders (`web`), a worker charges the
//! cards and sends the receipts (`work`), and a program for the person on call looks at what is stuck (`bin/ops.rs`).
//! The tests need no Redis.

pub mod bank;
pub mod jobs;
pub mod metrics;
pub mod web;
pub mod work;

/// Where Redis is: `REDIS_URL`, or the usual place.
#[must_use]
pub fn redis_url() -> String {
    std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned())
}
