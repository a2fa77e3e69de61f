use std::io::ErrorKind;
use std::time::{Duration, Instant};

use redis::Value;

use crate::support::{Proxy, Server, eventually_blocking};
use crate::{NEVER, SOON, connect, count, make_impatient, ping};

#[test]
fn proxy_hides_nothing_unless_told() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let mut connection = connect(&proxy.plain_url()).expect("it listens");
    let large = "x".repeat(3 * 1024 * 1024);
    let mut pipeline = redis::pipe();
    pipeline
        .cmd("SET")
        .arg("large")
        .arg(&large)
        .ignore()
        .cmd("GET")
        .arg("large")
        .cmd("GET")
        .arg("nothing");
    pipeline
        .cmd("HELLO")
        .arg(3)
        .ignore()
        .cmd("CONFIG")
        .arg("GET")
        .arg("*")
        .ignore()
        .cmd("PING");
    let answers: (String, Value, String) =
        pipeline.query(&mut connection).expect("all of it arrives");
    assert!(answers.0 == large, "{} bytes came back", answers.0.len());
    assert_eq!((answers.1, answers.2.as_str()), (Value::Nil, "PONG"));
    assert_eq!(
        (
            proxy.connections(),
            proxy.open_connections(),
            proxy.replies_dropped()
        ),
        (1, 1, 0)
    );
}

#[test]
fn proxy_lets_blocking_commands_block() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let pops = std::thread::spawn({
        let mut connection = connect(&proxy.plain_url()).expect("it listens");
        move || {
            redis::cmd("BZPOPMIN")
                .arg("set")
                .arg(10)
                .query::<(String, String, f64)>(&mut connection)
        }
    });
    let reads = std::thread::spawn({
        let mut connection = connect(&proxy.plain_url()).expect("it listens");
        move || {
            redis::cmd("XREAD")
                .arg(&["BLOCK", "10000", "STREAMS", "stream", "$"])
                .query::<Value>(&mut connection)
        }
    });
    eventually_blocking(SOON, || server.info("blocked_clients") == "2");
    server.cli(&["ZADD", "set", "7", "member"]);
    server.cli(&["XADD", "stream", "*", "field", "value"]);
    let popped = pops.join().expect("no panic").expect("a member came");
    assert_eq!(popped, ("set".to_owned(), "member".to_owned(), 7.0));
    let read = reads.join().expect("no panic").expect("an entry came");
    assert_ne!(read, Value::Nil);
}

#[test]
fn proxy_passes_published_messages() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let mut connection = connect(&proxy.plain_url()).expect("it listens");
    let mut subscription = connection.as_pubsub();
    subscription.subscribe("news").expect("subscribed");
    server.cli(&["PUBLISH", "news", "hello"]);
    let message = subscription.get_message().expect("a message came");
    assert_eq!(message.get_payload::<String>().as_deref(), Ok("hello"));
}

#[test]
fn drop_reply_every_applies_the_call_and_cuts_the_connection() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    proxy.drop_reply_every(3);
    let mut connection = connect(&proxy.plain_url()).expect("it listens");
    assert_eq!(count(&mut connection).ok(), Some(1));
    assert!(ping(&mut connection).is_ok(), "only scripts count");
    let unknown = redis::cmd("EVALSHA")
        .arg("0".repeat(40))
        .arg(0)
        .query::<Value>(&mut connection);
    let unknown = unknown.expect_err("no such script");
    assert_eq!(
        unknown.code(),
        Some("NOSCRIPT"),
        "what did not run does not count"
    );
    assert_eq!(count(&mut connection).ok(), Some(2));
    let lost = count(&mut connection).expect_err("the third reply is lost");
    assert!(lost.is_connection_dropped(), "{lost}");
    assert_eq!(
        server.ask::<i64>(&["GET", "counter"]),
        3,
        "yet the call was applied"
    );
    assert_eq!(proxy.replies_dropped(), 1);

    let mut next = connect(&proxy.plain_url()).expect("new connections are welcome");
    assert_eq!(count(&mut next).ok(), Some(4));
    assert_eq!(count(&mut next).ok(), Some(5));
    assert!(
        count(&mut next).is_err(),
        "the count goes on across connections"
    );
    proxy.drop_reply_every(0);
    let mut last = connect(&proxy.plain_url()).expect("it listens");
    assert!((7..=20).all(|n| count(&mut last).ok() == Some(n)));
    assert_eq!(proxy.replies_dropped(), 2);
}

#[test]
fn replies_before_a_dropped_one_arrive() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    proxy.drop_reply_every(2);
    proxy.delay(Duration::from_millis(20));
    let mut connection = connect(&proxy.plain_url()).expect("it listens");
    let script = redis::cmd("EVAL")
        .arg("return 'ran'")
        .arg(0)
        .get_packed_command();
    connection
        .send_packed_command(&script.repeat(2))
        .expect("sent");
    assert_eq!(
        connection.recv_response().ok(),
        Some(Value::BulkString(b"ran".to_vec()))
    );
    assert!(
        connection
            .recv_response()
            .expect_err("this one is lost")
            .is_connection_dropped()
    );
}

#[test]
fn swallow_every_applies_the_call_and_keeps_the_connection_open() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    proxy.swallow_every(2);
    let mut connection = connect(&proxy.plain_url()).expect("it listens");
    assert_eq!(count(&mut connection).ok(), Some(1));
    make_impatient(&connection);
    let lost = count(&mut connection).expect_err("the second reply never arrives");
    assert!(lost.is_timeout(), "{lost}");
    // The call is applied, whether or not anybody still waits.
    eventually_blocking(SOON, || {
        server.ask::<i64>(&["GET", "counter"]) == 2 && proxy.replies_dropped() == 1
    });
    assert_eq!((proxy.replies_dropped(), proxy.open_connections()), (1, 1));
}

#[test]
fn cut_all_closes_what_is_open_and_nothing_else() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let mut connections: Vec<_> = (0..3)
        .map(|_| connect(&proxy.plain_url()).expect("it listens"))
        .collect();
    assert!(
        connections
            .iter_mut()
            .all(|connection| ping(connection).is_ok())
    );
    proxy.cut_all();
    assert_eq!(proxy.open_connections(), 0);
    for connection in &mut connections {
        assert!(
            ping(connection)
                .expect_err("it was cut")
                .is_connection_dropped()
        );
    }
    // The server sees it, too: only the connection that asks is left.
    eventually_blocking(SOON, || server.info("connected_clients") == "1");
    assert!(ping(&mut connect(&proxy.plain_url()).expect("new connections are welcome")).is_ok());
}

#[test]
fn refuse_turns_new_connections_away_and_keeps_the_open_ones() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let mut open = connect(&proxy.plain_url()).expect("it listens");
    for _ in 0..3 {
        proxy.refuse(true);
        let refused = std::net::TcpStream::connect(proxy.addr()).expect_err("nothing listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert!(ping(&mut open).is_ok());
        proxy.refuse(false);
        assert!(ping(&mut connect(&proxy.plain_url()).expect("it listens again")).is_ok());
    }
}

#[test]
fn delay_adds_latency_and_leaves_the_throughput() {
    let by = Duration::from_millis(100);
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let mut connection = connect(&proxy.plain_url()).expect("it listens");
    proxy.delay(by);
    let started = Instant::now();
    connection
        .send_packed_command(&redis::cmd("PING").get_packed_command().repeat(50))
        .expect("sent");
    for _ in 0..50 {
        assert!(connection.recv_response().is_ok());
    }
    let took = started.elapsed();
    assert!(took >= by && took < 25 * by, "50 replies took {took:?}");
}

#[test]
fn half_open_accepts_and_does_nothing() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let [mut used, mut unused] = [(); 2].map(|()| connect(&proxy.plain_url()).expect("it listens"));
    assert!(ping(&mut used).is_ok());
    make_impatient(&used);
    proxy.half_open(true);
    let lost = count(&mut used).expect_err("nothing is forwarded");
    assert!(lost.is_timeout(), "{lost}");
    let before = proxy.bytes_swallowed();
    let mut new = std::net::TcpStream::connect(proxy.addr()).expect("connections are accepted");
    std::io::Write::write_all(&mut new, b"PING\r\n").expect("and read");
    eventually_blocking(SOON, || proxy.bytes_swallowed() == before + 6);
    new.set_read_timeout(Some(NEVER))
        .expect("a timeout above zero");
    let silence = std::io::Read::read(&mut new, &mut [0; 16]).expect_err("and not answered");
    assert!(
        matches!(silence.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{silence}"
    );
    assert_eq!(server.ask::<i64>(&["EXISTS", "counter"]), 0);

    proxy.half_open(false);
    assert!(ping(&mut unused).is_ok(), "it lost nothing, so it goes on");
    let still_lost =
        std::io::Read::read(&mut new, &mut [0; 16]).expect_err("what it sent is lost for good");
    assert!(
        matches!(
            still_lost.kind(),
            ErrorKind::WouldBlock | ErrorKind::TimedOut
        ),
        "{still_lost}"
    );
    assert!(ping(&mut connect(&proxy.plain_url()).expect("it listens")).is_ok());
}

#[test]
fn proxy_to_a_dead_server_closes_connections() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let mut before = connect(&proxy.plain_url()).expect("it listens");
    server.kill();
    assert!(
        ping(&mut before)
            .expect_err("the server has gone")
            .is_connection_dropped()
    );
    assert!(
        connect(&proxy.plain_url())
            .and_then(|mut connection| ping(&mut connection))
            .is_err()
    );
    server.restart();
    assert!(ping(&mut connect(&proxy.plain_url()).expect("it listens")).is_ok());
}

#[tokio::test]
async fn proxy_works_while_the_tests_own_runtime_is_blocked() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    assert!(ping(&mut connect(&proxy.plain_url()).expect("it listens")).is_ok());
}

#[test]
fn a_request_that_is_refused_is_answered_and_does_not_reach_the_server() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    proxy.refuse_requests_over(1_000);
    let mut connection = connect(&proxy.plain_url()).expect("it listens");
    let set = |bytes: usize| {
        let mut set = redis::cmd("SET");
        set.arg("oxcart:key").arg("x".repeat(bytes)).clone()
    };
    let small: String = set(10).query(&mut connection).expect("it is passed on");
    assert_eq!(small, "OK");
    let refused = set(2_000).query::<String>(&mut connection).unwrap_err();
    assert!(refused.to_string().contains("Protocol error"), "{refused}");
    assert_eq!(proxy.requests_refused(), 1);
    ping(&mut connection).expect_err("the connection is closed");
    assert_eq!(server.ask::<usize>(&["STRLEN", "oxcart:key"]), 10);
    proxy.refuse_requests_over(0);
    let mut connection = connect(&proxy.plain_url()).expect("it listens");
    set(2_000)
        .query::<String>(&mut connection)
        .expect("it is passed on");
}
