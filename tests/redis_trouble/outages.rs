//! Redis is away for a while, and comes back as it was, empty, or as another server.

use std::time::Duration;

use oxcart::{Queue, QueueSettings, Retention};

use crate::support::checks::{assert_each_ran_once, enqueue_by};
use crate::support::jobs::{Scene, Work};
use crate::support::workers::{drained, queue_at, run, server_and_queue, watched, worker};
use crate::support::{Proxy, Server, eventually, eventually_async};

const SECOND: Duration = Duration::from_secs(1);

/// Enqueues one job after the other until each of `jobs` is acknowledged, whatever happens
/// meanwhile; answers their ids.
async fn enqueue_stubbornly(queue: &Queue, jobs: usize, job: &Work) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for _ in 0..jobs {
        let mut request = queue.enqueue(job.clone());
        loop {
            match (&mut request).await {
                Ok(handle) => break acknowledged.push(handle.id().to_string()),
                Err(error) => assert!(error.is_retryable(), "{error:?}"),
            }
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_long_jobs_survive_a_redis_that_stands_still_for_twice_their_lease() {
    const LEASE: Duration = Duration::from_secs(2);
    const JOBS: usize = 10;
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let (builder, events) = watched(worker(&queue, &scene).lease(LEASE));
    let busy = run(builder);
    queue
        .enqueue_many(vec![Work::sleep(3 * LEASE); JOBS])
        .await
        .unwrap();
    eventually(5 * SECOND, || scene.running().len() == JOBS).await;
    // Idle ones, which may not notice the outage, must not take the jobs for stranded.
    let idle = [(); 3].map(|()| run(worker(&queue, &scene).concurrency(1).lease(LEASE)));
    tokio::time::sleep(LEASE).await;

    server.pause();
    tokio::time::sleep(2 * LEASE).await;
    assert!(scene.running().is_empty(), "nobody held a lease any more");
    server.resume();
    let counts = drained(&queue, 40 * SECOND).await;

    assert_eq!(counts.totals.completed, JOBS as u64);
    assert_eq!((counts.totals.stalled, counts.dead), (0, 0));
    assert_eq!(counts.totals.refused, 0);
    assert_eq!(events.lost_leases(), []);
    for runs in scene.runs_by_job().values() {
        // Cancelled at least once; on a slow machine perhaps once more before it is done.
        let (last, cancelled) = runs.split_last().expect("it ran");
        assert_eq!(last.how, "ok");
        assert!(!cancelled.is_empty());
        assert!(cancelled.iter().all(|run| run.how == "dropped"));
        for pair in runs.windows(2) {
            assert!(pair[0].fence < pair[1].fence);
            let ended = pair[0].ended_ms.expect("it was dropped");
            assert!(ended <= pair[1].began_ms, "never two at once");
        }
    }
    busy.stop().await;
    for worker in idle {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_redis_that_is_killed_and_restarted_keeps_what_it_acknowledged() {
    const CALLERS: usize = 20;
    const EACH: usize = 60;
    let server = Server::options().aof_always().start();
    let queue = queue_at(&server.url()).await;
    let scene = Scene::new();
    let (builder, events) = watched(worker(&queue, &scene).concurrency(40));
    let worker = run(builder);
    let job = Work::sleep(Duration::from_millis(20));
    let callers = (0..CALLERS).map(|_| enqueue_stubbornly(&queue, EACH, &job));
    let kills = async {
        for kill in 1..=3 {
            let done = || scene.runs().len() >= kill * CALLERS * EACH / 5;
            eventually(30 * SECOND, done).await;
            tokio::task::block_in_place(|| {
                server.kill();
                std::thread::sleep(SECOND / 2);
                server.restart();
            });
        }
    };
    let (acknowledged, ()) = tokio::join!(futures::future::join_all(callers), kills);
    assert_each_ran_once(CALLERS * EACH, &queue, &scene).await;

    let by_job = scene.runs_by_job();
    assert!(
        acknowledged
            .iter()
            .flatten()
            .all(|id| by_job.contains_key(id))
    );
    assert_eq!(events.lost_leases(), []);
    assert!(!events.troubles().is_empty(), "nobody noticed");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_who_waits_for_a_result_waits_on_when_redis_is_killed_three_times() {
    let server = Server::options().aof_always().start();
    let queue = queue_at(&server.url()).await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene)
        .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing)));
    let handle = queue.enqueue(Work::Hold).await.unwrap();
    eventually(5 * SECOND, || scene.running().len() == 1).await;
    // Elsewhere, and where the job runs; each wait is begun once and never again.
    let elsewhere = queue_at(&server.url()).await;
    let waits = [elsewhere, queue.clone()].map(|queue| {
        let handle = queue.handle::<Work>(handle.id().clone());
        tokio::spawn(handle.result().within(60 * SECOND).into_future())
    });
    for _ in 0..3 {
        tokio::time::sleep(SECOND).await;
        tokio::task::block_in_place(|| {
            server.kill();
            std::thread::sleep(SECOND);
            server.restart();
        });
        assert!(waits.iter().all(|wait| !wait.is_finished()), "one gave up");
    }
    scene.release(1);
    for wait in waits {
        let done = tokio::time::timeout(10 * SECOND, wait).await.unwrap();
        assert_eq!(done.unwrap().unwrap().pid, std::process::id());
    }
    assert_eq!(scene.runs_of(handle.id()).len(), 1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_a_redis_that_comes_back_empty_is_used_as_it_is() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let (builder, events) = watched(worker(&queue, &scene).concurrency(5).lease(3 * SECOND));
    let worker = run(builder);
    queue.enqueue_many(vec![Work::Hold; 8]).await.unwrap();
    eventually(5 * SECOND, || scene.running().len() == 5).await;
    tokio::task::block_in_place(|| {
        server.kill();
        server.restart();
    });

    // The jobs that ran are gone, and their handlers hear of it.
    eventually(10 * SECOND, || events.lost_leases().len() == 5).await;
    assert!(scene.running().is_empty());
    assert!(scene.runs().iter().all(|run| run.how == "cancelled"));
    let before = scene.runs().iter().map(|run| run.fence).max().unwrap();

    // What comes now is another matter.
    enqueue_by(10, 10, &queue, &Work::Quick).await;
    let counts = drained(&queue, 10 * SECOND).await;
    assert_eq!((counts.totals.added, counts.totals.completed), (100, 100));
    let runs = scene.runs();
    assert_eq!(runs.len(), 105);
    assert!(runs[5..].iter().all(|run| run.fence > before));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_flushed_scripts_and_killed_connections_are_nothing_but_delays() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let (builder, events) = watched(worker(&queue, &scene).concurrency(40));
    let worker = run(builder);
    let job = Work::sleep(Duration::from_millis(20));
    let nuisances = async {
        for round in 0..30 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            let nuisance: &[&str] = match round % 2 {
                0 => &["SCRIPT", "FLUSH"],
                _ => &["CLIENT", "KILL", "TYPE", "normal"],
            };
            tokio::task::block_in_place(|| server.cli(nuisance));
        }
    };
    tokio::join!(enqueue_by(20, 50, &queue, &job), nuisances);
    assert_each_ran_once(1_000, &queue, &scene).await;
    assert_eq!(events.lost_leases(), []);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_answers_that_are_late_are_answers_all_the_same() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let (builder, events) = watched(worker(&queue, &scene).concurrency(40));
    let worker = run(builder);
    let job = Work::sleep(Duration::from_millis(20));
    let slow = async {
        for _ in 0..3 {
            tokio::time::sleep(SECOND / 4).await;
            // Longer than anybody waits for an answer before asking again.
            tokio::task::block_in_place(|| server.cli(&["DEBUG", "SLEEP", "1.5"]));
        }
    };
    tokio::join!(enqueue_by(20, 50, &queue, &job), slow);
    assert_each_ran_once(1_000, &queue, &scene).await;
    assert_eq!(events.lost_leases(), []);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_g9_fences_only_grow_when_a_replica_that_lags_behind_takes_over() {
    if crate::support::road::is_skipped_in_a_cluster("REPLICAOF") {
        return;
    }
    const JOBS: usize = 40;
    let old = Server::start();
    let new = Server::start();
    let proxy = Proxy::start(old.tcp_addr());
    let queue = queue_at(&proxy.url()).await;
    let scene = Scene::new();
    let (builder, events) = watched(worker(&queue, &scene).concurrency(JOBS / 2));
    let worker = run(builder
        .lease(3 * SECOND)
        .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing)));
    queue.enqueue_many(vec![Work::Hold; JOBS]).await.unwrap();
    eventually(5 * SECOND, || scene.running().len() == JOBS / 2).await;
    new.replica_of(&old);
    // From here on the replica hears nothing: of one half it knows that it runs, of the other
    // that it waits.
    new.cli(&["REPLICAOF", "NO", "ONE"]);
    scene.release(JOBS / 2);
    eventually(5 * SECOND, || scene.runs().len() == JOBS).await;
    let before = scene.runs().iter().map(|run| run.fence).max().unwrap();

    old.kill();
    proxy.redirect(new.tcp_addr());
    scene.release(2 * JOBS);
    let direct = queue_at(&new.url()).await;
    eventually_async(40 * SECOND, async || {
        direct.counts().await.unwrap().totals.completed == JOBS as u64
    })
    .await;

    let counts = drained(&direct, 20 * SECOND).await;
    assert_eq!(counts.dead, 0);
    let fences: Vec<u64> = scene.runs().iter().map(|run| run.fence).collect();
    let of_new = &fences[JOBS..];
    assert!(
        of_new.iter().all(|fence| *fence > before),
        "a number came again"
    );
    for runs in scene.runs_by_job().values() {
        assert!(runs.windows(2).all(|pair| pair[0].fence < pair[1].fence));
        assert_eq!(runs.last().unwrap().how, "ok");
    }
    // The second half was claimed in writes that are lost: no worker could settle them.
    assert!(
        events.lost_leases().len() >= JOBS / 2,
        "{:?}",
        events.lost_leases()
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g9_nobody_asks_all_the_time_while_redis_is_away() {
    let (server, direct) = server_and_queue().await;
    let proxy = Proxy::start(server.tcp_addr());
    let queue = queue_at(&proxy.url()).await;
    let scene = Scene::new();
    let worker = run(worker(&queue, &scene).concurrency(40).lease(30 * SECOND));
    enqueue_by(1, 60, &direct, &Work::Hold).await;
    eventually(5 * SECOND, || scene.running().len() == 40).await;

    // Connections are taken and closed at once, and there is something to say on each.
    server.kill();
    let before = proxy.connections();
    scene.release(20);
    let stubborn = async {
        let late = enqueue_stubbornly(&queue, 1, &Work::Quick);
        tokio::time::timeout(4 * SECOND, late).await.unwrap_err();
    };
    stubborn.await;
    let tried = proxy.connections() - before;
    // Requests per second: two lanes and a producer about one each, the wait for work two, and the
    // renewal of leases ten at most.
    assert!((4..80).contains(&tried), "{tried} connections in 4 s");
    assert!(worker.is_running());
    scene.release(40);
    worker.crash().await;
}
