//! Schedules that a worker's code declares.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxcart::{Queue, Schedule, Scheduled, WorkerEvent};

use crate::support::jobs::{Scene, Work};
use crate::support::workers::{RunningWorker, run, server_and_queue, worker};
use crate::support::{eventually, eventually_async};

const SECOND: Duration = Duration::from_secs(1);

fn hourly(queue: &Queue, name: &str) -> Schedule {
    queue.schedule(name).cron("@hourly").job(Work::Quick)
}

type Told = Arc<Mutex<Vec<String>>>;

/// A worker that declares these, and the names of those that it said are not declared any more.
fn declaring(queue: &Queue, scene: &Scene, names: &[&str]) -> (RunningWorker, Told) {
    let told = Told::default();
    let listener = Arc::clone(&told);
    let builder = worker(queue, scene).on_event(move |event| {
        if let WorkerEvent::ScheduleUndeclared { schedule, .. } = event {
            listener.lock().unwrap().push(schedule.clone());
        }
    });
    let schedules = names.iter().map(|name| hourly(queue, name));
    (run(builder.schedules(schedules)), told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_they_are_stored_at_start_and_reported_but_kept_when_no_longer_named() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    assert_eq!(hourly(&queue, "by-hand").await.unwrap(), Scheduled::Created);
    let (first, told) = declaring(&queue, &scene, &["a", "b"]);
    let all = async || queue.schedules().await.unwrap().len();
    eventually_async(5 * SECOND, async || all().await == 3).await;
    let ticks = async || {
        let all = queue.schedules().await.unwrap();
        all.iter().map(|info| info.next_tick).collect::<Vec<_>>()
    };
    let before = ticks().await;
    first.stop().await;
    assert!(told.lock().unwrap().is_empty());

    // The next version of the code names only one of them.
    let (second, told) = declaring(&queue, &scene, &["b"]);
    eventually(5 * SECOND, || !told.lock().unwrap().is_empty()).await;
    second.stop().await;
    assert_eq!(*told.lock().unwrap(), ["a"]);
    assert_eq!(all().await, 3);
    assert_eq!(ticks().await, before);

    // A worker that declares none has nothing to say about those of others.
    let (third, told) = declaring(&queue, &scene, &[]);
    tokio::time::sleep(SECOND / 2).await;
    third.stop().await;
    assert!(told.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_one_that_is_refused_stops_neither_the_others_nor_the_worker() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let key = "oxcart:{work}:schedules";
    hourly(&queue, "newer").await.unwrap();
    server.cli(&["HSET", key, "newer", "\u{7}from the future"]);
    let refused = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&refused);
    let builder = worker(&queue, &scene).on_event(move |event| {
        if let WorkerEvent::ScheduleRefused { schedule, .. } = event {
            listener.lock().unwrap().push(schedule.clone());
        }
    });
    let ended = queue
        .schedule("ended")
        .every(SECOND)
        .ending(oxcart::Timestamp::from_millis(1_000));
    let pulse = queue.schedule("pulse").every(SECOND / 4);
    let worker = run(builder
        .schedule(hourly(&queue, "newer"))
        .schedule(ended.job(Work::Quick))
        .schedule(pulse.job(Work::Quick)));
    eventually(10 * SECOND, || scene.runs().len() >= 3).await;
    assert_eq!(*refused.lock().unwrap(), ["newer", "ended"]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_one_that_is_both_awaited_and_declared_is_one_and_settles() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    assert_eq!(hourly(&queue, "s").await.unwrap(), Scheduled::Created);
    let revision = || server.ask::<u64>(&["HGET", "oxcart:{work}:meta", "revision"]);
    // That it is declared is noted once; then nothing is written any more.
    for _ in 0..3 {
        let (worker, _) = declaring(&queue, &scene, &["s", "second"]);
        let both = async || queue.schedules().await.unwrap().len() == 2;
        eventually_async(5 * SECOND, both).await;
        eventually(5 * SECOND, || revision() == 3).await;
        worker.stop().await;
        let again = hourly(&queue, "s").await.unwrap();
        assert_eq!(again, Scheduled::Unchanged);
    }
    assert_eq!(revision(), 3);
    let (worker, told) = declaring(&queue, &scene, &["second"]);
    eventually(5 * SECOND, || !told.lock().unwrap().is_empty()).await;
    assert_eq!(*told.lock().unwrap(), ["s"]);
    worker.stop().await;
}
