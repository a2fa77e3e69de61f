use std::net::TcpStream;
use std::path::Path;

use crate::SOON;
use crate::support::{Ledger, Process, Server, child_of_test, eventually_blocking, spawn_self};

/// Not a test by itself: a process that the tests below start and kill.
#[test]
fn child_process() {
    if !child_of_test() {
        return;
    }
    let ledger = Ledger::open(std::env::var("LEDGER").expect("the parent names a ledger"));
    match std::env::var("DUTY")
        .expect("the parent names a duty")
        .as_str()
    {
        "write" => (0..500).for_each(|n| {
            ledger.record(&format!("{} {n} {}", std::process::id(), "x".repeat(200)))
        }),
        "serve" => {
            let server = Server::start();
            let folder = server.folder().display();
            ledger.record(&format!("{} {folder}", server.tcp_addr()));
            std::thread::park();
        }
        other => unreachable!("no duty is called {other}"),
    }
}

fn start_child(ledger: &Ledger, duty: &str) -> Process {
    let path = ledger
        .path()
        .to_str()
        .expect("temp folders have plain names");
    spawn_self(
        "processes::child_process",
        &[("LEDGER", path), ("DUTY", duty)],
    )
}

#[test]
fn ledger_keeps_the_lines_of_all_processes_whole() {
    let ledger = Ledger::create();
    let mut children: Vec<_> = (0..4).map(|_| start_child(&ledger, "write")).collect();
    for child in &mut children {
        assert!(child.wait(SOON).success());
    }
    let lines = ledger.lines();
    assert_eq!(lines.len(), 4 * 500);
    for child in &children {
        let own = lines
            .iter()
            .filter_map(|line| line.strip_prefix(&format!("{} ", child.id())));
        let expected = (0..500).map(|n| format!("{n} {}", "x".repeat(200)));
        assert!(
            own.eq(expected),
            "each child's lines are there, whole and in its order"
        );
    }
}

#[test]
fn killed_child_leaves_no_server_behind() {
    let ledger = Ledger::create();
    let mut child = start_child(&ledger, "serve");
    eventually_blocking(SOON, || ledger.lines().len() == 1);
    let line = ledger.lines().remove(0);
    let (address, folder) = line.split_once(' ').expect("two words");
    let is_up = || TcpStream::connect(address).is_ok() || Path::new(folder).exists();
    assert!(is_up());
    child.pause();
    child.resume();
    assert!(child.is_running());
    child.kill();
    eventually_blocking(SOON, || !is_up());
}

#[test]
#[should_panic(expected = "has no test `no_such_test`")]
fn child_that_does_not_exist_is_an_error() {
    spawn_self("no_such_test", &[]);
}
