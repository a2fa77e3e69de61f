//! What Prometheus's own tool says of the text that an exporter serves.

use std::io::Write;
use std::process::{Command, Stdio};

/// Asks the promtool that `OXCART_PROMTOOL` names; `make test-monitoring` names one. Without it nothing is checked.
pub(crate) fn assert_accepts(text: &str) {
    let Some(promtool) = std::env::var_os("OXCART_PROMTOOL") else {
        eprintln!("NOT TESTED: whether promtool accepts /metrics; make test-monitoring does");
        return;
    };
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("OXCART_PROMTOOL is a promtool");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let said = child.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&said.stderr);
    assert!(
        said.status.success() && complaints.is_empty() && said.stdout.is_empty(),
        "{} {complaints}{}\n{text}",
        said.status,
        String::from_utf8_lossy(&said.stdout)
    );
}
