//! Trouble with Redis: no tick is lost to it, and none fires twice.

use std::collections::BTreeSet;
use std::time::Duration;

use oxcart::{Queue, Retention};

use crate::support::jobs::{Scene, Work};
use crate::support::workers::{drained, queue_at, run, server_and_queue, worker};
use crate::support::{Proxy, eventually_async};

const SECOND: Duration = Duration::from_secs(1);

async fn start_pulse(queue: &Queue) {
    // Nothing is kept of a job that is done: a second one would run.
    let request = queue.enqueue(Work::Quick).keep(Retention::Nothing);
    let pulse = queue.schedule("pulse").every(SECOND / 10);
    pulse.job(request).await.unwrap();
}

async fn until_fired(queue: &Queue, ticks: u64) {
    let fired = async || queue.schedule("pulse").info().await.unwrap().unwrap().fired;
    eventually_async(50 * SECOND, async || fired().await >= ticks).await;
}

/// Every tick from the first to the last has fired, and its job ran once.
async fn assert_each_fired_once(queue: &Queue, scene: &Scene) {
    queue.schedule("pulse").pause().await.unwrap();
    drained(queue, 20 * SECOND).await;
    let info = queue.schedule("pulse").info().await.unwrap().unwrap();
    let runs = scene.runs();
    let tick = |id: &str| -> u64 { id.rsplit_once('@').unwrap().1.parse().unwrap() };
    let ticks: BTreeSet<u64> = runs.iter().map(|run| tick(&run.id)).collect();
    assert_eq!(ticks.len(), runs.len(), "one fired twice");
    let (first, last) = (ticks.first().unwrap(), ticks.last().unwrap());
    assert_eq!(ticks.len() as u64, (last - first) / 100 + 1, "one is lost");
    assert_eq!((info.fired, info.missed), (ticks.len() as u64, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_replies_lost_after_the_tick_was_fired_repeat_and_lose_none() {
    let (server, direct) = server_and_queue().await;
    let proxy = Proxy::start(server.tcp_addr());
    let proxied = queue_at(&proxy.url()).await;
    let scene = Scene::new();
    start_pulse(&direct).await;
    let workers = [(); 2].map(|()| run(worker(&proxied, &scene)));
    proxy.drop_reply_every(5);
    until_fired(&direct, 60).await;
    proxy.drop_reply_every(0);
    proxy.swallow_every(40);
    until_fired(&direct, 100).await;
    proxy.swallow_every(0);
    assert!(proxy.replies_dropped() >= 10, "the network was good");
    assert_each_fired_once(&direct, &scene).await;
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_ticks_of_an_outage_that_is_soon_over_are_made_up_for() {
    let (server, direct) = server_and_queue().await;
    let proxy = Proxy::start(server.tcp_addr());
    let proxied = queue_at(&proxy.url()).await;
    let scene = Scene::new();
    start_pulse(&direct).await;
    let worker = run(worker(&proxied, &scene));
    until_fired(&direct, 5).await;
    // Unreachable, and then out of memory.
    proxy.refuse(true);
    proxy.cut_all();
    tokio::time::sleep(3 * SECOND).await;
    proxy.refuse(false);
    until_fired(&direct, 40).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    tokio::time::sleep(2 * SECOND).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    until_fired(&direct, 80).await;
    assert_each_fired_once(&direct, &scene).await;
    worker.stop().await;
}
