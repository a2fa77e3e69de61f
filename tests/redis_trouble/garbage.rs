//! Another program wrote to our keys: a lane whose call can never be carried out is left behind,
//! and what it had to say is said by another.

use std::time::{Duration, Instant};

use oxcart::{ErrorKind, Queue};

use crate::support::Server;
use crate::support::jobs::{Scene, Work};
use crate::support::workers::{RunningWorker, drained, run, server_and_queue, worker};
use crate::support::{eventually, eventually_async};

const SECOND: Duration = Duration::from_secs(1);
const CALLS: &str = "oxcart:{work}:calls";
const HELD: usize = 40;

/// A worker that runs jobs, and a producer that has sent some: both have lanes.
async fn at_work() -> (Server, Queue, Scene, RunningWorker) {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene).concurrency(HELD + 10));
    queue.enqueue_many(vec![Work::Hold; HELD]).await.unwrap();
    eventually(10 * SECOND, || scene.running().len() == HELD).await;
    (server, queue, scene, worker)
}

/// The first producer that meets the garbage cannot know whether its job is there, and says so at
/// once.
async fn assert_unknowable(queue: &Queue) {
    let asked = Instant::now();
    let error = queue.enqueue(Work::Quick).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknowable, "{error:?}");
    assert!(error.job_id().is_some());
    // Not at the end of its time limit, which is 5 s.
    assert!(asked.elapsed() < 4 * SECOND, "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_g9_a_lane_whose_last_answer_is_garbage_is_left_behind() {
    let (server, queue, scene, worker) = at_work().await;
    let lanes: Vec<String> = server.ask(&["HKEYS", CALLS]);
    assert!(lanes.len() >= 2, "{lanes:?}");
    for lane in &lanes {
        server.cli(&["HSET", CALLS, lane, "\u{c1}garbage"]);
    }
    scene.release(HELD);
    assert_unknowable(&queue).await;

    // No operator has to mend anything: new lanes carry everything out, each outcome once.
    let counts = drained(&queue, 20 * SECOND).await;
    assert_eq!(counts.totals.completed, HELD as u64);
    assert_eq!((counts.totals.stalled, counts.totals.refused), (0, 0));
    queue.enqueue(Work::Quick).result().await.unwrap();
    assert!(worker.is_running());
    worker.stop().await;
}

/// A call that only claims has nothing to say once more, and no other code would make another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_an_idle_worker_whose_lane_is_used_by_another_looks_again() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene).concurrency(4));
    queue.enqueue(Work::Quick).result().await.unwrap();
    let lanes: Vec<String> = server.ask(&["HKEYS", CALLS]);
    for lane in &lanes {
        server.cli(&["HSET", CALLS, lane, "1000000 1 "]);
    }
    let other = oxcart::Oxcart::connect(&server.url()).await.unwrap();
    other
        .queue("work")
        .unwrap()
        .enqueue(Work::Quick)
        .await
        .unwrap();
    drained(&queue, 10 * SECOND).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_g9_a_key_of_the_wrong_type_is_waited_out_without_spinning() {
    let (server, queue, scene, worker) = at_work().await;
    server.cli(&["SET", CALLS, "garbage"]);
    scene.release(HELD);
    assert_unknowable(&queue).await;
    let before = server.calls("evalsha");
    tokio::time::sleep(3 * SECOND).await;
    let asked = server.calls("evalsha") - before;
    // Each of two lanes asks again every second.
    assert!((3..20).contains(&asked), "{asked} calls in 3 s");
    assert!(worker.is_running());
    assert_eq!(queue.counts().await.unwrap().active, HELD as u64);

    server.cli(&["DEL", CALLS]);
    let counts = drained(&queue, 20 * SECOND).await;
    assert_eq!(counts.totals.completed, HELD as u64);
    assert_eq!((counts.totals.stalled, counts.totals.refused), (0, 0));
    let works = async || queue.enqueue(Work::Quick).await.is_ok();
    eventually_async(10 * SECOND, works).await;
    worker.stop().await;
}

/// The outcomes were stored before the claim of the same call failed: no worker runs those jobs again,
/// though their worker hears, when it says so once more, that it has lost them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_g9_a_call_that_fails_halfway_is_told_and_repeats_no_job() {
    let (server, queue, scene, worker) = at_work().await;
    let waiting = "oxcart:{work}:waiting";
    server.cli(&["SET", waiting, "garbage"]);
    scene.release(HELD);
    eventually(10 * SECOND, || scene.running().is_empty()).await;
    let before = server.calls("evalsha");
    tokio::time::sleep(3 * SECOND).await;
    let asked = server.calls("evalsha") - before;
    assert!((3..20).contains(&asked), "{asked} calls in 3 s");
    assert!(worker.is_running());
    let error = queue.counts().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible, "{error:?}");
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");

    server.cli(&["DEL", waiting]);
    let works = async || queue.enqueue(Work::Quick).result().await.is_ok();
    eventually_async(10 * SECOND, works).await;
    let counts = drained(&queue, 20 * SECOND).await;
    assert!(counts.completed > HELD as u64, "{counts:?}");
    assert_eq!((counts.dead, counts.totals.stalled), (0, 0));
    assert!(scene.runs_by_job().values().all(|runs| runs.len() == 1));
    worker.stop().await;
}

/// Nothing runs there that would make it call again when it ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_worker_that_has_nothing_to_say_looks_again_after_a_failed_call() {
    let (server, queue) = server_and_queue().await;
    let meta = "oxcart:{work}:meta";
    server.cli(&["SET", meta, "garbage"]);
    let worker = run(worker(&queue, &Scene::new()));
    tokio::time::sleep(3 * SECOND).await;
    server.cli(&["DEL", meta]);
    let job = queue.enqueue(Work::Quick).await.unwrap();
    let result = tokio::time::timeout(10 * SECOND, job.result()).await;
    result.expect("nobody looked for work").unwrap();
    worker.stop().await;
}
