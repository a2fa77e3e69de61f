//! The dashboard with a server of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rig::{PATIENCE, Rig, Said};
use crate::support::eventually_blocking;

#[path = "../../../../tests/metrics/promtool.rs"]
mod promtool;

const ADMIN: &str = "0123456789abcdef-admin";
const VIEWER: &str = "0123456789abcdef-viewer";

/// The program while it serves.
struct Served {
    child: Child,
    address: SocketAddr,
}

impl Served {
    fn start(command: &mut Command) -> Self {
        let command = command.args(["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line
            .split("http://")
            .nth(1)
            .and_then(|rest| rest.split('/').next())
            .and_then(|address| address.parse().ok());
        Self {
            address: address.unwrap_or_else(|| panic!("no address in {line:?}")),
            child,
        }
    }

    /// One request on a connection of its own; the whole answer.
    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, path: &str, token: Option<&str>) -> String {
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let token = token.unwrap_or_default();
        let host = self.address;
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\n{token}Connection: close\r\n\r\n"
        ))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn assert_status(answer: &str, status: u16) {
    let wanted = format!("HTTP/1.1 {status} ");
    assert!(answer.starts_with(&wanted), "no {status}: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_pages_json_metrics_and_health_to_this_machine() {
    let rig = Rig::new().await;
    let served = Served::start(&mut rig.program());
    assert_status(&served.get("/", None), 200);
    let json = served.get("/api/overview", None);
    assert!(json.contains("\"queue\":\"billing\""), "{json}");
    let metrics = served.get("/metrics", None);
    assert_status(&metrics, 200);
    let (_, text) = metrics.split_once("\r\n\r\n").unwrap();
    assert!(text.contains("oxcart_jobs_in_state{queue=\"billing\""));
    promtool::assert_accepts(text);
    assert_status(&served.get("/healthz", None), 200);
    // A web page that made its own name lead here.
    let foreign = "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_status(&served.ask(foreign), 403);
    rig.server.pause();
    eventually_blocking(PATIENCE, || {
        served.get("/healthz", None).starts_with("HTTP/1.1 503 ")
    });
    rig.server.resume();
    eventually_blocking(PATIENCE, || {
        served.get("/healthz", None).starts_with("HTTP/1.1 200 ")
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_say_who_may_do_what() {
    let rig = Rig::new().await;
    let mut program = rig.program();
    let tokens = format!("viewer:{VIEWER} ada=admin:{ADMIN}");
    let served = Served::start(program.env("OXCART_DASHBOARD_TOKENS", tokens));
    assert_status(&served.get("/api/overview", None), 401);
    assert_status(&served.get("/metrics", None), 401);
    assert_status(&served.get("/healthz", None), 200);
    assert_status(&served.get("/metrics", Some(VIEWER)), 200);
    let pause = |token| {
        format!(
            "POST /api/queues/billing/pause HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
    };
    assert_status(&served.ask(&pause(VIEWER)), 403);
    assert_status(&served.ask(&pause(ADMIN)), 200);
    let entries = rig.queue.audit().await.unwrap();
    assert_eq!(entries[0].operator, "ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_in_good_order_also_while_somebody_watches() {
    let rig = Rig::new().await;
    let mut served = Served::start(&mut rig.program());
    let mut watching = TcpStream::connect(served.address).unwrap();
    let host = served.address;
    write!(
        watching,
        "GET /live/overview HTTP/1.1\r\nHost: {host}\r\n\r\n"
    )
    .unwrap();
    let mut head = [0; 12];
    watching.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    let pid = Pid::from_raw(served.child.id() as i32);
    kill(pid, Signal::SIGTERM).unwrap();
    let since = Instant::now();
    let status = served.child.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(since.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn it_refuses_what_would_be_open_to_everybody() {
    let rig = Rig::new().await;
    let run = |args: &[&str]| {
        let output = rig.program().arg("serve").args(args).output().unwrap();
        Said::from(output)
    };
    let open = run(&["--listen", "0.0.0.0:0"]).expect(2);
    assert!(open.err.contains("without tokens"), "{}", open.err);
    assert!(open.err.contains("OXCART_DASHBOARD_TOKENS"), "{}", open.err);
    let weak = run(&["--token", "admin:short"]).expect(2);
    assert!(weak.err.contains("16 characters"), "{}", weak.err);
    let wrong = run(&["--token", "root:0123456789abcdef"]).expect(2);
    assert!(wrong.err.contains("no role"), "{}", wrong.err);
    assert!(!wrong.err.contains("0123456789abcdef"), "{}", wrong.err);
    let empty = run(&["--token", ""]).expect(2);
    assert!(empty.err.contains("token is empty"), "{}", empty.err);
    let nowhere = run(&["--listen", "7474"]).expect(2);
    assert!(nowhere.err.contains("127.0.0.1:7474"), "{}", nowhere.err);
}
