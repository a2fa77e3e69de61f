//! Jobs that are enqueued in transactions, and the relay that carries them.
#![allow(
    clippy::panic,
    reason = "a helper that cannot do its duty fails the test that asked"
)]

mod bad_input;
mod basics;
mod faults;
mod losses;
mod rig;
mod silent;
#[path = "../support/mod.rs"]
mod support;
mod troubles;
