//! What answers is no Redis, or none that lets us in.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use oxcart::{Error, ErrorKind, Oxcart};

use crate::support::jobs::{Scene, Work};
use crate::support::sentinels::Sentinel;
use crate::support::workers::{run, worker};
use crate::support::{Port, Proxy, Server, road};

/// Connecting must fail, in bounded time and with an error that shows no password.
async fn refused_by(url: &str) -> Error {
    let asked = Instant::now();
    let Err(error) = Oxcart::connect(url).await else {
        panic!("{url} was accepted");
    };
    assert!(asked.elapsed() < Duration::from_secs(5), "{error}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("not-the-secret"), "{shown}");
    error
}

/// Listens, and answers each connection with `answer`, if with anything.
fn stranger(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the process.
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for mut client in listener.incoming().map_while(Result::ok) {
            if !answer.is_empty() {
                let _ = client.read(&mut [0; 4096]);
                let _ = client.write_all(answer.as_bytes());
            }
            kept.push(client);
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_wrong_password_is_said_to_be_one() {
    let server = Server::start();
    server.cli(&["CONFIG", "SET", "requirepass", "secret"]);
    let wrong = [":not-the-secret", "nobody:not-the-secret"].map(|login| server.url_as(login));
    for url in [&wrong[..], &[server.open_url()]].concat() {
        let error = refused_by(&url).await;
        assert_eq!(error.kind(), ErrorKind::Unsuitable, "{error:?}");
    }
    Oxcart::connect(&server.url_as(":secret")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_what_is_no_redis_is_told_apart() {
    let http = stranger("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let error = refused_by(&format!("redis://{http}/")).await;
    assert_eq!(error.kind(), ErrorKind::Unsuitable, "{error:?}");

    let silent = stranger("");
    let error = refused_by(&format!("redis://{silent}/")).await;
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_where_nobody_listens_is_unreachable() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    proxy.refuse(true);
    for url in [proxy.url(), "redis+unix:///nowhere/redis.sock".to_owned()] {
        let error = refused_by(&url).await;
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    }
    for url in ["", "http://127.0.0.1/", "redis://127.0.0.1:port/"] {
        let error = refused_by(url).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    }
}

/// `INFO` is not needed: `HELLO` tells everybody the version, the mode and the role.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_user_without_info_can_work() {
    let (server, other) = (Server::start(), Server::start());
    let user = ["ACL", "SETUSER", "app", "on", ">not-the-secret"];
    let rule = [
        "~oxcart:*",
        "+@read",
        "+@write",
        "+@scripting",
        "+time",
        "-info",
    ];
    for server in [&server, &other] {
        server.cli(&[&user[..], &rule, road::rights_in_a_cluster()].concat());
    }
    let url = |server: &Server| server.url_as("app:not-the-secret");
    let queue = Oxcart::connect(&url(&server)).await.unwrap();
    let queue = queue.queue("work").unwrap();
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene));
    let result = queue.enqueue(Work::Quick).result();
    result.within(Duration::from_secs(5)).await.unwrap();
    worker.stop().await;

    // A cluster has no `REPLICAOF`.
    if road::is_cluster() {
        return;
    }
    server.replica_of(&other);
    let error = refused_by(&url(&server)).await;
    assert_eq!(error.kind(), ErrorKind::Unsuitable, "{error:?}");
    assert!(error.to_string().contains("is a replica"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_what_info_says_is_told_with_the_address_to_use() {
    if road::is_skipped_in_a_cluster("REPLICAOF") {
        return;
    }
    let (primary, replica) = (Server::start(), Server::start());
    replica.replica_of(&primary);
    let error = refused_by(&replica.url()).await;
    assert_eq!(error.kind(), ErrorKind::Unsuitable, "{error:?}");
    let its_primary = format!("connect to its primary, {}", primary.tcp_addr());
    assert!(error.to_string().contains(&its_primary), "{error}");

    let bus = Port::claim();
    let cluster = Server::options().cluster(&bus).start();
    let error = refused_by(&cluster.url()).await;
    assert_eq!(error.kind(), ErrorKind::Unsuitable, "{error:?}");
    assert!(
        error.to_string().contains("without cluster mode"),
        "{error}"
    );

    let sentinel = Sentinel::of(&primary, 1);
    let error = refused_by(&sentinel.plain_url()).await;
    assert_eq!(error.kind(), ErrorKind::Unsuitable, "{error:?}");
    let watched = format!("the primary that it watches, {}", primary.tcp_addr());
    assert!(error.to_string().contains(&watched), "{error}");
}

/// The user of a database gets that one, or an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_url_means_what_it_says() {
    if road::is_skipped_in_a_cluster("database but 0") {
        return;
    }
    let server = Server::start();
    server.cli(&["ACL", "SETUSER", "raw", "on", ">p@ss", "~*", "+@all"]);
    server.cli(&["CONFIG", "SET", "requirepass", "p@s/s#w?rd"]);
    let address = server.tcp_addr();
    let escaped = "p%40s%2Fs%23w%3Frd";
    let oxcart = Oxcart::connect(&format!("redis://:{escaped}@{address}/3")).await;
    let queue = oxcart.unwrap().queue("work").unwrap();
    queue.enqueue(Work::Quick).await.unwrap();
    let in_third = redis::Client::open(format!("redis://:{escaped}@{address}/3")).unwrap();
    let keys: i64 = redis::cmd("DBSIZE")
        .query(&mut in_third.get_connection().unwrap())
        .unwrap();
    assert!(keys > 0);
    // An `@` is no mistake as long as nothing but the password can be meant.
    let raw = format!("redis://raw:p@ss@{address}/");
    Oxcart::connect(&raw).await.unwrap();
    for url in [
        format!("redis://:{escaped}@{address}?db=3"),
        format!("redis://:p@s/s#w?rd@{address}/3"),
        format!("redis://:{escaped}@{address}/three"),
        format!("redis://:{escaped}@::1:6379/3"),
        format!("rredis://:{escaped}@{address}/3"),
        format!("redis://:{escaped}@/3"),
    ] {
        let error = refused_by(&url).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{url}: {error:?}");
        let shown = error.to_string();
        assert!(
            !shown.contains(escaped) && !shown.contains("w?rd"),
            "{shown}"
        );
    }
}
