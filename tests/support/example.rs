//! The examples as programs: cargo builds them beside the tests.

use std::process::{Command, Stdio};

/// The example of this name, to be started.
pub fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("a process knows its own binary");
    let profile = test.ancestors().nth(2).expect("tests are in PROFILE/deps");
    let binary = profile.join("examples").join(name);
    assert!(
        binary.is_file(),
        "there is no {}: `cargo test` builds it, and so does `cargo build --examples`",
        binary.display()
    );
    let mut command = Command::new(binary);
    command.stdin(Stdio::null());
    command
}
