//! The example does what its first line says, against a private Redis.

#[path = "../../../tests/support/example.rs"]
#[allow(unreachable_pub, reason = "it is shared with the library's tests")]
mod example;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A Redis at a socket; it ends with the test.
struct Server {
    folder: TempDir,
    process: Child,
}

impl Server {
    fn start() -> Self {
        let binary = std::env::var_os("OXCART_REDIS_SERVER").filter(|path| !path.is_empty());
        let binary = binary.unwrap_or_else(|| "redis-server".into());
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("redis.sock");
        let mut command = Command::new(binary);
        command.args(["--port", "0", "--save", "", "--unixsocket"]);
        command
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let process = command.spawn().expect("there is a Redis server");
        let server = Self { folder, process };
        let began = Instant::now();
        while !socket.exists() {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "it does not start"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    fn url(&self) -> String {
        let socket = self.folder.path().join("redis.sock");
        format!("redis+unix://{}", socket.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_example_puts_a_payload_into_a_folder_and_takes_it_away() {
    let server = Server::start();
    let mut example = example::example("claim_check");
    let output = example.env("REDIS_URL", server.url()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{wrong}");
    for line in [
        "Redis has a ticket: Some(Ticket { object: \"claim-check-example/scans/",
        "the folder has 3200",
        "a handler got 4 pages",
        "the job is done, and the folder has 0 bytes",
    ] {
        assert!(said.contains(line), "{line:?} is not in:\n{said}");
    }
}
