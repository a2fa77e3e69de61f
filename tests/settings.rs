//! Settings of a queue are stored with it, the same for all workers, whatever their code says and whenever they
//! started.

mod support;

use std::time::Duration;

use futures::StreamExt;
use oxcart::{
    ErrorKind, EventKind, JobState, Queue, QueueSettings, Retention, SettingsInForce, WorkerBuilder,
};
use support::jobs::{Scene, Work};
use support::workers::{drained, queue_at, run, server_and_queue, worker};
use support::{Server, eventually_async};

const SECOND: Duration = Duration::from_secs(1);
const WEEK: Retention = Retention::For(Duration::from_secs(7 * 24 * 3600));
/// Looked for every half minute, with some jitter.
const NOTICED: Duration = Duration::from_secs(60);

fn said() -> QueueSettings {
    QueueSettings::new()
}

async fn settings(queue: &Queue) -> SettingsInForce {
    queue.settings().await.unwrap()
}

async fn until(queue: &Queue, within: Duration, holds: impl Fn(&SettingsInForce) -> bool) {
    eventually_async(within, async || holds(&settings(queue).await)).await;
}

/// A worker that has stored what it declares.
async fn started(queue: &Queue, builder: WorkerBuilder) -> support::workers::RunningWorker {
    let running = run(builder);
    let job = queue.enqueue(Work::Quick).keep(Retention::Nothing);
    job.await.unwrap();
    drained(queue, 20 * SECOND).await;
    running
}

async fn completed(queue: &Queue) -> u64 {
    queue.counts().await.unwrap().completed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_workers_that_differ_keep_what_is_set_for_the_queue() {
    const KEPT: u64 = 700;
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let declares = said().keep_at_most(KEPT);
    let first = started(&queue, worker(&queue, &scene).queue_settings(declares)).await;
    // It says nothing of that, and obeys.
    let other = said().max_stalls(2);
    let other = started(&queue, worker(&queue, &scene).queue_settings(other)).await;
    let silent = started(&queue, worker(&queue, &scene)).await;
    let most = settings(&queue).await;
    assert_eq!((most.keep_at_most, most.max_stalls), (KEPT, 2));
    for _ in 0..5 {
        queue.enqueue_many(vec![Work::Quick; 500]).await.unwrap();
        drained(&queue, 20 * SECOND).await;
        // Each call with a completed job drops what is too much.
        assert!(completed(&queue).await <= KEPT);
    }
    assert_eq!(completed(&queue).await, KEPT);
    // A change holds for all of them at once.
    queue
        .change_settings(said().keep_at_most(50))
        .await
        .unwrap();
    queue.enqueue_many(vec![Work::Quick; 1_000]).await.unwrap();
    drained(&queue, 20 * SECOND).await;
    assert_eq!(completed(&queue).await, 50);
    for worker in [first, other, silent] {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_what_a_job_asks_for_is_kept_whatever_the_number_that_is_set() {
    const LONG: usize = 1_300;
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let few = said().keep_at_most(5);
    let worker = run(worker(&queue, &scene).concurrency(50).queue_settings(few));
    let long = (0..LONG).map(|_| queue.enqueue(Work::Quick).keep(WEEK));
    let long = queue.enqueue_many(long).await.unwrap();
    drained(&queue, 20 * SECOND).await;
    let mut plain = Vec::new();
    for _ in 0..12 {
        plain.push(queue.enqueue(Work::Quick).await.unwrap());
        drained(&queue, 20 * SECOND).await;
    }
    assert_eq!(completed(&queue).await, LONG as u64 + 5);
    for job in long.iter().step_by(100) {
        assert!(job.info().await.unwrap().is_some(), "it asked for a week");
    }
    let kept = queue.jobs(JobState::Completed).limit(5).await.unwrap();
    let kept: Vec<_> = kept.jobs.iter().map(|job| job.id.clone()).collect();
    let newest: Vec<_> = plain[7..].iter().map(|job| job.id().clone()).collect();
    assert_eq!(kept, newest);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_stays_until_the_code_says_something_else() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let code =
        |jobs| worker(&queue, &scene).queue_settings(said().keep_at_most(jobs).max_stalls(3));
    started(&queue, code(10)).await.stop().await;
    assert_eq!(
        settings(&queue).await.declared,
        said().keep_at_most(10).max_stalls(3)
    );
    let changed = queue
        .change_settings(said().keep_at_most(77))
        .await
        .unwrap();
    assert_eq!((changed.keep_at_most, changed.revision), (77, 2));

    started(&queue, code(10)).await.stop().await;
    started(&queue, worker(&queue, &scene)).await.stop().await;
    assert_eq!(settings(&queue).await, changed);

    started(&queue, code(11)).await.stop().await;
    let now = settings(&queue).await;
    assert_eq!((now.keep_at_most, now.max_stalls, now.revision), (11, 3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_declared_is_stored_again_when_it_is_lost() {
    let lose = async |command: &[&str]| {
        let (server, queue) = server_and_queue().await;
        let scene = Scene::new();
        let code = said().keep_at_most(10).keep_completed(WEEK);
        let worker = started(&queue, worker(&queue, &scene).queue_settings(code)).await;
        assert_eq!(settings(&queue).await.set, code);
        server.cli(command);
        assert_eq!(settings(&queue).await.set, said());
        until(&queue, NOTICED, |now| now.set == code).await;
        worker.stop().await;
    };
    tokio::join!(
        lose(&["DEL", "oxcart:{work}:meta"]),
        lose(&["FLUSHALL"]),
        lose(&["HDEL", "oxcart:{work}:meta", "settings", "declared"]),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_starts_without_redis_declares_its_settings_when_it_is_there() {
    let server = Server::start();
    let queue = queue_at(&server.url()).await;
    server.kill();
    let scene = Scene::new();
    let code = said().keep_completed(Retention::Nothing);
    let worker = run(worker(&queue, &scene).queue_settings(code));
    tokio::time::sleep(SECOND).await;
    server.restart();
    until(&queue, 20 * SECOND, |now| now.set == code).await;
    queue.enqueue_many(vec![Work::Quick; 20]).await.unwrap();
    assert_eq!(drained(&queue, 20 * SECOND).await.completed, 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_version_wrote_stops_no_worker() {
    let (server, queue) = server_and_queue().await;
    let newer = "2 9 keep_at_most=none";
    let meta = "oxcart:{work}:meta";
    server.cli(&["HSET", meta, "settings", newer]);
    let scene = Scene::new();
    let code = said().keep_at_most(1);
    let worker = started(&queue, worker(&queue, &scene).queue_settings(code)).await;
    queue.enqueue_many(vec![Work::Quick; 20]).await.unwrap();
    assert_eq!(
        drained(&queue, 20 * SECOND).await.completed,
        20,
        "the defaults hold"
    );
    for error in [
        queue.settings().await.unwrap_err(),
        queue.change_settings(code).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Incompatible, "{error}");
        assert!(!error.is_retryable());
    }
    assert_eq!(server.ask::<String>(&["HGET", meta, "settings"]), newer);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_is_told_of_the_events_that_were_not_kept() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene));
    let mut events = queue.events().await.unwrap();
    let mut next = async || {
        let next = tokio::time::timeout(20 * SECOND, events.next()).await;
        next.expect("there are events").unwrap().kind
    };
    let first = queue.enqueue(Work::Quick).result();
    first.await.unwrap();
    assert_ne!(next().await, EventKind::Missed);

    let off = queue.change_settings(said().keep_events(0)).await.unwrap();
    assert_eq!(off.keep_events, 0);
    queue.enqueue_many(vec![Work::Quick; 300]).await.unwrap();
    drained(&queue, 20 * SECOND).await;
    assert_eq!(server.ask::<u64>(&["EXISTS", "oxcart:{work}:events"]), 0);
    // Results come all the same.
    queue.enqueue(Work::Quick).result().await.unwrap();

    queue
        .change_settings(said().keep_events(1_000))
        .await
        .unwrap();
    let last = queue.enqueue(Work::Quick).await.unwrap();
    let of_last = |kind: &EventKind| kind.job_id() == Some(last.id());
    let mut missed = 0;
    loop {
        match next().await {
            EventKind::Missed => missed += 1,
            kind if of_last(&kind) => break,
            _ => {}
        }
    }
    assert_eq!(missed, 1);

    // And there are not many more than are to be kept.
    for _ in 0..600 {
        queue.enqueue_many(vec![Work::Quick; 10]).await.unwrap();
    }
    drained(&queue, 20 * SECOND).await;
    let entries: u64 = server.ask(&["XLEN", "oxcart:{work}:events"]);
    assert!((100..=300).contains(&entries), "{entries} entries");
    worker.stop().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_it_is_sent() {
    let (_server, queue) = server_and_queue().await;
    let ages = Retention::For(Duration::from_secs(11 * 366 * 86_400));
    let error = queue.change_settings(said().keep_completed(ages)).await;
    assert!(error.unwrap_err().is_invalid());
    let built = worker(&queue, &Scene::new()).queue_settings(said().keep_completed(ages));
    assert!(built.build().err().unwrap().is_invalid());
    assert_eq!(settings(&queue).await.revision, 0);
}
