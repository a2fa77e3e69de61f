//! When jobs start: never early, soon when a worker is idle, within 5 s when the worker that held the
//! wake-up died; and that no worker sends needless commands while there is nothing to do.

mod support;

use std::time::{Duration, SystemTime};

use oxcart::{JobHandle, Queue, QueueSettings};
use support::jobs::{Scene, Work, now_ms};
use support::workers::{
    RunningWorker, WorkerProcess, drained, queue_at, run, run_as_process, server_and_queue, worker,
};
use support::{Proxy, Server, eventually, eventually_async};

const SECOND: Duration = Duration::from_secs(1);
/// How late an idle worker may start half of the jobs. Milliseconds are the rule; the rest is for
/// machines that have more to do.
const MOSTLY_MS: u64 = 100;
/// How late a single one may be on such a machine. If no worker is told, it is 5 s.
const LATE_MS: u64 = 2_000;

#[test]
fn worker_process() {
    run_as_process();
}

fn idle_workers(count: usize, queue: &Queue, scene: &Scene) -> Vec<RunningWorker> {
    (0..count).map(|_| run(worker(queue, scene))).collect()
}

async fn stop_all(workers: Vec<RunningWorker>) {
    for worker in workers {
        worker.stop().await;
    }
}

/// Waits until the job has begun; when it did.
async fn began_at(scene: &Scene, handle: &JobHandle<Work>) -> u64 {
    eventually(20 * SECOND, || !scene.runs_of(handle.id()).is_empty()).await;
    scene.runs_of(handle.id())[0].began_ms
}

/// Half of these delays are short, none is long.
fn assert_at_once(mut late: Vec<u64>) {
    late.sort_unstable();
    let (half, most) = (late[late.len() / 2], late[late.len() - 1]);
    assert!(half <= MOSTLY_MS && most <= LATE_MS, "ms late: {late:?}");
}

/// When a delayed job will be due.
async fn due_at(handle: &JobHandle<Work>) -> u64 {
    let info = handle.info().await.unwrap().unwrap();
    info.due_at.unwrap().as_millis()
}

/// The commands that clients have sent for the queue: what its scripts do is not among them, nor
/// that each script is sent once in full.
fn commands(server: &Server) -> u64 {
    server.calls("evalsha") + server.calls("bzpopmin")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g5_delayed_jobs_start_when_they_are_due_and_never_before() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let workers = idle_workers(2, &queue, &scene);
    let mut expected = Vec::new();
    for n in 0..30 {
        // In no particular order, some of them at the same moment.
        let delay = Duration::from_millis(20 + (n * 7 % 10) * 170);
        let request = queue.enqueue(Work::Quick);
        let before = now_ms();
        if n % 2 == 0 {
            let handle = request.delay(delay).await.unwrap();
            let ms = delay.as_millis() as u64;
            expected.push((handle, before + ms, now_ms() + ms));
        } else {
            let at = SystemTime::now() + delay;
            let handle = request.at(at).await.unwrap();
            let since_epoch = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
            let due = since_epoch.as_millis() as u64;
            expected.push((handle, due, due.max(now_ms())));
        }
    }
    let mut late = Vec::new();
    for (handle, earliest, due) in &expected {
        let began = began_at(&scene, handle).await;
        assert!(began >= *earliest, "{} ms early", earliest - began);
        late.push(began.saturating_sub(*due));
    }
    assert_at_once(late);
    stop_all(workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g5_what_is_due_in_the_past_starts_at_once_and_a_paused_queue_starts_nothing() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let workers = idle_workers(2, &queue, &scene);
    let past = SystemTime::now() - 3600 * SECOND;
    let before = now_ms();
    let handle = queue.enqueue(Work::Quick).at(past).await.unwrap();
    assert!(began_at(&scene, &handle).await <= before + LATE_MS);

    queue.pause().await.unwrap();
    let waits = queue.enqueue(Work::Quick).await.unwrap();
    let soon = Duration::from_millis(100);
    let becomes_due = queue.enqueue(Work::Quick).delay(soon).await.unwrap();
    tokio::time::sleep(SECOND).await;
    assert_eq!(scene.runs().len(), 1);
    let resumed = now_ms();
    queue.resume().await.unwrap();
    for handle in [waits, becomes_due] {
        assert!(began_at(&scene, &handle).await <= resumed + LATE_MS);
    }
    stop_all(workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g5_an_idle_worker_starts_a_new_job_at_once() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let workers = idle_workers(3, &queue, &scene);
    let mut late = Vec::new();
    for n in 0..30 {
        if n == 15 {
            // Idle for so long that everybody has asked anew.
            tokio::time::sleep(6 * SECOND).await;
        }
        let before = now_ms();
        let handle = queue.enqueue(Work::Quick).await.unwrap();
        late.push(began_at(&scene, &handle).await - before);
    }
    assert_at_once(late);
    stop_all(workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g5_every_free_slot_is_used_however_the_jobs_arrive() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let workers = idle_workers(3, &queue, &scene);
    // 30 slots: first a call for each job, then one for all.
    for _ in 0..15 {
        queue.enqueue(Work::Hold).await.unwrap();
    }
    queue.enqueue_many(vec![Work::Hold; 25]).await.unwrap();
    // If no worker is told of the job, a free slot takes it 5 s later.
    eventually(3 * SECOND, || scene.running().len() == 30).await;
    scene.release(40);
    drained(&queue, 5 * SECOND).await;
    stop_all(workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g5_a_wake_up_that_dies_with_its_holder_costs_5_s_at_most() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let mut holder = WorkerProcess::of(&server).spawn(&scene);
    // However long it takes a process to start, it is there before the job is due.
    let early = queue.enqueue(Work::Quick).await.unwrap();
    began_at(&scene, &early).await;
    let delayed = queue.enqueue(Work::Quick).delay(3 * SECOND).await.unwrap();
    let due = due_at(&delayed).await;
    // What it does next, it does knowing of the delayed job: from now on it keeps the timer.
    let first = queue.enqueue(Work::Quick).await.unwrap();
    began_at(&scene, &first).await;
    let wake = "oxcart:{work}:wake";
    eventually(5 * SECOND, || !server.ask::<bool>(&["EXISTS", wake])).await;
    let others = idle_workers(2, &queue, &scene);
    eventually_async(5 * SECOND, async || {
        queue.counts().await.unwrap().active == 0
    })
    .await;
    holder.kill();
    let began = began_at(&scene, &delayed).await;
    assert!(began >= due, "{} ms early", due - began);
    assert!(began <= due + 5_000 + LATE_MS, "{} ms late", began - due);
    stop_all(others).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g5_a_worker_that_stops_hands_the_wake_up_on() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    for _ in 0..3 {
        let mut workers = idle_workers(2, &queue, &scene);
        let delayed = queue.enqueue(Work::Quick).delay(SECOND).await.unwrap();
        let due = due_at(&delayed).await;
        workers.push(run(worker(&queue, &scene)));
        for holder in workers.drain(..2) {
            holder.stop().await;
        }
        let began = began_at(&scene, &delayed).await;
        assert!(began >= due, "{} ms early", due - began);
        assert!(began <= due + LATE_MS, "{} ms late", began - due);
        stop_all(workers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g5_a_wake_up_lost_with_a_connection_costs_5_s_at_most() {
    let (server, direct) = server_and_queue().await;
    let proxy = Proxy::start(server.tcp_addr());
    let proxied = queue_at(&proxy.url()).await;
    let scene = Scene::new();
    let workers = idle_workers(2, &proxied, &scene);
    for _ in 0..5 {
        proxy.cut_all();
        let before = now_ms();
        let handle = direct.enqueue(Work::Quick).await.unwrap();
        let began = began_at(&scene, &handle).await;
        assert!(
            began <= before + 5_000 + LATE_MS,
            "{} ms late",
            began - before
        );
    }
    stop_all(workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g5_an_idle_worker_sends_fewer_than_60_commands_a_minute() {
    // It sends a few at a time: a shorter time may have more than its share.
    const TIME: Duration = Duration::from_secs(40);
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let workers = idle_workers(1, &queue, &scene);
    queue.enqueue(Work::Quick).await.unwrap();
    drained(&queue, 5 * SECOND).await;
    let before = commands(&server);
    tokio::time::sleep(TIME).await;
    let sent = commands(&server) - before;
    assert!((6..40).contains(&sent), "{sent} commands in {TIME:?}");
    stop_all(workers).await;
}

/// What four workers send in 3 s without spinning: each pops and looks once, does each of its
/// duties once, and one of them runs a job or two.
async fn assert_calm(server: &Server, what: &str) {
    let before = commands(server);
    tokio::time::sleep(3 * SECOND).await;
    let sent = commands(server) - before;
    assert!(sent <= 4 * 6 + 6, "{sent} commands in 3 s: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g5_nobody_spins_or_comes_running_for_what_cannot_start_yet() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let workers: Vec<_> = (0..4)
        .map(|_| run(worker(&queue, &scene).concurrency(2)))
        .collect();
    let soon = queue.enqueue(Work::Quick).delay(2 * SECOND).await.unwrap();
    assert_calm(&server, "a delayed job, and the moment it is due").await;
    began_at(&scene, &soon).await;

    queue.pause().await.unwrap();
    queue.enqueue_many(vec![Work::Hold; 20]).await.unwrap();
    let due = queue.enqueue(Work::Quick).delay(SECOND).await.unwrap();
    assert_calm(&server, "a paused queue").await;
    queue.resume().await.unwrap();

    eventually(5 * SECOND, || scene.running().len() == 8).await;
    assert_calm(&server, "every slot taken, and more in line").await;
    assert!(scene.runs_of(due.id()).is_empty());
    scene.release(20);
    drained(&queue, 10 * SECOND).await;
    stop_all(workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g5_nobody_spins_for_suspects_that_must_wait_for_each_other() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let crashed = run(worker(&queue, &scene).lease(SECOND));
    queue.enqueue_many(vec![Work::Hold; 6]).await.unwrap();
    eventually(5 * SECOND, || scene.running().len() == 6).await;
    crashed.crash().await;
    // One that has no stalls to spare runs alone.
    let workers: Vec<_> = (0..4)
        .map(|_| run(worker(&queue, &scene).queue_settings(QueueSettings::new().max_stalls(1))))
        .collect();
    eventually(30 * SECOND, || scene.running().len() == 1).await;
    assert_calm(&server, "one suspect runs, five wait").await;
    assert_eq!(scene.running().len(), 1);
    scene.release(6);
    // Each follows the one before it at once, at whichever worker.
    drained(&queue, 10 * SECOND).await;
    stop_all(workers).await;
}
