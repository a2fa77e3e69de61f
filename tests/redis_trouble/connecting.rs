//! The connection that many share, and those that do not last.

use std::time::{Duration, Instant};

use futures::future::join_all;
use oxcart::{ErrorKind, Queue};

use crate::support::jobs::{Scene, Work};
use crate::support::workers::{queue_at, run, worker};
use crate::support::{Proxy, Server, eventually};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_callers_that_wait_for_one_connection_fail_together_and_in_time() {
    const AT_ONCE: usize = 100;
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let queue = queue_at(&proxy.url()).await;
    // First on a connection that has gone silent, then without any.
    proxy.half_open(true);
    for _ in 0..2 {
        let began = Instant::now();
        let answers = join_all((0..AT_ONCE).map(async |_| queue.counts().await));
        assert!(answers.await.iter().all(Result::is_err));
        println!("{AT_ONCE} failed within {:?}", began.elapsed());
        assert!(began.elapsed() < 10 * SECOND, "{:?}", began.elapsed());
    }
    proxy.half_open(false);
    queue.counts().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_master_that_was_demoted_is_left_though_it_still_answers_readers() {
    if crate::support::road::is_skipped_in_a_cluster("REPLICAOF") {
        return;
    }
    let (old, new) = (Server::start(), Server::start());
    let proxy = Proxy::start(old.tcp_addr());
    let queue = queue_at(&proxy.url()).await;
    queue.counts().await.unwrap();
    tokio::task::block_in_place(|| old.cli(&["REPLICAOF", "127.0.0.1", "1"]));
    proxy.redirect_new(new.tcp_addr());
    proxy.distance(SECOND / 50);
    let readers = join_all((0..20).map(|_| read_for_ever(&queue)));
    let pausing = async {
        let began = Instant::now();
        while queue.pause().await.is_err() {
            assert!(began.elapsed() < 5 * SECOND, "it still calls the old one");
            tokio::time::sleep(SECOND / 50).await;
        }
    };
    tokio::select! {
        _ = readers => unreachable!("they read for ever"),
        () = pausing => {}
    }
}

async fn read_for_ever(queue: &Queue) {
    loop {
        let _ = queue.counts().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_what_would_answer_otherwise_the_second_time_is_not_sent_twice() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let queue = queue_at(&proxy.url()).await;
    let job = queue.enqueue(Work::Quick).await.unwrap();
    // Now the server knows the script.
    let other = queue.enqueue(Work::Quick).await.unwrap();
    assert!(queue.remove(other.id()).await.unwrap().is_done());
    // As if the connection had died in its sleep.
    tokio::time::sleep(3 * SECOND / 2).await;
    proxy.drop_reply_every(1);
    let error = queue.remove(job.id()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown, "{error}");
    assert_eq!(proxy.replies_dropped(), 1);
    proxy.drop_reply_every(0);
    assert_eq!(queue.counts().await.unwrap().waiting, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_an_idle_worker_whose_connections_are_closed_does_not_connect_all_the_time() {
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let queue = queue_at(&proxy.url()).await;
    let scene = Scene::new();
    // The wait for work asks for a number first.
    proxy.close_after_numbers(true);
    let worker = run(worker(&queue, &scene));
    queue.enqueue(Work::Quick).await.unwrap();
    eventually(10 * SECOND, || scene.runs().len() == 1).await;
    let before = proxy.connections();
    tokio::time::sleep(5 * SECOND).await;
    let made = proxy.connections() - before;
    assert!(made <= 15, "{made} connections in 5 s");
    proxy.close_after_numbers(false);
    queue.enqueue(Work::Quick).await.unwrap();
    eventually(10 * SECOND, || scene.runs().len() == 2).await;
    worker.stop().await;
}
