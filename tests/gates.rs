//! Groups and orders, with real workers that are killed: a ledger outside of Redis decides.
//!
//! `GATES=full cargo test --release --test gates` has the large numbers.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::StreamExt;
use oxcart::{Backoff, EventKind, JobId, JobState, OnFailure, Order, Queue, QueueSettings};
use support::jobs::{Run, Scene, Work, now_ms};
use support::workers::{WorkerProcess, drained, run, run_as_process, server_and_queue, worker};
use support::{Process, eventually, eventually_async};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn worker_process() {
    run_as_process();
}

/// The large number, if it is asked for.
fn size(small: usize, large: usize) -> usize {
    match std::env::var("GATES").as_deref() {
        Ok("full") => large,
        _ => small,
    }
}

/// Kills a worker that has begun a job, and replaces it. Notes the moment at which it died.
async fn kill_one(
    workers: &mut Vec<Process>,
    scene: &Scene,
    settings: &WorkerProcess,
    died: &mut HashMap<u32, u64>,
) {
    let begun = || {
        let runs = scene.runs();
        let has_begun = |worker: &Process| runs.iter().any(|run| run.pid == worker.id());
        workers.iter().position(has_begun)
    };
    eventually(60 * SECOND, || begun().is_some()).await;
    let at = begun().expect("just seen");
    let mut victim = workers.remove(at);
    victim.kill();
    died.insert(victim.id(), now_ms());
    workers.push(settings.spawn(scene));
}

/// The runs of each key, in the order in which their jobs were claimed. Ids are `<key>.<number>`.
fn by_key(scene: &Scene) -> BTreeMap<String, Vec<Run>> {
    let mut runs = scene.runs();
    runs.sort_by_key(|run| run.fence);
    let mut by_key: BTreeMap<String, Vec<Run>> = BTreeMap::new();
    for run in runs {
        let key = run.id.split('.').next().unwrap_or_default().to_owned();
        by_key.entry(key).or_default().push(run);
    }
    by_key
}

fn id(key: usize, number: usize) -> JobId {
    JobId::new(format!("key-{key}.{number:05}")).unwrap()
}

fn settings(url: &str) -> WorkerProcess {
    WorkerProcess {
        url: url.to_owned(),
        concurrency: 20,
        lease: 3 * SECOND,
        grace: 30 * SECOND,
        max_stalls: 50,
        keep_at_most: 1_000,
        env: Vec::new(),
    }
}

/// What Redis holds of gates.
fn left_of_gates(server: &support::Server) -> Vec<u64> {
    let keys = ["blocked", "blocked_by", "gates"].map(|part| format!("oxcart:{{work}}:{part}"));
    keys.iter()
        .map(|key| server.ask(&["EXISTS", key]))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g7_jobs_of_one_key_run_in_their_order_through_failures_kills_and_a_restart_of_redis() {
    let (keys, jobs) = (size(100, 10_000), size(8, 20));
    let server = support::Server::options().aof_always().start();
    let queue = support::workers::queue_at(&server.url()).await;
    let scene = Scene::new();
    let settings = settings(&server.url());
    let mut workers: Vec<Process> = (0..3).map(|_| settings.spawn(&scene)).collect();
    let mut died = HashMap::new();
    for number in 0..jobs {
        let of_all_keys = (0..keys).map(|key| {
            let job = match (key + 7 * number) % 10 {
                0 => Work::Fail { times: 1 },
                _ => Work::sleep(Duration::from_millis(2)),
            };
            queue
                .enqueue(job)
                .id(id(key, number))
                .backoff(Backoff::fixed(Duration::from_millis(20)))
                .ordered_by(format!("key-{key}"))
        });
        queue.enqueue_many(of_all_keys).await.unwrap();
        if number % 2 == 1 && died.len() < 6 {
            kill_one(&mut workers, &scene, &settings, &mut died).await;
        }
    }
    server.kill();
    server.restart();
    drained(&queue, size(90, 3_600) as u32 * SECOND).await;

    let by_key = by_key(&scene);
    assert_eq!(by_key.len(), keys);
    for (key, runs) in &by_key {
        let done = runs.iter().filter(|run| run.is_ok()).count();
        assert!(done >= jobs, "{key}: {done} of {jobs} jobs succeeded");
        for pair in runs.windows(2) {
            assert!(pair[0].id <= pair[1].id, "{key} is out of order: {pair:?}");
            let ended = pair[0].ended_ms.or_else(|| died.get(&pair[0].pid).copied());
            let ended = ended.unwrap_or_else(|| panic!("nobody killed it: {pair:?}"));
            assert!(ended <= pair[1].began_ms, "two of {key} at once: {pair:?}");
        }
    }
    assert_eq!(left_of_gates(&server), [0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_never_has_more_than_it_may_and_loses_no_slot_when_workers_are_killed() {
    const AT_ONCE: usize = 2;
    const KILLS: usize = 5;
    let (groups, jobs) = (size(10, 100), size(30, 100));
    let (server, queue) = server_and_queue().await;
    let limit = QueueSettings::new().group_concurrency(AT_ONCE as u64);
    queue.change_settings(limit).await.unwrap();
    let scene = Scene::new();
    let settings = settings(&server.url());
    let mut workers: Vec<Process> = (0..3).map(|_| settings.spawn(&scene)).collect();
    let mut died = HashMap::new();
    for round in 0..KILLS {
        let numbers = round * jobs / KILLS..(round + 1) * jobs / KILLS;
        let of_all_groups =
            numbers.flat_map(|number| (0..groups).map(move |group| (group, number)));
        let of_all_groups = of_all_groups.map(|(group, number)| {
            queue
                .enqueue(Work::sleep(Duration::from_millis(5)))
                .id(id(group, number))
                .group(format!("group-{group}"))
        });
        queue.enqueue_many(of_all_groups).await.unwrap();
        kill_one(&mut workers, &scene, &settings, &mut died).await;
    }
    drained(&queue, 120 * SECOND).await;

    for (group, runs) in &by_key(&scene) {
        // Beginnings and ends, an end before a beginning at the same moment.
        let mut steps: Vec<(u64, i32)> = Vec::new();
        for run in runs {
            let ended = run.ended_ms.or_else(|| died.get(&run.pid).copied());
            steps.push((run.began_ms, 1));
            steps.push((ended.unwrap_or(run.began_ms).max(run.began_ms), -1));
        }
        steps.sort_unstable();
        let (mut running, mut most) = (0, 0);
        for (_, step) in steps {
            running += step;
            most = most.max(running);
        }
        assert!(most <= AT_ONCE as i32, "{most} of {group} at once");
    }
    assert_eq!(left_of_gates(&server), [0, 0, 0]);
    // Each group can have as many as before.
    for worker in &mut workers {
        worker.kill();
    }
    let here = run(worker(&queue, &scene).concurrency(groups * 4));
    let held = (0..groups * 3).map(|n| {
        let group = format!("group-{}", n % groups);
        queue.enqueue(Work::Hold).group(group)
    });
    let held = queue.enqueue_many(held).await.unwrap();
    eventually(20 * SECOND, || scene.running().len() == groups * AT_ONCE).await;
    let counts = queue.counts().await.unwrap();
    assert_eq!(counts.active as usize, groups * AT_ONCE);
    scene.release(held.len());
    drained(&queue, 20 * SECOND).await;
    here.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_many_jobs_of_one_group_do_not_hold_up_the_few_of_others() {
    let many = size(5_000, 100_000);
    let (alone, _) = the_few_beside(0).await;
    let (beside, place) = the_few_beside(many).await;
    println!(
        "{FEW} jobs take {alone} ms alone, {beside} ms beside {many} others: {:.2} times as long",
        beside as f64 / alone as f64
    );
    assert!(
        place <= 2 * FEW,
        "the last of {FEW} small jobs was claimed as number {place}"
    );
}

/// The jobs of nine small groups.
const FEW: usize = 900;

/// Works off the jobs of nine small groups that lie behind `many` jobs of a large one. Says how long it took until the last of
/// the small groups was done, in ms, and as which job it was claimed.
async fn the_few_beside(many: usize) -> (u64, usize) {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let of = |group: usize, n: usize| queue.enqueue(Work::Quick).id(id(group, n));
    let large = (0..many).map(|n| of(0, n).group("large"));
    queue.enqueue_many(large).await.unwrap();
    for group in 1..=9 {
        let jobs = (0..FEW / 9).map(|n| of(group, n).group(format!("small {group}")));
        queue.enqueue_many(jobs).await.unwrap();
    }
    let working = run(worker(&queue, &scene).concurrency(10));
    drained(&queue, size(120, 900) as u32 * SECOND).await;
    working.stop().await;
    let mut runs = scene.runs();
    runs.sort_by_key(|run| run.fence);
    let is_small = |run: &&Run| !run.id.starts_with("key-0.");
    let began = runs.iter().map(|run| run.began_ms).min().unwrap();
    let ended = runs.iter().filter(is_small).filter_map(|run| run.ended_ms);
    let place = runs.iter().rposition(|run| is_small(&run)).unwrap() + 1;
    (ended.max().unwrap() - began, place)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halted_order_shows_and_goes_on_when_its_dead_job_is_replayed() {
    let (_server, queue) = server_and_queue().await;
    let mut events = queue.events().await.unwrap();
    let scene = Scene::new();
    let order = Order::by("order 17").on_failure(OnFailure::Halt);
    let first = queue
        .enqueue(Work::Fail { times: 1 })
        .attempts(1)
        .ordered_by(order.clone());
    let first = first.await.unwrap();
    let second = queue.enqueue(Work::Quick).ordered_by(order).await.unwrap();
    let working = run(worker(&queue, &scene));
    eventually_async(20 * SECOND, async || {
        queue.counts().await.unwrap().dead == 1
    })
    .await;
    let info = queue.job(second.id()).await.unwrap().unwrap();
    assert_eq!(
        (info.state, info.order.as_deref()),
        (JobState::Blocked, Some("order 17"))
    );
    assert_eq!(queue.counts().await.unwrap().blocked, 1);
    // Its payload can be changed meanwhile, but not its priority: its order decides when it runs.
    let edited = queue
        .edit(second.id())
        .payload(&Work::Report)
        .await
        .unwrap();
    assert!(edited.is_done(), "{edited:?}");
    assert!(
        queue
            .edit(second.id())
            .priority(3)
            .await
            .unwrap_err()
            .is_invalid()
    );
    let halted = async {
        loop {
            if let EventKind::Halted(id) = events.next().await.unwrap().kind {
                return id;
            }
        }
    };
    let halted = tokio::time::timeout(5 * SECOND, halted).await.unwrap();
    assert_eq!(&halted, first.id());
    assert!(queue.remove(first.id()).await.unwrap().is_done());
    drained(&queue, 20 * SECOND).await;
    assert!(scene.runs_of(second.id())[0].is_ok());
    working.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_group_waits_and_others_go_on() {
    let (_server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let tenant = queue.group("tenant 7").unwrap();
    assert!(tenant.pause().await.unwrap().paused);
    let jobs = (0..5).map(|_| queue.enqueue(Work::Quick).group("tenant 7"));
    let theirs = queue.enqueue_many(jobs).await.unwrap();
    let other = queue.enqueue(Work::Quick).group("tenant 8").await.unwrap();
    let working = run(worker(&queue, &scene));
    eventually(10 * SECOND, || !scene.runs_of(other.id()).is_empty()).await;
    eventually_async(10 * SECOND, async || {
        queue.counts().await.unwrap().active == 0
    })
    .await;
    assert_eq!(tenant.info().await.unwrap().waiting, 5);
    assert!(theirs.iter().all(|job| scene.runs_of(job.id()).is_empty()));
    tenant.resume().await.unwrap();
    drained(&queue, 10 * SECOND).await;
    working.stop().await;
    let info = tenant.info().await.unwrap();
    assert_eq!((info.waiting, info.active, info.paused), (0, 0, false));
}

#[tokio::test]
async fn bad_keys_and_limits_are_refused_before_anything_is_written() {
    let (server, queue) = server_and_queue().await;
    let long = "x".repeat(513);
    for key in ["", &long] {
        for request in [
            queue.enqueue(Work::Quick).group(key),
            queue.enqueue(Work::Quick).ordered_by(key),
        ] {
            assert!(request.await.unwrap_err().is_invalid());
        }
        assert!(queue.group(key).unwrap_err().is_invalid());
    }
    let both = queue.enqueue(Work::Quick).group("a").ordered_by("b");
    let error = both.await.unwrap_err();
    assert!(
        error.is_invalid() && error.to_string().contains("not both"),
        "{error}"
    );
    let tenant = queue.group("a").unwrap();
    assert!(
        tenant
            .set_concurrency(Some(0))
            .await
            .unwrap_err()
            .is_invalid()
    );
    assert_eq!(server.ask::<u64>(&["DBSIZE"]), 0);
    let exact: Queue = queue.clone();
    exact
        .enqueue(Work::Quick)
        .group("x".repeat(512))
        .await
        .unwrap();
}
