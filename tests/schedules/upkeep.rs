//! What was lost of a schedule is noticed and stored anew, and no tick is forgotten for an edit or a
//! clock that went back.

use std::collections::BTreeSet;
use std::time::Duration;

use oxcart::{Queue, Schedule, ScheduleInfo, Scheduled};

use crate::support::jobs::{Scene, Work, now_ms};
use crate::support::workers::{RunningWorker, run, server_and_queue, worker};
use crate::support::{Server, eventually, eventually_async};

const SECOND: Duration = Duration::from_secs(1);
const HOUR_MS: u64 = 3_600_000;
/// A worker that declares none learns within half a minute that there are some, looks after them
/// every half minute, and both have some jitter.
const NOTICED: Duration = Duration::from_secs(75);

const TICKS: &str = "oxcart:{work}:ticks";
const META: &str = "oxcart:{work}:meta";

async fn info(queue: &Queue, name: &str) -> ScheduleInfo {
    queue.schedule(name).info().await.unwrap().unwrap()
}

fn pulse(queue: &Queue, name: &str) -> Schedule {
    queue.schedule(name).every(SECOND / 4).job(Work::Quick)
}

/// Waits until it has ticked some times more.
async fn ticks_on(queue: &Queue, name: &str, within: Duration) {
    let fired = async || {
        let info = queue.schedule(name).info().await.unwrap();
        info.map_or(0, |info| info.fired)
    };
    let before = fired().await;
    eventually_async(within, async || fired().await > before + 2).await;
}

/// A worker that runs, and two schedules.
struct Stage {
    server: Server,
    queue: Queue,
    worker: RunningWorker,
    _scene: Scene,
}

const NAMES: [&str; 2] = ["a", "b"];

/// The worker declares the schedules, or somebody else has stored them.
async fn stage(declared: bool, schedule: impl Fn(&Queue, &str) -> Schedule) -> Stage {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let mut builder = worker(&queue, &scene);
    if declared {
        builder = builder.schedules(NAMES.map(|name| schedule(&queue, name)));
    } else {
        for name in NAMES {
            schedule(&queue, name).await.unwrap();
        }
    }
    let worker = run(builder);
    for name in NAMES {
        eventually_async(5 * SECOND, async || {
            queue.schedule(name).info().await.unwrap().is_some()
        })
        .await;
    }
    Stage {
        server,
        queue,
        worker,
        _scene: scene,
    }
}

/// Takes something away under a running worker that fires ticks, which has to notice.
async fn survives(lose: &[&[&str]], declared: bool) {
    let stage = stage(declared, pulse).await;
    for name in NAMES {
        ticks_on(&stage.queue, name, 10 * SECOND).await;
    }
    for command in lose {
        stage.server.cli(command);
    }
    // Unless a tick that was due is fired already, no worker knows of a tick now.
    for name in NAMES {
        ticks_on(&stage.queue, name, NOTICED).await;
    }
    assert!(stage.worker.is_running());
    stage.worker.stop().await;
}

/// Takes away what says when the next tick is. A worker that fires ticks all the time would write it
/// again; for one that has none to fire within the hour the upkeep has to.
async fn is_mended(lose: &[&str], declared: bool) {
    // At half past, seen from now: no tick falls into the test.
    let offset = Duration::from_millis((now_ms() + HOUR_MS / 2) % HOUR_MS);
    let hourly = |queue: &Queue, name: &str| {
        let every = queue.schedule(name).every(Duration::from_millis(HOUR_MS));
        every.offset(offset).job(Work::Quick)
    };
    let stage = stage(declared, hourly).await;
    let stored = || -> Option<String> { stage.server.ask(&["HGET", META, "tick"]) };
    let first = info(&stage.queue, "a").await.next_tick.unwrap().as_millis();
    let is_first =
        |tick: Option<String>| tick.is_some_and(|tick| tick.starts_with(&first.to_string()));
    eventually(5 * SECOND, || is_first(stored())).await;
    stage.server.cli(lose);
    assert!(!is_first(stored()), "{lose:?} takes nothing away");
    eventually(NOTICED, || is_first(stored())).await;
    for name in NAMES {
        let info = info(&stage.queue, name).await;
        assert_eq!((info.fired, info.missed), (0, 0), "{name}");
        assert!(info.next_tick.is_some(), "{name}");
    }
    assert!(stage.worker.is_running());
    stage.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_whatever_is_lost_under_a_running_worker_it_ticks_again() {
    // Side by side: each takes as long as it takes to be noticed.
    tokio::join!(
        is_mended(&["DEL", META], false),
        is_mended(&["DEL", META], true),
        is_mended(&["HDEL", META, "tick"], true),
        is_mended(&["HSET", META, "tick", "99999999999999 nobody"], true),
        survives(&[&["DEL", TICKS], &["HDEL", META, "tick"]], false),
        survives(&[&["ZREM", TICKS, "a"]], false),
        survives(&[&["DEL", "oxcart:{work}:schedules"]], true),
        survives(&[&["FLUSHALL"]], true),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_whatever_is_lost_while_no_worker_runs_one_that_starts_makes_it_tick_again() {
    let lost: [&[&[&str]]; 6] = [
        &[&["DEL", META]],
        &[&["DEL", TICKS]],
        &[&["ZREM", TICKS, "a"], &["HDEL", META, "tick"]],
        // It does not say that it has ended, and yet it has no next tick.
        &[&["ZADD", TICKS, "+inf", "a"], &["HDEL", META, "tick"]],
        &[&["ZADD", TICKS, "99999999999999", "a"]],
        &[&["FLUSHALL"]],
    ];
    for lose in lost {
        let (server, queue) = server_and_queue().await;
        let names = ["a", "b"];
        for name in names {
            pulse(&queue, name).await.unwrap();
        }
        for command in lose {
            server.cli(command);
        }
        let scene = Scene::new();
        let declared = names.map(|name| pulse(&queue, name));
        let worker = run(worker(&queue, &scene).schedules(declared));
        for name in names {
            ticks_on(&queue, name, 10 * SECOND).await;
        }
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_one_that_lost_its_next_tick_is_listed_and_mended_by_whoever_defines_it_again() {
    let (server, queue) = server_and_queue().await;
    let hourly = |name: &str| {
        let every = queue.schedule(name).every(Duration::from_millis(HOUR_MS));
        every.job(Work::Quick)
    };
    for name in ["a", "b", "c"] {
        assert_eq!(hourly(name).await.unwrap(), Scheduled::Created);
    }
    let before = info(&queue, "a").await;
    server.cli(&["ZREM", TICKS, "a", "b"]);
    let all = queue.schedules().await.unwrap();
    let names: Vec<&str> = all.iter().map(|info| info.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(all[0].next_tick, None);
    assert_eq!(hourly("a").await.unwrap(), Scheduled::Changed);
    assert_eq!(hourly("a").await.unwrap(), Scheduled::Unchanged);
    assert_eq!(info(&queue, "a").await.next_tick, before.next_tick);
    // It can be paused, resumed and removed as any other.
    assert!(queue.schedule("b").pause().await.unwrap());
    assert!(queue.schedule("b").resume().await.unwrap());
    assert!(info(&queue, "b").await.next_tick.is_some());
    server.cli(&["ZREM", TICKS, "b"]);
    assert!(queue.schedule("b").remove().await.unwrap());
    // All of it is lost but its next tick.
    server.cli(&["DEL", "oxcart:{work}:schedules"]);
    assert_eq!(hourly("a").await.unwrap(), Scheduled::Created);
    assert!(info(&queue, "a").await.unreadable.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_many_that_lost_their_next_tick_are_mended_at_once_and_a_broken_one_holds_none_up() {
    const MANY: usize = 300;
    let (server, queue) = server_and_queue().await;
    let names: Vec<String> = (0..MANY).map(|n| format!("s{n}")).collect();
    for name in &names {
        let every = queue.schedule(name).every(Duration::from_millis(HOUR_MS));
        every.job(Work::Quick).await.unwrap();
    }
    server.cli(&["DEL", TICKS]);
    let key = "oxcart:{work}:schedules";
    server.cli(&["HSET", key, "s7#state", "noise"]);
    server.cli(&["HSET", key, "s8", "\u{7}from the future"]);
    server.cli(&["HDEL", key, "s9#job"]);
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene).schedule(pulse(&queue, "pulse")));
    let with_ticks = || server.ask::<usize>(&["ZCARD", TICKS]);
    eventually(10 * SECOND, || with_ticks() == MANY - 3 + 1).await;
    ticks_on(&queue, "pulse", 5 * SECOND).await;
    worker.stop().await;
}

/// Makes the next tick an earlier one.
fn set_back(server: &Server, name: &str, tick_ms: u64) {
    let tick = tick_ms.to_string();
    server.cli(&["ZADD", TICKS, &tick, name]);
    server.cli(&["HSET", META, "tick", &tick]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_an_edit_swallows_no_tick_that_is_due() {
    let (server, queue) = server_and_queue().await;
    // At half past, seen from now: no tick falls into the test by itself.
    let offset = Duration::from_millis((now_ms() + HOUR_MS / 2) % HOUR_MS);
    let hourly = |name: &str| {
        let every = queue.schedule(name).every(Duration::from_millis(HOUR_MS));
        every.offset(offset)
    };
    let end = oxcart::Timestamp::from_millis(now_ms() + 100 * HOUR_MS);
    let due = [("late", 2_000, (1, 0)), ("missed", 90_000, (0, 1))];
    for (name, ago_ms, counts) in due {
        hourly(name).job(Work::Quick).await.unwrap();
        set_back(&server, name, now_ms() - ago_ms);
        let bounded = hourly(name).ending(end).job(Work::Quick);
        assert_eq!(bounded.await.unwrap(), Scheduled::Changed);
        let now = info(&queue, name).await;
        assert_eq!((now.fired, now.missed), counts, "{name}");
        assert!(now.next_tick.unwrap().as_millis() > now_ms());
    }
    // The same by a worker that starts two seconds after the tick, and declares it like that.
    let name = "declared";
    hourly(name).job(Work::Quick).await.unwrap();
    set_back(&server, name, now_ms() - 2_000);
    let scene = Scene::new();
    let declared = hourly(name).ending(end).job(Work::Quick);
    let worker = run(worker(&queue, &scene).schedule(declared));
    eventually_async(10 * SECOND, async || info(&queue, name).await.fired == 1).await;
    // That of `late`, and this.
    eventually(10 * SECOND, || scene.runs().len() == 2).await;
    worker.stop().await;
}

/// As if the server's clock had shown more by then, and went back by an hour.
fn clock_went_back(server: &Server, name: &str, every_ms: u64) {
    let last = (now_ms() + HOUR_MS) / every_ms * every_ms;
    let state = "local state = cmsgpack.unpack(redis.call('HGET', KEYS[1], ARGV[1] .. '#state'))
        state[6] = tonumber(ARGV[2])
        return redis.call('HSET', KEYS[1], ARGV[1] .. '#state', cmsgpack.pack(state))";
    let key = "oxcart:{work}:schedules";
    server.cli(&["EVAL", state, "1", key, name, &last.to_string()]);
    set_back(server, name, last + every_ms);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_an_interval_does_not_wait_for_a_clock_that_went_back() {
    let (server, queue) = server_and_queue().await;
    let define = async |name: &str| pulse(&queue, name).await.unwrap();
    define("twice").await;
    define("pulse").await;
    let nightly = || queue.schedule("nightly").cron("@yearly").job(Work::Quick);
    nightly().await.unwrap();
    let yearly = info(&queue, "nightly").await.next_tick;
    clock_went_back(&server, "pulse", 250);
    clock_went_back(&server, "twice", 250);
    let scene = Scene::new();
    let declared = [pulse(&queue, "pulse"), nightly()];
    let worker = run(worker(&queue, &scene).schedules(declared));
    for name in ["pulse", "twice"] {
        ticks_on(&queue, name, 10 * SECOND).await;
    }
    // Beside the ticks of the hour that the clock shows again: they may be there.
    let runs = scene.runs();
    let ticks: Vec<u64> = runs
        .iter()
        .map(|run| run.id.rsplit_once('@').unwrap().1.parse().unwrap())
        .collect();
    assert!(ticks.iter().all(|tick| tick % 250 == 1), "{ticks:?}");
    let different: BTreeSet<_> = runs.iter().map(|run| &run.id).collect();
    assert_eq!(different.len(), runs.len());
    // What an expression names is a moment, and stays.
    assert_eq!(info(&queue, "nightly").await.next_tick, yearly);
    // Defined again it is still the same, and goes on as it is.
    assert_eq!(pulse(&queue, "pulse").await.unwrap(), Scheduled::Unchanged);
    worker.stop().await;
}
