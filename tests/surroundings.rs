//! The same work in each surrounding: over a socket, by IPv6, in either version of the protocol, with commands denied as hosted servers and
//! proxies deny them.

mod support;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use oxcart::{Oxcart, Queue};
use support::everything::a_bit_of_everything;
use support::jobs::{Scene, Work};
use support::workers::{QUEUE, drained, queue_at, run, worker};
use support::{Server, eventually, road};

const SECOND: Duration = Duration::from_secs(1);

async fn everything_works_at(url: &str) {
    let queue = queue_at(url).await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene).concurrency(20).lease(SECOND));
    a_bit_of_everything(&queue, &scene, 5).await;
    // An idle worker hears of a job at once.
    tokio::time::sleep(SECOND / 2).await;
    let began = Instant::now();
    queue.enqueue(Work::Quick).result().await.unwrap();
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    drained(&queue, 10 * SECOND).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_over_a_socket_and_in_another_database() {
    if road::is_skipped_in_a_cluster("URL of a socket, and no database but 0") {
        return;
    }
    let server = Server::start();
    everything_works_at(&format!("{}?db=3", server.socket_url())).await;
    let keyspace: String = server.ask(&["INFO", "keyspace"]);
    assert!(
        keyspace.contains("db3:") && !keyspace.contains("db0:"),
        "{keyspace}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_by_the_third_version_of_the_protocol() {
    if road::is_skipped_in_a_cluster("URL that names the version of the protocol") {
        return;
    }
    let server = Server::start();
    everything_works_at(&format!("{}?protocol=3", server.plain_url())).await;
    let over_socket = format!("{}?protocol=3&db=1", server.socket_url());
    everything_works_at(&over_socket).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_by_ipv6() {
    if TcpListener::bind("[::1]:0").is_err() {
        println!("this machine has no IPv6");
        return;
    }
    let options = Server::options().arg("--bind", "127.0.0.1 ::1");
    let (options, scheme, database) = match road::is_cluster() {
        // Its map leads there as well.
        true => (
            options.arg("--cluster-announce-ip", "::1"),
            "redis+cluster",
            0,
        ),
        false => (options, "redis", 2),
    };
    let server = options.start();
    let port = server.tcp_addr().port();
    everything_works_at(&format!("{scheme}://[::1]:{port}/{database}")).await;
}

/// The queue of a user who may not do this.
async fn without(server: &Server, denied: &[&str]) -> Queue {
    let user = [
        "ACL",
        "SETUSER",
        "app",
        "on",
        ">a-password",
        "~oxcart:*",
        "+@all",
    ];
    server.cli(&[&user, denied, road::rights_in_a_cluster()].concat());
    let url = server.url_as("app:a-password");
    let oxcart = Oxcart::connect(&url).await.unwrap();
    oxcart.queue(QUEUE).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_server_that_denies_what_only_operators_need() {
    let server = Server::start();
    let denied = [
        "-@admin",
        "-@dangerous",
        "-config",
        "-info",
        "-client",
        "-command",
    ];
    let queue = without(&server, &denied).await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene));
    for _ in 0..3 {
        let began = Instant::now();
        queue.enqueue(Work::Quick).result().await.unwrap();
        assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    }
    // It cannot end its wait for work, so it waits for its end.
    let began = Instant::now();
    worker.stop().await;
    assert!(began.elapsed() < 6 * SECOND, "{:?}", began.elapsed());
}

/// Then a worker looks twice a second, and who waits for a result looks now and then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_server_or_proxy_that_denies_commands_that_wait() {
    let server = Server::start();
    let queue = without(&server, &["-@blocking"]).await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene));
    for n in 1..=3 {
        tokio::time::sleep(2 * SECOND).await;
        let began = Instant::now();
        let job = queue.enqueue(Work::Quick).await.unwrap();
        eventually(2 * SECOND, || scene.runs().len() == n).await;
        println!("picked up after {:?}", began.elapsed());
        let began = Instant::now();
        job.result().within(10 * SECOND).await.unwrap();
        println!("its result was there after {:?}", began.elapsed());
    }
    let before = (server.calls("evalsha"), connections(&server));
    tokio::time::sleep(5 * SECOND).await;
    let after = (server.calls("evalsha"), connections(&server));
    let (calls, made) = (after.0 - before.0, after.1 - before.1);
    println!("{calls} calls and {made} connections in 5 s");
    assert!((3..=15).contains(&calls), "{calls} calls in 5 s");
    // The test's own questions.
    assert!(made <= 2, "{made} connections in 5 s");
    worker.stop().await;
}

fn connections(server: &Server) -> u64 {
    server.info("total_connections_received").parse().unwrap()
}
