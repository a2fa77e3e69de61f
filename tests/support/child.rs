//! Worker processes: the test binary started again, to run one test function of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use super::process::Process;

const MARK: &str = "OXCART_CHILD";

/// Starts this test binary again, to run only `test_name` (its path within the binary), with `envs`
/// set.
///
/// That test must be written for it, and do nothing in an ordinary run:
///
/// ```ignore
/// #[test]
/// fn worker_process() {
///     if !support::child_of_test() {
///         return;
///     }
///     // what the worker does
/// }
/// ```
pub fn spawn_self(test_name: &str, envs: &[(&str, &str)]) -> Process {
    let binary = std::env::current_exe().expect("a process knows its own binary");
    assert_exists(&binary, test_name);
    let mut command = Command::new(binary);
    command
        .args([
            test_name,
            "--exact",
            "--nocapture",
            "--include-ignored",
            "--test-threads=1",
        ])
        .env(MARK, test_name)
        .envs(envs.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Process::spawn(&mut command, None)
}

/// A binary asked for a test it does not have runs none, and calls that a success.
fn assert_exists(binary: &Path, test_name: &str) {
    let list = Command::new(binary)
        .args([test_name, "--exact", "--include-ignored", "--list"])
        .output()
        .expect("a test binary can list its tests");
    let listed = String::from_utf8_lossy(&list.stdout).contains(&format!("{test_name}: test"));
    assert!(listed, "this test binary has no test `{test_name}`");
}

/// Whether this process was started by [`spawn_self`].
pub fn child_of_test() -> bool {
    std::env::var_os(MARK).is_some()
}

/// The test function that this process was started for, if [`spawn_self`] started it.
pub fn child_name() -> Option<String> {
    std::env::var(MARK).ok()
}
