//! How many connections there are, and what becomes of idle ones.

mod support;

use std::fmt::{Debug, Write};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use oxcart::{Job, Oxcart};
use serde::{Deserialize, Serialize};
use support::jobs::{Scene, Work};
use support::workers::{drained, queue_at, run, watched, worker};
use support::{Proxy, Server, eventually, eventually_blocking};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

const SECOND: Duration = Duration::from_secs(1);
/// A queue that has trouble on purpose.
const IN_TROUBLE: &str = "in-trouble";

/// What was logged of trouble with Redis, by all tests of this file.
static TROUBLES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps what says in a field of its own that there is trouble, in whatever words.
struct Troubles;

impl<S: Subscriber> Layer<S> for Troubles {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let of_event = event.metadata();
        if *of_event.level() <= Level::WARN && of_event.fields().field("trouble").is_some() {
            let mut fields = Fields(String::new());
            event.record(&mut fields);
            let mut all = TROUBLES.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(fields.0);
        }
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

/// The first test sets up the log of the process.
fn keep_troubles() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_subscriber::registry().with(Troubles).init());
}

fn troubles(on_purpose: bool) -> Vec<String> {
    let all = TROUBLES.lock().unwrap_or_else(PoisonError::into_inner);
    let of_queue = all
        .iter()
        .filter(|of| of.contains(IN_TROUBLE) == on_purpose);
    of_queue.cloned().collect()
}

/// No test of this file breaks a connection that is in use, but for the one below.
fn assert_no_trouble_was_logged() {
    assert_eq!(troubles(false), [] as [String; 0]);
}

/// Else the tests that look for it could not fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_trouble_with_connections_is_logged() {
    keep_troubles();
    let server = Server::start();
    let proxy = Proxy::start(server.tcp_addr());
    let oxcart = Oxcart::connect(&proxy.url()).await.unwrap();
    let queue = oxcart.queue(IN_TROUBLE).unwrap();
    queue.enqueue(Work::Quick).await.unwrap();
    proxy.refuse(true);
    proxy.cut_all();
    let late = queue.enqueue(Work::Quick);
    let late = async move { late.await.map(drop) };
    let heal = async {
        eventually(10 * SECOND, || !troubles(true).is_empty()).await;
        proxy.refuse(false);
    };
    let (late, ()) = tokio::join!(late, heal);
    late.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_idle_connections_that_the_server_closes_delay_no_recovery_and_are_no_trouble() {
    const LEASE: Duration = Duration::from_secs(3);
    keep_troubles();
    let server = Server::options().arg("--timeout", "1").start();
    let queue = queue_at(&server.url()).await;
    let scene = Scene::new();
    let job = queue.enqueue(Work::Perish { later_ms: 0 }).await.unwrap();
    let dies = run(worker(&queue, &scene).lease(LEASE));
    eventually(5 * SECOND, || scene.runs().len() == 1).await;
    let (builder, events) = watched(worker(&queue, &scene).lease(LEASE));
    let idle = run(builder);
    // Long enough for each of its connections to be closed, and for it to look again.
    tokio::time::sleep(7 * SECOND).await;
    dies.crash().await;
    let crashed = Instant::now();
    eventually(LEASE + 6 * SECOND, || scene.runs_of(job.id()).len() == 2).await;
    println!("taken back after {:?}", crashed.elapsed());
    assert_eq!(events.troubles(), [] as [String; 0]);
    assert_no_trouble_was_logged();
    idle.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_calls_on_connections_that_died_in_their_sleep_succeed_at_once() {
    keep_troubles();
    let server = Server::options().arg("--timeout", "1").start();
    let queue = queue_at(&server.url()).await;
    let calls = async || {
        let began = Instant::now();
        for _ in 0..5 {
            queue.counts().await.unwrap();
        }
        join_all((0..20).map(async |_| queue.counts().await.unwrap())).await;
        queue.enqueue(Work::Quick).await.unwrap();
        assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    };
    calls().await;
    let clients = || server.info("connected_clients") == "1";
    eventually(10 * SECOND, clients).await;
    calls().await;
    // The same when they are closed all at once.
    tokio::task::block_in_place(|| server.cli(&["CLIENT", "KILL", "TYPE", "normal"]));
    tokio::time::sleep(SECOND / 10).await;
    calls().await;
    assert_no_trouble_was_logged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_the_handlers_of_a_large_worker_report_progress_to_a_redis_far_away() {
    const JOBS: usize = 5_000;
    keep_troubles();
    let server = Server::start();
    let direct = queue_at(&server.url()).await;
    direct.enqueue_many(vec![Work::Report; JOBS]).await.unwrap();
    let proxy = Proxy::start(server.tcp_addr());
    let proxied = queue_at(&proxy.url()).await;
    proxy.distance(20 * SECOND / 1000);
    let before = proxy.connections();
    let scene = Scene::new();
    let worker = run(worker(&proxied, &scene).concurrency(JOBS));
    let counts = drained(&direct, 60 * SECOND).await;
    let totals = counts.totals;
    assert_eq!((totals.completed, totals.retried), (JOBS as u64, 0));
    let made = proxy.connections() - before;
    // One of them reads the requests to cancel jobs: these run for long.
    assert!(made <= 7, "{made} connections");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_twenty_workers_of_twenty_queues_hold_few_connections() {
    const QUEUES: usize = 20;
    keep_troubles();
    let server = Server::start();
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let scene = Scene::new();
    let names = (0..QUEUES).map(|n| format!("queue-{n}"));
    let queues: Vec<_> = names.map(|name| oxcart.queue(&name).unwrap()).collect();
    let workers: Vec<_> = queues
        .iter()
        .map(|queue| run(worker(queue, &scene).lease(6 * SECOND)))
        .collect();
    for queue in &queues {
        queue.enqueue(Work::Hold).await.unwrap();
    }
    eventually(10 * SECOND, || scene.running().len() == QUEUES).await;
    // Each duty has had its turn, and each lease was extended.
    tokio::time::sleep(3 * SECOND).await;
    let all: usize = server.info("connected_clients").parse().unwrap();
    println!("{all} connections");
    // A lane, the leases, the wait for work and the producer of each; while a job runs for long, the requests to cancel it; what they
    // share; this one.
    assert!(all <= 5 * QUEUES + 2, "{all} connections");
    scene.release(QUEUES);
    for worker in workers {
        worker.stop().await;
    }
}

/// Waits until the server has so many connections, this test's own included; how long that took.
/// The first one brings the script, which is too long for the connection that all share; the others wait for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_many_calls_of_a_script_that_the_server_does_not_know_need_one_connection_more() {
    let server = Server::start();
    let queue = queue_at(&server.url()).await;
    let jobs = queue.enqueue_many(vec![Work::Quick; 100]).await.unwrap();
    let made = || -> u64 { server.info("total_connections_received").parse().unwrap() };
    server.cli(&["SCRIPT", "FLUSH"]);
    queue.counts().await.unwrap();
    let before = made();
    let cancels = jobs.iter().map(async |job| job.cancel().await.unwrap());
    join_all(cancels).await;
    // One is that of the second question.
    let made = made() - before;
    assert!((1..=3).contains(&made), "{made} connections");
    assert_eq!(queue.counts().await.unwrap().totals.cancelled, 100);
}

async fn until_connected(server: &Server, limit: Duration, connections: usize) -> Duration {
    let began = Instant::now();
    let all = || server.info("connected_clients").parse::<usize>().unwrap();
    eventually(limit, || all() <= connections).await;
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_streams_of_events_that_are_dropped_give_their_connections_back_at_once() {
    const STREAMS: usize = 100;
    keep_troubles();
    let server = Server::start();
    let queue = queue_at(&server.url()).await;
    queue.enqueue(Work::Quick).await.unwrap();
    let before: usize = server.info("connected_clients").parse().unwrap();
    let streams = join_all((0..STREAMS).map(async |_| queue.events().await.unwrap())).await;
    // Each waits on the server for what happens next, for up to 5 s.
    let blocked = || server.info("blocked_clients") == STREAMS.to_string();
    eventually(10 * SECOND, blocked).await;
    drop(streams);
    let took = until_connected(&server, SECOND, before).await;
    println!("{STREAMS} connections were given back after {took:?}");
    assert_no_trouble_was_logged();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_all_who_wait_for_results_share_a_connection_and_it_goes_with_the_queue() {
    const WAITS: usize = 100;
    keep_troubles();
    let server = Server::start();
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let queue = oxcart.queue("work").unwrap();
    let sent = queue.enqueue(Work::Quick).await.unwrap();
    // Short calls have a connection, beside the producer's, from the first of them on.
    queue.counts().await.unwrap();
    let before: usize = server.info("connected_clients").parse().unwrap();
    let wait = async || {
        let waits = (0..WAITS).map(|_| sent.result().into_future());
        let waits = tokio::spawn(join_all(waits));
        eventually(10 * SECOND, || server.info("blocked_clients") == "1").await;
        // Each question of the test is a connection of its own, of which the server hears a bit later that it was closed.
        until_connected(&server, SECOND, before + 1).await;
        waits.abort();
    };
    wait().await;
    // It stays for a moment, for the next caller that waits.
    let took = until_connected(&server, 7 * SECOND, before).await;
    println!("the connection was given back after {took:?}");
    wait().await;
    drop((sent, queue, oxcart));
    let took = until_connected(&server, SECOND, 1).await;
    println!("everything was given back after {took:?}");
    assert_no_trouble_was_logged();
}

#[derive(Serialize, Deserialize)]
struct Note(u64);

impl Job for Note {
    const NAME: &'static str = "note";
    const QUEUE: &'static str = "notes";
    type Output = ();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_jobs_that_are_enqueued_by_their_type_alone_share_a_connection() {
    const JOBS: u64 = 40_000;
    const AT_ONCE: u64 = 200;
    keep_troubles();
    let server = Server::start();
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    for _ in 0..JOBS / AT_ONCE {
        join_all((0..AT_ONCE).map(async |n| oxcart.enqueue(Note(n)).await.map(drop).unwrap()))
            .await;
    }
    for n in 0..100 {
        oxcart.enqueue(Note(n)).await.unwrap();
    }
    let lanes: u64 = server.ask(&["HLEN", "oxcart:{notes}:calls"]);
    assert!(lanes <= 2, "{lanes} lanes");
    let clients: u64 = server.info("connected_clients").parse().unwrap();
    assert!(clients <= 3, "{clients} connections");
    let jobs: u64 = server.ask(&["ZCARD", "oxcart:{notes}:waiting"]);
    assert_eq!(jobs, JOBS + 100);
    // With the last handle, everything goes.
    drop(oxcart);
    eventually_blocking(5 * SECOND, || server.info("connected_clients") == "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_lanes_long_silent_are_forgotten_faster_than_they_can_arise() {
    const LANES: u64 = 20_000;
    keep_troubles();
    let server = Server::start();
    let queue = queue_at(&server.url()).await;
    let fill = "for i = 1, ARGV[1] do redis.call('HSET', KEYS[1], 'lane' .. i, '7 1000 ') end";
    let lanes = LANES.to_string();
    server.cli(&["EVAL", fill, "1", "oxcart:{work}:calls", &lanes]);
    let worker = run(worker(&queue, &Scene::new()));
    let left = || server.ask::<u64>(&["HLEN", "oxcart:{work}:calls"]);
    eventually(40 * SECOND, || left() < LANES / 100).await;
    worker.stop().await;
}
