//! The order flow checks itself; it has to say so.

use std::process::{Command, Stdio};

#[test]
fn the_order_flow_over_three_services_is_right() {
    let output = Command::new(env!("CARGO_BIN_EXE_services"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{wrong}");
    assert!(said.contains("all is right"), "{said}\n{wrong}");
}
