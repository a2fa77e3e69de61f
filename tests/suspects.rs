//! Suspects, jobs whose worker died while they ran, among each other: the innocent are soon done, and
//! the poisonous make no other job dead.

mod support;

use std::time::{Duration, Instant};

use oxcart::{DeadReason, Ended, JobState};
use support::jobs::{Run, Scene, Work};
use support::workers::{WorkerProcess, bystander, run_as_process, server_and_queue};
use support::{eventually, eventually_async};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn worker_process() {
    run_as_process();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g6_the_innocent_of_a_crash_do_not_wait_for_each_other() {
    const INNOCENT: usize = 20;
    const LEASE: Duration = SECOND;
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let bystander = bystander(&queue, &scene, 3).await;
    let settings = WorkerProcess {
        concurrency: INNOCENT,
        lease: LEASE,
        ..WorkerProcess::of(&server)
    };
    let mut doomed = settings.spawn(&scene);
    let jobs = vec![Work::Perish { later_ms: 1_000 }; INNOCENT];
    queue.enqueue_many(jobs).await.unwrap();
    let of = |pid| scene.runs().iter().filter(|run| run.pid == pid).count();
    eventually(20 * SECOND, || of(doomed.id()) == INNOCENT).await;
    doomed.kill();
    eventually_async(20 * SECOND, async || {
        queue.counts().await.unwrap().totals.stalled == INNOCENT as u64
    })
    .await;
    let stalled = Instant::now();
    let heir = settings.spawn(&scene);
    eventually_async(30 * SECOND, async || {
        queue.counts().await.unwrap().totals.completed == INNOCENT as u64
    })
    .await;
    // One after the other they take 20 s. A process of its own takes a while to start.
    let took = stalled.elapsed();
    println!("{INNOCENT} jobs of 1 s each after {took:?}");
    assert!(took < 12 * SECOND, "{took:?}");
    // The first group is small: what kills workers would show.
    let runs = scene.runs();
    let again: Vec<&Run> = runs.iter().filter(|run| run.pid == heir.id()).collect();
    let first_end = again.iter().filter_map(|run| run.ended_ms).min().unwrap();
    let first_group = again.iter().filter(|run| run.began_ms < first_end).count();
    assert!((2..=INNOCENT / 2).contains(&first_group), "{first_group}");
    scene.release(1);
    bystander.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g6_several_poisonous_jobs_that_crash_together_take_nobody_with_them() {
    const INNOCENT: usize = 30;
    const POISONOUS: usize = 2;
    for max_stalls in [1, 4] {
        let (server, queue) = server_and_queue().await;
        let scene = Scene::new();
        let bystander = bystander(&queue, &scene, max_stalls).await;
        let mut jobs = vec![Work::Perish { later_ms: 100 }; INNOCENT];
        for n in 0..POISONOUS {
            jobs.insert(n * 11 + 5, Work::Abort { after_ms: 60 });
        }
        queue.enqueue_many(jobs).await.unwrap();
        let settings = WorkerProcess {
            concurrency: INNOCENT + POISONOUS,
            lease: 3 * SECOND,
            max_stalls,
            ..WorkerProcess::of(&server)
        };
        let mut process = settings.spawn(&scene);
        let mut deaths = 0;
        eventually_async(110 * SECOND, async || {
            if !process.is_running() {
                deaths += 1;
                process = settings.spawn(&scene);
            }
            let counts = queue.counts().await.unwrap();
            counts.totals.completed + counts.dead == (INNOCENT + POISONOUS) as u64
        })
        .await;
        let counts = queue.counts().await.unwrap();
        assert_eq!(
            (counts.totals.completed, counts.dead),
            (INNOCENT as u64, POISONOUS as u64)
        );
        for info in queue.jobs(JobState::Dead).await.unwrap().jobs {
            let id = &info.id;
            assert_eq!(info.ended, Some(Ended::Dead(DeadReason::Poisoned)));
            assert_eq!(info.stalls, max_stalls + 1);
            assert_eq!(scene.runs_of(id).len() as u32, max_stalls + 1);
        }
        println!("{deaths} deaths with max_stalls of {max_stalls}");
        scene.release(1);
        bystander.stop().await;
    }
}
