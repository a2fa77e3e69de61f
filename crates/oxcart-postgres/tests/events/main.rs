//! The event store.
#![allow(
    clippy::panic,
    reason = "a helper that cannot do its duty fails the test that asked"
)]

mod aggregates;
mod killed;
mod order;
mod pages;
mod projections;
mod refusals;
mod restart;
mod rig;
mod silence;
mod streams;
mod subscriptions;
#[path = "../support/mod.rs"]
mod support;
