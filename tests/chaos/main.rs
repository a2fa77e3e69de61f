//! The fault battery: real processes and real Redis servers, broken on purpose. What the handlers
//! themselves wrote into a ledger decides, never our own counters.
//!
//! `make chaos` runs all of it, `make chaos SHORT=1` (and `make test`) a shorter form of each
//! scenario, `make soak` looks for what grows. docs/reliability.md has the figures.

#[path = "../support/mod.rs"]
mod support;

mod battery;
mod field;
mod findings;
mod load;
mod scenarios;
mod soak;

use std::process::ExitCode;

fn main() -> ExitCode {
    match support::child_name().as_deref() {
        Some("producer_process") => scenarios::clock::run_as_producer(),
        Some(_) => support::workers::run_as_process(),
        None => return battery::run(scenarios::ALL),
    }
    ExitCode::SUCCESS
}
