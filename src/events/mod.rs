//! Lifecycle events, from any process.

pub(crate) mod event;
pub(crate) mod stream;
