//! What is defined stays until it is changed, and a change takes effect at once.

use std::time::{Duration, SystemTime};

use oxcart::{Error, JobState, Queue, Rhythm, ScheduleInfo, Scheduled};

use crate::support::eventually_async;
use crate::support::jobs::{Scene, Work, now_ms};
use crate::support::workers::{drained, run, server_and_queue, worker};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

async fn info(queue: &Queue, name: &str) -> ScheduleInfo {
    queue.schedule(name).info().await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_unchanged_it_is_left_alone_and_every_change_is_one() {
    let (server, queue) = server_and_queue().await;
    let hourly = || queue.schedule("s").every(HOUR);
    let define = async |schedule: oxcart::Schedule| -> Result<Scheduled, Error> { schedule.await };
    let first = define(hourly().job(Work::Quick)).await.unwrap();
    assert_eq!(first, Scheduled::Created);
    let tick = info(&queue, "s").await.next_tick;
    for same in [hourly(), hourly().offset(Duration::ZERO)] {
        let again = define(same.job(queue.enqueue(Work::Quick))).await.unwrap();
        assert_eq!(again, Scheduled::Unchanged);
    }
    assert_eq!(info(&queue, "s").await.next_tick, tick);
    // The list of queues was emptied: it is on it again.
    server.cli(&["DEL", "oxcart:queues"]);
    let same = define(hourly().job(Work::Quick)).await.unwrap();
    assert_eq!(same, Scheduled::Unchanged);
    assert!(server.ask::<bool>(&["SISMEMBER", "oxcart:queues", "work"]));

    // Another job: the ticks stay as they are.
    for job in [
        queue.enqueue(Work::Report),
        queue.enqueue(Work::Report).priority(3),
        queue.enqueue(Work::Report).priority(3).attempts(2),
        queue.enqueue(Work::Report).header("a", "b"),
        queue.enqueue(Work::carry(5_000)),
        queue.enqueue(Work::carry(5_001)),
        queue.enqueue(Work::Quick),
    ] {
        let changed = define(hourly().job(job)).await.unwrap();
        assert_eq!(changed, Scheduled::Changed);
        assert_eq!(info(&queue, "s").await.next_tick, tick);
    }
    // Another rhythm: the next of the new ones.
    define(hourly().offset(SECOND).job(Work::Quick))
        .await
        .unwrap();
    let moved = info(&queue, "s").await.next_tick;
    assert_ne!(moved, tick);
    define(queue.schedule("s").cron("@yearly").job(Work::Quick))
        .await
        .unwrap();
    let now = info(&queue, "s").await;
    assert!(now.next_tick > moved);
    let rhythm = Rhythm::Cron {
        expression: "@yearly".into(),
        timezone: "UTC".into(),
    };
    assert_eq!(now.rhythm, Some(rhythm));
    assert_eq!(now.job.as_deref(), Some("work"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_a_change_takes_effect_at_once_for_a_worker_that_sleeps() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene));
    queue
        .schedule("s")
        .every(HOUR)
        .job(Work::Quick)
        .await
        .unwrap();
    tokio::time::sleep(SECOND).await;
    let changed = now_ms();
    queue
        .schedule("s")
        .every(SECOND / 2)
        .limit(2)
        .job(Work::Quick)
        .await
        .unwrap();
    eventually_async(5 * SECOND, async || info(&queue, "s").await.fired == 2).await;
    // One second for two ticks. A worker that sleeps on looks 5 s after it began to sleep.
    assert!(now_ms() - changed < 3_500);
    // A higher limit lets it go on, a lower one does not.
    let more = queue.schedule("s").every(SECOND / 2).limit(3);
    more.job(Work::Quick).await.unwrap();
    eventually_async(5 * SECOND, async || info(&queue, "s").await.fired == 3).await;
    let fewer = queue.schedule("s").every(SECOND / 2).limit(1);
    fewer.job(Work::Quick).await.unwrap();
    assert_eq!(info(&queue, "s").await.next_tick, None);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_paused_it_stays_paused_whatever_is_deployed_and_goes_on_from_now() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene));
    let pulse = queue.schedule("pulse");
    let define = async |work: Work| {
        let every = queue.schedule("pulse").every(SECOND / 5);
        every.job(work).await.unwrap()
    };
    define(Work::Quick).await;
    eventually_async(5 * SECOND, async || info(&queue, "pulse").await.fired >= 2).await;
    assert!(pulse.pause().await.unwrap());
    assert!(!pulse.pause().await.unwrap());
    let paused = info(&queue, "pulse").await;
    assert_eq!((paused.paused, paused.next_tick), (true, None));
    assert_eq!(define(Work::Quick).await, Scheduled::Unchanged);
    assert_eq!(define(Work::Report).await, Scheduled::Changed);
    tokio::time::sleep(SECOND).await;
    let still = info(&queue, "pulse").await;
    assert_eq!((still.paused, still.fired), (true, paused.fired));

    // A job can still be asked for by hand.
    let triggered = pulse.trigger().await.unwrap();
    assert!(triggered.as_str().starts_with("pulse@"));
    eventually_async(5 * SECOND, async || {
        let job = queue.job(&triggered).await.unwrap();
        job.is_some_and(|job| job.state == JobState::Completed)
    })
    .await;
    assert_eq!(info(&queue, "pulse").await.fired, paused.fired);

    assert!(pulse.resume().await.unwrap());
    assert!(!pulse.resume().await.unwrap());
    eventually_async(5 * SECOND, async || {
        info(&queue, "pulse").await.fired > paused.fired
    })
    .await;
    assert_eq!(info(&queue, "pulse").await.missed, 0);
    assert!(pulse.remove().await.unwrap());
    drained(&queue, 5 * SECOND).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_start_and_end_bound_it_and_it_stays_in_the_list() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene));
    let start = SystemTime::now() + 3 * SECOND;
    let define = async || {
        let bounded = queue
            .schedule("bounded")
            .every(SECOND / 4)
            .starting(start)
            .ending(start + SECOND);
        bounded.job(Work::Quick).await
    };
    define().await.unwrap();
    eventually_async(10 * SECOND, async || {
        info(&queue, "bounded").await.next_tick.is_none()
    })
    .await;
    drained(&queue, 5 * SECOND).await;
    let start_ms = oxcart::Timestamp::from(start).as_millis();
    // In the order in which they were claimed: two that came late together run side by side.
    let mut runs = scene.runs();
    runs.sort_by_key(|run| run.fence);
    let ran: Vec<String> = runs.into_iter().map(|run| run.id).collect();
    let expected = [0, 250, 500, 750, 1_000].map(|ms| format!("bounded@{}", start_ms + ms));
    assert_eq!(ran, expected);
    // The code that defines it need not be changed at once.
    assert_eq!(define().await.unwrap(), Scheduled::Unchanged);
    // Another job for one that has ended is stored, and it stays ended; another end lets it go on.
    let every = || queue.schedule("bounded").every(SECOND / 4).starting(start);
    let other = every().ending(start + SECOND).job(Work::Report);
    assert_eq!(other.await.unwrap(), Scheduled::Changed);
    let ended = info(&queue, "bounded").await;
    assert_eq!((ended.next_tick, ended.fired), (None, 5));
    let longer = every().ending(start + HOUR).job(Work::Quick);
    assert_eq!(longer.await.unwrap(), Scheduled::Changed);
    eventually_async(5 * SECOND, async || info(&queue, "bounded").await.fired > 5).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_the_list_has_all_of_them_and_the_queue_is_known() {
    let (server, queue) = server_and_queue().await;
    for n in 0..200 {
        let every = queue.schedule(format!("s{n:03}")).every(HOUR);
        every.job(Work::Quick).await.unwrap();
    }
    queue.schedule("s007").pause().await.unwrap();
    let all = queue.schedules().await.unwrap();
    assert_eq!(all.len(), 200);
    assert!(all.windows(2).all(|pair| pair[0].name < pair[1].name));
    assert!(all[7].paused && all[7].next_tick.is_none());
    assert!(all[8].next_tick.is_some());
    let registered: bool = server.ask(&["SISMEMBER", "oxcart:queues", "work"]);
    assert!(registered);
    for info in all {
        assert!(queue.schedule(info.name).remove().await.unwrap());
    }
    let left: Vec<String> = server.ask(&["KEYS", "*"]);
    let known = ["oxcart:queues", "oxcart:{work}:meta", "oxcart:{work}:wake"];
    assert!(
        left.iter().all(|key| known.contains(&key.as_str())),
        "{left:?}"
    );
}
