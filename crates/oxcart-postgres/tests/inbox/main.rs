//! What a handler does in PostgreSQL happens once, whatever dies.
#![allow(
    clippy::panic,
    reason = "a helper that cannot do its duty fails the test that asked"
)]

mod attempts;
mod chaos;
mod completion;
mod lossy;
mod messages;
mod outbox;
mod rig;
#[path = "../support/mod.rs"]
mod support;
