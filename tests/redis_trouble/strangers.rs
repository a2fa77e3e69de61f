//! What answers is no Redis, or none that lets us in.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use oxcart::{Error, ErrorKind, Oxcart};

use crate::support::{Proxy, Server};

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
    let address = server.tcp_addr();
    for user in ["", ":not-the-secret@", "nobody:not-the-secret@"] {
        let error = refused_by(&format!("redis://{user}{address}/")).await;
        assert_eq!(error.kind(), ErrorKind::Unsuitable, "{error:?}");
    }
    let right = format!("redis://:secret@{address}/");
    Oxcart::connect(&right).await.unwrap();
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
