//! Redis stands still, dies, forgets, fails over, refuses, or is something else: everybody goes
//! on by themselves, without a busy loop, and nothing is lost that Redis kept.

#[path = "../support/mod.rs"]
mod support;

mod all_at_once;
mod causes;
mod connecting;
mod garbage;
mod leases;
mod outages;
mod refusals;
mod strangers;

#[test]
fn worker_process() {
    support::workers::run_as_process();
}
