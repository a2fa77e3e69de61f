//! Jobs of oxcart and a transaction of PostgreSQL: a job is enqueued if, and only if, the transaction is committed.

#![warn(clippy::unwrap_used, clippy::panic, missing_debug_implementations)]

mod error;
mod migrate;

pub use crate::error::{Error, ErrorKind};
pub use crate::migrate::migrate;
