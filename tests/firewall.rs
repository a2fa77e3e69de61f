//! A firewall that forgets connections on which nothing goes for a while: what is sent on them later is swallowed, and nobody is told.
//!
//! `FIREWALL=full` waits for longer, `FIREWALL=hour` lets a worker be idle for an hour.

mod support;

use std::time::{Duration, Instant};

use futures::StreamExt;
use oxcart::{EventKind, Oxcart, Queue};
use support::jobs::{Scene, Work};
use support::workers::{QUEUE, drained, queue_at, run, watched, worker};
use support::{Proxy, Server, eventually};

const SECOND: Duration = Duration::from_secs(1);
/// After which the firewall forgets a connection.
const FORGETS: Duration = Duration::from_secs(5);

/// A server, a queue there, a firewall in front of it, and the same queue behind that.
async fn behind_a_firewall(forgets: Duration) -> (Server, Queue, Proxy, Queue) {
    let server = Server::start();
    let direct = queue_at(&server.url()).await;
    let proxy = Proxy::start(server.tcp_addr());
    proxy.forget_idle(forgets);
    let walled = queue_at(&proxy.url()).await;
    (server, direct, proxy, walled)
}

fn is_form(name: &str) -> bool {
    std::env::var("FIREWALL").is_ok_and(|form| form == name)
}

fn is_full() -> bool {
    is_form("full")
}

/// Its connections are never silent for so long, so they stay, and there is no trouble.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_an_idle_worker_is_not_forgotten() {
    let (_server, direct, proxy, walled) = behind_a_firewall(FORGETS).await;
    let scene = Scene::new();
    let (builder, events) = watched(worker(&walled, &scene));
    let worker = run(builder);
    // Each is a third of a second longer than the one before it.
    let rounds = match (is_form("hour"), is_full()) {
        (true, _) => 118,
        (_, true) => 12,
        _ => 2,
    };
    for round in 0..rounds {
        let (made, forgotten) = (proxy.connections(), proxy.forgotten());
        // Not always at the same point of a wait.
        tokio::time::sleep(11 * SECOND + SECOND * round / 3).await;
        if round > 0 {
            assert_eq!((proxy.connections(), proxy.forgotten()), (made, forgotten));
        }
        let began = Instant::now();
        direct.enqueue(Work::Quick).await.unwrap();
        eventually(6 * SECOND, || scene.runs().len() as u32 == round + 1).await;
        println!("picked up after {:?}", began.elapsed());
    }
    assert_eq!(events.troubles(), [] as [String; 0]);
    assert_eq!(drained(&direct, 5 * SECOND).await.totals.stalled, 0);
    worker.stop().await;
}

/// Even if the firewall forgets each connection between two of its commands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_an_idle_worker_that_is_always_forgotten_picks_up_a_job_within_six_seconds() {
    let jobs = if is_full() { 6 } else { 3 };
    let (_server, direct, proxy, walled) = behind_a_firewall(2 * SECOND).await;
    let scene = Scene::new();
    let worker = run(worker(&walled, &scene));
    for n in 0..jobs {
        tokio::time::sleep(7 * SECOND + SECOND * n).await;
        let began = Instant::now();
        direct.enqueue(Work::Quick).await.unwrap();
        eventually(6 * SECOND, || scene.runs().len() as u32 == n + 1).await;
        println!("picked up after {:?}", began.elapsed());
    }
    assert!(proxy.forgotten() > 0);
    let totals = drained(&direct, 5 * SECOND).await.totals;
    assert_eq!((totals.completed, totals.stalled), (jobs.into(), 0));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_caller_that_was_idle_is_answered_within_its_time() {
    let (_server, direct, proxy, _) = behind_a_firewall(FORGETS).await;
    let oxcart = Oxcart::builder().call_timeout(3 * SECOND);
    let walled = oxcart.connect(&proxy.url()).await.unwrap();
    let walled = walled.queue(QUEUE).unwrap();
    for n in 1..=if is_full() { 2 } else { 1 } {
        walled.enqueue(Work::Quick).await.unwrap();
        walled.counts().await.unwrap();
        tokio::time::sleep(FORGETS + SECOND).await;
        let forgotten = proxy.forgotten();
        let began = Instant::now();
        let enqueue = async {
            walled.enqueue(Work::Quick).await.map(drop).unwrap();
            println!("enqueued after {:?}", began.elapsed());
        };
        let look = async {
            walled.counts().await.unwrap();
            println!("counted after {:?}", began.elapsed());
            assert!(began.elapsed() < 3 * SECOND, "{:?}", began.elapsed());
        };
        tokio::join!(enqueue, look);
        assert_eq!(proxy.forgotten() - forgotten, 2);
        assert_eq!(direct.counts().await.unwrap().waiting, 2 * n);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_stream_of_events_goes_on() {
    let going_on = async |forgets| {
        let (_server, direct, proxy, walled) = behind_a_firewall(forgets).await;
        let mut events = walled.events().await.unwrap();
        tokio::time::sleep(12 * SECOND).await;
        let job = direct.enqueue(Work::Quick).await.unwrap();
        let added = async {
            while let Some(event) = events.next().await {
                if event.kind == EventKind::Added(job.id().clone()) {
                    return;
                }
            }
        };
        let began = Instant::now();
        tokio::time::timeout(7 * SECOND, added).await.unwrap();
        println!(
            "{forgets:?}: read after {:?}, forgotten {}",
            began.elapsed(),
            proxy.forgotten()
        );
    };
    tokio::join!(going_on(FORGETS), going_on(2 * SECOND));
}

/// Its lease is renewed less often than the firewall forgets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_job_that_runs_for_long_keeps_its_lease() {
    let (_server, direct, proxy, walled) = behind_a_firewall(FORGETS).await;
    let scene = Scene::new();
    let (builder, events) = watched(worker(&walled, &scene).lease(18 * SECOND));
    let worker = run(builder);
    let job = direct.enqueue(Work::Hold).await.unwrap();
    eventually(10 * SECOND, || scene.running().len() == 1).await;
    tokio::time::sleep(if is_full() { 40 * SECOND } else { 20 * SECOND }).await;
    scene.release(1);
    let totals = drained(&direct, 10 * SECOND).await.totals;
    assert_eq!((totals.completed, totals.stalled), (1, 0));
    assert_eq!(scene.runs_of(job.id()).len(), 1);
    println!("forgotten: {}", proxy.forgotten());
    assert_eq!(events.troubles(), [] as [String; 0]);
    worker.stop().await;
}
