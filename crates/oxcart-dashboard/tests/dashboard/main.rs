//! The dashboard against a real Redis, as browsers and programs use it, without a browser.
#![allow(
    clippy::panic,
    reason = "a helper that cannot do its duty fails the test that asked"
)]

mod actions;
mod alerts;
mod api;
mod cost;
mod dead_worker;
mod forms;
mod gate;
mod hostile;
mod lost;
#[path = "../../../../tests/metrics/promtool.rs"]
mod promtool;
mod rig;
mod steps;
#[path = "../../../oxcart-cli/tests/cli/support/mod.rs"]
mod support;
