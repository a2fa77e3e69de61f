use crate::support::Server;
use crate::{connect, make_impatient, ping};

#[test]
fn server_answers_on_port_and_socket() {
    let server = Server::start();
    for url in [server.plain_url(), server.socket_url()] {
        assert_eq!(
            ping(&mut connect(&url).expect("it listens")).as_deref(),
            Ok("PONG"),
            "{url}"
        );
    }
    assert_eq!(server.info("process_id"), server.pid().to_string());
}

#[test]
fn two_servers_share_nothing() {
    let (one, other) = (Server::start(), Server::start());
    one.cli(&["SET", "key", "value"]);
    assert_eq!(other.ask::<i64>(&["DBSIZE"]), 0);
    assert_ne!(one.tcp_addr(), other.tcp_addr());
}

#[test]
fn killed_server_comes_back_empty_at_the_same_address() {
    let server = Server::start();
    let (address, first) = (server.tcp_addr(), server.info("run_id"));
    server.cli(&["SET", "key", "value"]);
    server.kill();
    assert!(connect(&server.plain_url()).is_err());
    server.restart();
    assert_eq!(server.tcp_addr(), address);
    assert_ne!(server.info("run_id"), first);
    assert_eq!(server.ask::<i64>(&["DBSIZE"]), 0);
}

#[test]
fn aof_always_survives_a_kill() {
    let server = Server::options().aof_always().start();
    server.cli(&["SET", "key", "value"]);
    server.restart();
    assert_eq!(server.ask::<String>(&["GET", "key"]), "value");
    server.stop();
    server.restart();
    assert_eq!(server.ask::<String>(&["GET", "key"]), "value");
}

#[test]
fn options_reach_the_server() {
    let server = Server::options().arg("--maxmemory", "8mb").start();
    assert_eq!(server.info("maxmemory"), (8 * 1024 * 1024).to_string());
}

#[test]
fn paused_server_is_silent_until_resumed() {
    let server = Server::start();
    let mut connection = connect(&server.plain_url()).expect("it listens");
    server.pause();
    server.pause();
    make_impatient(&connection);
    let error = ping(&mut connection).expect_err("a paused server answers nothing");
    assert!(error.is_timeout(), "{error}");
    server.resume();
    assert_eq!(
        ping(&mut connect(&server.plain_url()).expect("it goes on")).as_deref(),
        Ok("PONG")
    );
}

#[test]
fn dropped_server_is_gone_even_if_paused() {
    let server = Server::start();
    let pid = server.pid();
    server.pause();
    assert!(is_running(pid));
    drop(server);
    assert!(!is_running(pid));
}

#[test]
fn replica_has_what_its_primary_has() {
    if crate::support::road::is_skipped_in_a_cluster("REPLICAOF") {
        return;
    }
    let (primary, replica) = (Server::start(), Server::start());
    primary.cli(&["SET", "key", "value"]);
    replica.replica_of(&primary);
    assert_eq!(replica.ask::<String>(&["GET", "key"]), "value");
    let refused = replica
        .try_cli(&["SET", "key", "other"])
        .expect_err("a replica takes no writes");
    assert_eq!(refused.code(), Some("READONLY"));
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    replica.cli(&["SET", "key", "other"]);
}

fn is_running(pid: u32) -> bool {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a pid is an i32"));
    nix::sys::signal::kill(pid, None).is_ok()
}
