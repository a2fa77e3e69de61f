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

/// It kills its own processes, and looks at the sums.
#[test]
fn the_example_of_the_order_service_finds_its_sums_right() {
    let mut orders = support::example("orders");
    let done = orders.output().expect("it can be started");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(said.contains("all is right"), "{said}");
}
