//! Ticks come when they are due, to any worker that runs, and queues without schedules pay nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use oxcart::{JobId, Overlap, Retention, TickOutcome};

use crate::support::jobs::{Scene, Work, now_ms};
use crate::support::workers::{WorkerProcess, drained, run, server_and_queue, worker};
use crate::support::{Server, eventually, eventually_async};

const SECOND: Duration = Duration::from_secs(1);
/// How late an idle worker may start half of the jobs. Milliseconds are the rule; the rest is for
/// machines that have more to do.
const MOSTLY_MS: u64 = 100;
/// How late a single one may be on such a machine.
const HELD_UP_MS: u64 = 5_000;

/// The tick that a job was made for.
fn tick_of(id: &str) -> u64 {
    id.rsplit_once('@').unwrap().1.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_s4_an_idle_worker_starts_what_a_tick_makes_at_once_and_never_early() {
    const TICKS: u64 = 100;
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene));
    let pulse = queue
        .schedule("pulse")
        .every(Duration::from_millis(100))
        .limit(TICKS);
    pulse.job(Work::Quick).await.unwrap();
    eventually(30 * SECOND, || scene.runs().len() as u64 == TICKS).await;
    let mut delays: Vec<u64> = scene
        .runs()
        .iter()
        .map(|run| {
            let tick = tick_of(&run.id);
            assert!(run.began_ms >= tick, "{} ms early", tick - run.began_ms);
            run.began_ms - tick
        })
        .collect();
    delays.sort_unstable();
    let (p50, p99) = (delays[delays.len() / 2], delays[delays.len() * 99 / 100]);
    println!("from the tick to the start: p50 {p50} ms, p99 {p99} ms");
    // A worker that had lost the timer would be seconds late each time.
    assert!(p50 <= MOSTLY_MS, "{delays:?}");
    let info = queue.schedule("pulse").info().await.unwrap().unwrap();
    assert_eq!((info.fired, info.missed, info.next_tick), (TICKS, 0, None));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_ticks_go_on_while_every_slot_is_busy_and_while_the_queue_is_paused() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene).concurrency(1));
    queue.enqueue(Work::Hold).await.unwrap();
    eventually(5 * SECOND, || scene.running().len() == 1).await;
    let pulse = queue.schedule("pulse").every(SECOND / 2);
    pulse.job(Work::Quick).await.unwrap();
    // No worker is idle, so none is told; but some worker looks in time.
    let fired = async || queue.schedule("pulse").info().await.unwrap().unwrap().fired;
    let before = fired().await;
    eventually_async(45 * SECOND, async || fired().await >= before + 3).await;
    scene.release(1);
    queue.pause().await.unwrap();
    let before = fired().await;
    eventually_async(10 * SECOND, async || fired().await >= before + 3).await;
    let info = queue.schedule("pulse").info().await.unwrap().unwrap();
    assert_eq!(info.missed, 0);
    queue.schedule("pulse").pause().await.unwrap();
    queue.resume().await.unwrap();
    drained(&queue, 10 * SECOND).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_a_driver_that_dies_or_stops_is_followed_by_another() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let mut driver = WorkerProcess::of(&server).spawn(&scene);
    let request = queue.enqueue(Work::Quick).keep(Retention::Nothing);
    let pulse = queue.schedule("pulse").every(SECOND / 4);
    pulse.job(request).await.unwrap();
    eventually(10 * SECOND, || scene.runs().len() >= 4).await;
    let second = run(worker(&queue, &scene));
    // It works as soon as it is there, but does not drive.
    let meta =
        |server: &Server| -> Option<String> { server.ask(&["HGET", "oxcart:{work}:meta", "tick"]) };
    driver.kill();
    let id = second.control.id().to_owned();
    eventually(10 * SECOND, || {
        meta(&server).is_some_and(|tick| tick.ends_with(&id))
    })
    .await;
    let third = run(worker(&queue, &scene));
    // Both wait for work.
    let both_wait = || server.info("blocked_clients").parse::<u64>().unwrap() >= 2;
    eventually(10 * SECOND, both_wait).await;
    let began = now_ms();
    second.stop().await;
    let next = third.control.id().to_owned();
    eventually(10 * SECOND, || {
        meta(&server).is_some_and(|tick| tick.ends_with(&next))
    })
    .await;
    // If no worker is told, it is 5 s.
    assert!(now_ms() - began < 4_000, "it was not handed on");
    queue.schedule("pulse").pause().await.unwrap();
    drained(&queue, 20 * SECOND).await;
    let info = queue.schedule("pulse").info().await.unwrap().unwrap();
    let ticks: BTreeSet<u64> = scene.runs().iter().map(|run| tick_of(&run.id)).collect();
    let (first, last) = (ticks.first().unwrap(), ticks.last().unwrap());
    assert_eq!(ticks.len() as u64, (last - first) / 250 + 1, "{ticks:?}");
    assert_eq!((ticks.len() as u64, info.missed), (info.fired, 0));
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_no_overlap_waits_for_the_job_before() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene));
    let pulse = queue
        .schedule("pulse")
        .every(Duration::from_millis(200))
        .overlap(Overlap::Skip);
    pulse.job(Work::Hold).await.unwrap();
    let info = async || queue.schedule("pulse").info().await.unwrap().unwrap();
    eventually_async(10 * SECOND, async || info().await.overlapped >= 3).await;
    let now = info().await;
    assert_eq!(now.fired, 1);
    assert_eq!(now.last_tick.unwrap().1, TickOutcome::Overlapped);
    scene.release(1);
    eventually_async(10 * SECOND, async || info().await.fired == 2).await;
    queue.schedule("pulse").remove().await.unwrap();
    scene.release(9);
    drained(&queue, 10 * SECOND).await;
    assert_eq!(scene.runs().len(), 2);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_jitter_and_delay_make_the_job_later_but_not_the_tick() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene));
    let delay = Duration::from_millis(150);
    let pulse = queue
        .schedule("pulse")
        .every(Duration::from_millis(100))
        .jitter(Duration::from_millis(300))
        .limit(30);
    let request = queue.enqueue(Work::Quick).delay(delay);
    pulse.job(request).await.unwrap();
    eventually(20 * SECOND, || scene.runs().len() == 30).await;
    let mut ticks = BTreeMap::new();
    for run in scene.runs() {
        let tick = tick_of(&run.id);
        assert!(run.began_ms >= tick + 150, "before its delay");
        assert!(run.began_ms <= tick + 450 + HELD_UP_MS, "after its jitter");
        ticks.insert(tick, run.began_ms - tick);
    }
    let (first, last) = (ticks.keys().next().unwrap(), ticks.keys().last().unwrap());
    assert_eq!(last - first, 2_900);
    let (least, most) = (ticks.values().min().unwrap(), ticks.values().max().unwrap());
    assert!(most - least > 50, "all {least} to {most} ms later");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_a_job_of_a_schedule_is_retried_and_found_like_any_other() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene));
    let fails = queue
        .enqueue(Work::Fail { times: 1 })
        .backoff(oxcart::Backoff::NONE)
        .header("from", "here");
    let once = queue.schedule("once").cron("* * * * * *").limit(1);
    once.job(fails).await.unwrap();
    let info = async || queue.schedule("once").info().await.unwrap().unwrap();
    eventually_async(10 * SECOND, async || {
        let last = info().await.last_job;
        last.is_some_and(|(_, state)| state == Some(oxcart::JobState::Completed))
    })
    .await;
    let (id, _): (JobId, _) = info().await.last_job.unwrap();
    let job = queue.job(&id).await.unwrap().unwrap();
    assert_eq!((job.failed, job.history.len()), (1, 1));
    assert_eq!(job.headers, [("from".to_owned(), "here".to_owned())]);
    assert_eq!(scene.runs_of(&id).len(), 2);
    worker.stop().await;
}

/// Every command that the server has carried out, those in scripts among them.
fn commands(server: &Server) -> BTreeMap<String, u64> {
    let stats: String = server.ask(&["INFO", "commandstats"]);
    let line = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let calls = rest.split(',').next()?.parse().ok()?;
        Some((name.to_owned(), calls))
    };
    stats.lines().filter_map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s6_a_worker_without_schedules_never_asks_for_any() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene));
    for _ in 0..20 {
        queue.enqueue(Work::Quick).await.unwrap();
    }
    drained(&queue, 5 * SECOND).await;
    tokio::time::sleep(3 * SECOND).await;
    // Only schedules are read by ZMSCORE and ZSCAN, and only they are looked up with HSTRLEN here.
    let seen = commands(&server);
    for command in ["zmscore", "zscan", "hstrlen"] {
        assert_eq!(seen.get(command), None, "{command}");
    }
    let keys: Vec<String> = server.ask(&["KEYS", "*"]);
    assert!(!keys.iter().any(|key| key.ends_with(":ticks")), "{keys:?}");
    let tick: Option<String> = server.ask(&["HGET", "oxcart:{work}:meta", "tick"]);
    assert_eq!(tick, None);
    worker.stop().await;
}
