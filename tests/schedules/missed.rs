//! Ticks that no worker fired in time. No test waits for them: the schedule is set back instead,
//! as if its worker had gone an hour ago.

use std::time::Duration;

use oxcart::{Missed, Queue, ScheduleInfo, TickOutcome, WorkerEvent};

use crate::support::jobs::{Scene, Work, now_ms};
use crate::support::workers::{drained, run, server_and_queue, worker};
use crate::support::{Server, eventually_async};

const SECOND: Duration = Duration::from_secs(1);
const HOUR_MS: u64 = 3_600_000;

async fn info(queue: &Queue, name: &str) -> ScheduleInfo {
    queue.schedule(name).info().await.unwrap().unwrap()
}

/// The offset of ticks at half past, seen from now: no hourly one falls into the test by itself,
/// and none of those before is only late.
fn half_past() -> Duration {
    Duration::from_millis((now_ms() + HOUR_MS / 2) % HOUR_MS)
}

/// Makes the next tick one of some hours ago.
fn set_back(server: &Server, name: &str, tick_ms: u64) {
    let tick = tick_ms.to_string();
    server.cli(&["ZADD", "oxcart:{work}:ticks", &tick, name]);
    server.cli(&["HSET", "oxcart:{work}:meta", "tick", &tick]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_what_was_missed_is_skipped_fired_once_or_fired_each_and_told() {
    let (server, queue) = server_and_queue().await;
    let offset = half_past();
    let policies = [
        ("skip", Missed::Skip, 0),
        ("once", Missed::FireOnce, 1),
        ("some", Missed::FireAll { at_most: 3 }, 3),
        ("all", Missed::FireAll { at_most: 256 }, 10),
    ];
    for (name, missed, _) in policies {
        let hourly = queue
            .schedule(name)
            .every(Duration::from_millis(HOUR_MS))
            .offset(offset)
            .missed(missed);
        hourly.job(Work::Quick).await.unwrap();
        let next = info(&queue, name).await.next_tick.unwrap().as_millis();
        set_back(&server, name, next - 10 * HOUR_MS);
    }
    let scene = Scene::new();
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = std::sync::Arc::clone(&told);
    let worker = run(worker(&queue, &scene).on_event(move |event| {
        if let WorkerEvent::TicksMissed {
            schedule, ticks, ..
        } = event
        {
            listener.lock().unwrap().push((schedule.clone(), *ticks));
        }
    }));
    for (name, _, fired) in policies {
        eventually_async(10 * SECOND, async || {
            info(&queue, name).await.last_tick.is_some()
        })
        .await;
        let now = info(&queue, name).await;
        assert_eq!((now.fired, now.missed), (fired, 10 - fired), "{name}");
        let outcome = match fired {
            0 => TickOutcome::Missed,
            _ => TickOutcome::Fired,
        };
        assert_eq!(now.last_tick.unwrap().1, outcome);
        assert!(now.next_tick.unwrap().as_millis() > now_ms());
    }
    drained(&queue, 5 * SECOND).await;
    assert_eq!(scene.runs().len(), 14);
    worker.stop().await;
    let mut told = told.lock().unwrap().clone();
    told.sort();
    let expected = [("once", 9), ("skip", 10), ("some", 7)];
    assert_eq!(told, expected.map(|(name, ticks)| (name.to_owned(), ticks)));
}

/// The most jobs that one call has added.
fn most_in_one_call(server: &Server) -> usize {
    let entries: Vec<(String, Vec<String>)> =
        server.ask(&["XRANGE", "oxcart:{work}:events", "-", "+"]);
    let added = entries
        .iter()
        .flat_map(|(_, fields)| fields.chunks(2))
        .filter(|pair| pair[0] == "added")
        .map(|pair| pair[1].split(' ').count());
    added.max().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g7_s2_a_backlog_of_late_ticks_is_fired_in_bounded_calls() {
    let (server, queue) = server_and_queue().await;
    for n in 0..4 {
        let name = format!("s{n}");
        let every = queue.schedule(&name).every(SECOND / 10);
        every.job(Work::carry(1_500)).await.unwrap();
        // Late, but not missed.
        let back = now_ms() / 100 * 100 - 50_000;
        set_back(&server, &name, back);
    }
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene).concurrency(100));
    for n in 0..4 {
        let fired = async || info(&queue, &format!("s{n}")).await.fired;
        eventually_async(20 * SECOND, async || fired().await >= 500).await;
        assert_eq!(info(&queue, &format!("s{n}")).await.missed, 0);
    }
    let most = most_in_one_call(&server);
    assert!((100..=256).contains(&most), "{most} jobs in one call");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g7_large_jobs_that_are_due_together_are_added_in_bounded_calls() {
    let (server, queue) = server_and_queue().await;
    for n in 0..8 {
        let name = format!("s{n}");
        let hourly = queue.schedule(&name).every(Duration::from_millis(HOUR_MS));
        let hourly = hourly.offset(half_past());
        hourly.job(Work::carry(400_000)).await.unwrap();
        set_back(&server, &name, now_ms() - 30_000);
    }
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene));
    for n in 0..8 {
        let fired = async || info(&queue, &format!("s{n}")).await.fired;
        eventually_async(20 * SECOND, async || fired().await == 1).await;
    }
    assert!((1..=2).contains(&most_in_one_call(&server)));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_what_a_newer_version_wrote_is_reported_and_left_alone_and_the_others_run_on() {
    let (server, queue) = server_and_queue().await;
    for name in ["newer", "older"] {
        let pulse = queue.schedule(name).every(SECOND / 4);
        pulse.job(Work::Quick).await.unwrap();
    }
    let key = "oxcart:{work}:schedules";
    server.cli(&["HSET", key, "newer", "\u{7}from the future"]);
    set_back(&server, "newer", now_ms() - 90_000);
    let before: String = server.ask(&["ZSCORE", "oxcart:{work}:ticks", "newer"]);
    let scene = Scene::new();
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = std::sync::Arc::clone(&told);
    let worker = run(worker(&queue, &scene).on_event(move |event| {
        if let WorkerEvent::ScheduleRefused {
            schedule, error, ..
        } = event
        {
            listener
                .lock()
                .unwrap()
                .push(format!("{schedule}: {error}"));
        }
    }));
    let fired = async || info(&queue, "older").await.fired;
    eventually_async(10 * SECOND, async || fired().await >= 3).await;
    let (at, start) = (now_ms(), fired().await);
    eventually_async(10 * SECOND, async || fired().await >= start + 8).await;
    // Two seconds' worth of ticks; what cannot be read is looked at again after 20 s.
    assert!(now_ms() - at < 6_000, "the others are held up");
    assert_eq!(info(&queue, "older").await.missed, 0);

    // A change of another schedule does not wait for it.
    let at = now_ms();
    let third = queue.schedule("third").every(SECOND / 10).limit(1);
    third.job(Work::Quick).await.unwrap();
    eventually_async(10 * SECOND, async || info(&queue, "third").await.fired == 1).await;
    assert!(now_ms() - at < 4_000, "a change is held up");

    let newer = info(&queue, "newer").await;
    assert!(newer.unreadable.unwrap().contains("newer version"));
    assert_eq!((newer.fired, newer.rhythm), (0, None));
    let after: String = server.ask(&["ZSCORE", "oxcart:{work}:ticks", "newer"]);
    assert_eq!(before, after);
    let over = queue.schedule("newer").every(SECOND).job(Work::Quick);
    let error = over.await.unwrap_err().to_string();
    assert!(error.contains("remove it to replace it"), "{error}");
    {
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        for word in ["`newer`", "remove it", "newer version"] {
            assert!(told[0].contains(word), "{told:?}");
        }
    }
    assert!(queue.schedule("newer").remove().await.unwrap());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_one_that_somebody_has_broken_is_reported_and_the_worker_does_not_spin() {
    let (server, queue) = server_and_queue().await;
    let key = "oxcart:{work}:schedules";
    let names = [
        "job-is-gone",
        "payload-is-left",
        "tick-is-none",
        "state-is-noise",
        "zone-is-new",
    ];
    for name in names {
        let hourly = queue.schedule(name).cron("@hourly").offset(half_past());
        let zoned = hourly.timezone("Europe/Berlin");
        zoned.job(Work::Quick).await.unwrap();
        set_back(&server, name, now_ms() - 90_000);
    }
    server.cli(&["HDEL", key, "job-is-gone#job"]);
    server.cli(&["HDEL", key, "payload-is-left#job"]);
    server.cli(&["HSET", key, "payload-is-left#payload", "a large one"]);
    server.cli(&["ZADD", "oxcart:{work}:ticks", "-1.5", "tick-is-none"]);
    server.cli(&["HSET", key, "state-is-noise#state", "noise"]);
    let zone = "local rule = redis.call('HGET', KEYS[1], 'zone-is-new')
        return redis.call('HSET', KEYS[1], 'zone-is-new', (rule:gsub('Berlin', 'Merlin')))";
    server.cli(&["EVAL", zone, "1", key]);
    let scene = Scene::new();
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = std::sync::Arc::clone(&told);
    let worker = run(worker(&queue, &scene).on_event(move |event| {
        if let WorkerEvent::ScheduleRefused { schedule, .. } = event {
            listener.lock().unwrap().push(schedule.clone());
        }
    }));
    let all = async || told.lock().unwrap().len() == names.len();
    eventually_async(10 * SECOND, all).await;
    let calls = || {
        let stats: String = server.ask(&["INFO", "commandstats"]);
        let line = stats.lines().find(|line| line.contains("_evalsha:"));
        let calls = line.unwrap().split("calls=").nth(1).unwrap();
        calls.split(',').next().unwrap().parse::<u64>().unwrap()
    };
    let before = calls();
    tokio::time::sleep(2 * SECOND).await;
    assert!(calls() - before < 20, "{} calls", calls() - before);

    let gone = info(&queue, "job-is-gone").await;
    assert!(
        gone.unreadable
            .unwrap()
            .contains("job that it makes is missing")
    );
    let zone = info(&queue, "zone-is-new").await.unreadable.unwrap();
    assert!(zone.contains("Europe/Merlin"), "{zone}");
    let noise = queue.schedule("state-is-noise");
    let error = noise.pause().await.unwrap_err().to_string();
    assert!(error.contains("`state-is-noise`"), "{error}");
    // Defined again, all is well: what it makes is known.
    let hourly = queue.schedule("tick-is-none").every(SECOND / 10);
    hourly.job(Work::Quick).await.unwrap();
    eventually_async(5 * SECOND, async || {
        info(&queue, "tick-is-none").await.fired > 1
    })
    .await;
    assert_eq!(told.lock().unwrap().len(), names.len());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_one_that_can_be_read_again_is_fired() {
    let (server, queue) = server_and_queue().await;
    let key = "oxcart:{work}:schedules";
    let every = |name: &str| queue.schedule(name).every(Duration::from_millis(HOUR_MS));
    let hourly = |name: &str| every(name).offset(half_past());
    hourly("s").job(Work::Quick).await.unwrap();
    hourly("other").job(Work::Quick).await.unwrap();
    server.cli(&["HSET", key, "s", "\u{7}from the future"]);
    set_back(&server, "s", now_ms() - 90_000);
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene));
    let passed = || {
        let tick: String = server.ask(&["HGET", "oxcart:{work}:meta", "tick"]);
        let tick: u64 = tick.split(' ').next().unwrap().parse().unwrap();
        tick > now_ms()
    };
    eventually_async(10 * SECOND, async || passed()).await;
    // As if a version had been deployed that can read it.
    let copy = "return redis.call('HSET', KEYS[1], 's', redis.call('HGET', KEYS[1], 'other'))";
    server.cli(&["EVAL", copy, "1", key]);
    assert!(info(&queue, "s").await.unreadable.is_none());
    eventually_async(30 * SECOND, async || info(&queue, "s").await.missed == 1).await;
    worker.stop().await;
}

/// Whatever it is that both sides see differently: the worker does not ask as fast as it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_one_that_is_never_as_its_worker_saw_it_makes_nobody_spin() {
    let (server, queue) = server_and_queue().await;
    let names = ["s", "other"];
    for name in names {
        let often = queue.schedule(name).every(SECOND / 10);
        often.job(Work::Quick).await.unwrap();
    }
    // A list by its names, which clients take for one.
    let by_name = "return redis.call('HSET', KEYS[1], 's#state', cmsgpack.pack({
        revision = 1, paused = 0, fired = 0, missed = 0, overlapped = 0, last_ms = 0,
        outcome = '', last_job = '' }))";
    server.cli(&["EVAL", by_name, "1", "oxcart:{work}:schedules"]);
    assert!(info(&queue, "s").await.unreadable.is_none());
    let worker = run(worker(&queue, &Scene::new()));
    eventually_async(10 * SECOND, async || info(&queue, "other").await.fired > 1).await;
    let before = server.calls("evalsha");
    tokio::time::sleep(2 * SECOND).await;
    let calls = server.calls("evalsha") - before;
    // The ticks and the jobs of the other one are among them, 20 of each.
    assert!(calls < 500, "{calls} calls");
    worker.stop().await;
    assert_eq!(info(&queue, "s").await.fired, 0);
}
