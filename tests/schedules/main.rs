//! Schedules: each tick fires once, on time, whichever worker drives it; and a definition stays as it is.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod declared;
mod editing;
mod missed;
mod swarm;
mod ticking;
mod trouble;
mod upkeep;

#[test]
fn worker_process() {
    support::workers::run_as_process();
}
