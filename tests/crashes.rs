//! Worker processes that are killed, frozen, crashed by a job and replaced by a deploy: no job is
//! lost, none is blamed for another, and no zombie overwrites what its successor did.

mod support;

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::FutureExt;
use oxcart::{DeadReason, Ended, JobState, Queue, QueueSettings};
use support::jobs::{Run, Scene, Work};
use support::workers::{
    WORKER_THREADS, WorkerProcess, bystander, drained, looked_after, queue_at, run, run_as_process,
    server_and_queue, watched, worker,
};
use support::{Process, eventually, eventually_async, ids};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn worker_process() {
    run_as_process();
}

fn pids(runs: &[Run]) -> HashSet<u32> {
    runs.iter().map(|run| run.pid).collect()
}

/// Waits until a process has begun a job.
async fn at_work(scene: &Scene, process: &Process) {
    let pid = process.id();
    eventually(20 * SECOND, || pids(&scene.runs()).contains(&pid)).await;
}

/// Kills `kills` of the workers, one after the other, each once it has begun a job, and replaces
/// each. Answers the pids of the killed.
async fn kill_and_replace(
    workers: &mut Vec<Process>,
    kills: usize,
    scene: &Scene,
    settings: &WorkerProcess,
) -> HashSet<u32> {
    let mut killed = HashSet::new();
    for _ in 0..kills {
        let mut victim = workers.remove(0);
        at_work(scene, &victim).await;
        victim.kill();
        killed.insert(victim.id());
        workers.push(settings.spawn(scene));
    }
    killed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_no_job_is_lost_when_workers_are_killed_again_and_again() {
    const BACKLOG: usize = 20_000;
    const KILLS: usize = 12;
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let settings = WorkerProcess {
        concurrency: 40,
        // Longer than a process may stand still on a busy machine: only the killed lose jobs.
        lease: 6 * SECOND,
        max_stalls: 50,
        ..WorkerProcess::of(&server)
    };
    let job = Work::sleep(Duration::from_millis(10));
    let handles = queue
        .enqueue_many(vec![job.clone(); BACKLOG])
        .await
        .unwrap();
    let mut workers: Vec<Process> = (0..3).map(|_| settings.spawn(&scene)).collect();
    let mut killed = HashSet::new();
    let mut jobs = fed(&queue, &job, async {
        killed = kill_and_replace(&mut workers, KILLS, &scene, &settings).await;
    })
    .await;
    jobs.extend(handles.iter().map(|handle| handle.id().to_string()));
    let counts = drained(&queue, 60 * SECOND).await;

    assert_eq!(counts.totals.completed, jobs.len() as u64);
    assert_eq!(counts.dead, 0);
    let by_job = scene.runs_by_job();
    for id in &jobs {
        let runs = &by_job[id];
        assert_eq!(runs.last().unwrap().how, "ok", "{runs:?}");
    }
    assert_runs_repeated_only_where_killed(&by_job, &killed, &settings);
}

/// A job runs again only if its process was killed, and each time with a larger fence; and a
/// kill repeats no more jobs than the process held.
fn assert_runs_repeated_only_where_killed(
    by_job: &HashMap<String, Vec<Run>>,
    killed: &HashSet<u32>,
    settings: &WorkerProcess,
) {
    let mut repeated: HashMap<u32, usize> = HashMap::new();
    for runs in by_job.values() {
        for pair in runs.windows(2) {
            assert!(pair[0].fence < pair[1].fence, "{pair:?}");
            assert!(killed.contains(&pair[0].pid), "nobody killed it: {pair:?}");
            *repeated.entry(pair[0].pid).or_default() += 1;
        }
    }
    assert!(!repeated.is_empty(), "no kill hit a running job");
    // Running, and ended but not stored yet: each at most the concurrency.
    let most = 2 * settings.concurrency;
    assert!(
        repeated.values().all(|jobs| *jobs <= most),
        "more than {most} were in flight: {repeated:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_the_jobs_of_a_killed_worker_run_again_within_its_lease_and_5_s() {
    const LEASE: Duration = SECOND;
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let settings = WorkerProcess {
        lease: LEASE,
        ..WorkerProcess::of(&server)
    };
    let mut doomed = settings.spawn(&scene);
    let handle = queue
        .enqueue(Work::Zombie { reports: false })
        .await
        .unwrap();
    at_work(&scene, &doomed).await;
    // The living worker is there when the other dies, and has been for a while.
    let living = run(worker(&queue, &scene).lease(LEASE));
    tokio::time::sleep(5 * SECOND).await;

    let died = Instant::now();
    doomed.kill();
    eventually(20 * SECOND, || scene.runs_of(handle.id()).len() == 2).await;
    let took = died.elapsed();
    assert!(took <= LEASE + 5 * SECOND, "{took:?}");
    let info = handle.info().await.unwrap().unwrap();
    assert_eq!((info.stalls, info.failed), (1, 0));
    living.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g6_a_job_that_kills_workers_is_poisoned_and_its_batch_mates_are_not() {
    const INNOCENT: usize = 49;
    const MAX_STALLS: u32 = 2;
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let bystander = bystander(&queue, &scene, MAX_STALLS).await;
    // None of them is done when it strikes.
    let mut jobs = vec![Work::Perish { later_ms: 150 }; INNOCENT];
    jobs.insert(INNOCENT / 2, Work::Abort { after_ms: 50 });
    let handles = queue.enqueue_many(jobs).await.unwrap();
    let poison = handles[INNOCENT / 2].id();

    let settings = WorkerProcess {
        concurrency: 50,
        // Longer than a process may stand still on a busy machine: only the crashes count.
        lease: 3 * SECOND,
        max_stalls: MAX_STALLS,
        ..WorkerProcess::of(&server)
    };
    let mut process = settings.spawn(&scene);
    let mut deaths = 0;
    eventually_async(60 * SECOND, async || {
        if !process.is_running() {
            deaths += 1;
            process = settings.spawn(&scene);
        }
        let counts = queue.counts().await.unwrap();
        counts.totals.completed == INNOCENT as u64 && counts.dead == 1
    })
    .await;

    assert_eq!(
        deaths,
        MAX_STALLS + 1,
        "so often it stalls before it is dead"
    );
    let dead = ids(&queue, JobState::Dead).await;
    assert_eq!(dead, std::slice::from_ref(poison));
    let info = queue.job(poison).await.unwrap().unwrap();
    assert_eq!(info.ended, Some(Ended::Dead(DeadReason::Poisoned)));
    assert_eq!((info.stalls, info.failed), (MAX_STALLS + 1, 0));
    for handle in handles.iter().filter(|handle| handle.id() != poison) {
        let info = handle.info().await.unwrap().unwrap();
        assert_eq!(info.ended, Some(Ended::Completed));
        assert_eq!(info.stalls, 1, "only the first crash was theirs, too");
    }
    assert_suspects_ran_alone(&scene, poison.as_str());
    scene.release(1);
    bystander.stop().await;
}

/// After the first crash every job is a suspect, and no process runs two of these at once.
fn assert_suspects_ran_alone(scene: &Scene, poison: &str) {
    let runs = scene.runs();
    let first_crash = runs.iter().find(|run| run.id == poison).unwrap().pid;
    let mut busy_until: HashMap<u32, u64> = HashMap::new();
    let bystander = std::process::id();
    for run in &runs {
        if run.pid == first_crash || run.pid == bystander {
            continue;
        }
        let until = busy_until.entry(run.pid).or_default();
        assert!(*until <= run.began_ms, "another one runs beside {run:?}");
        *until = run.ended_ms.unwrap_or(u64::MAX);
    }
    assert!(!busy_until.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_frozen_worker_that_wakes_up_overwrites_nothing() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let mut zombie = WorkerProcess::of(&server).spawn(&scene);
    let handle = queue
        .enqueue(Work::Zombie { reports: false })
        .await
        .unwrap();
    at_work(&scene, &zombie).await;
    zombie.pause();
    let living = run(worker(&queue, &scene));
    let done = handle.result().within(20 * SECOND).await.unwrap();
    assert_eq!(done.pid, std::process::id());

    zombie.resume();
    eventually_async(10 * SECOND, async || {
        queue.counts().await.unwrap().totals.refused > 0
    })
    .await;

    let runs = scene.runs_of(handle.id());
    assert_eq!(runs.len(), 2);
    assert!(runs[0].fence < runs[1].fence);
    assert_eq!(runs[1].fence, done.fence);
    assert_eq!(scene.notes(), [format!("cancelled {}", runs[0].fence)]);
    assert_eq!(
        handle.result().await.unwrap(),
        done,
        "the result of the second run stays"
    );
    let info = handle.info().await.unwrap().unwrap();
    assert_eq!(
        (info.state, info.stalls, info.failed),
        (JobState::Completed, 1, 0)
    );
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.totals.completed, counts.totals.stalled), (1, 1));
    living.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_frozen_worker_that_wakes_up_begins_nothing_it_does_not_hold() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let settings = WorkerProcess {
        concurrency: 40,
        max_stalls: 50,
        ..WorkerProcess::of(&server)
    };
    let mut frozen = [(); 3].map(|()| settings.spawn(&scene));
    let all_at_work = async {
        for process in &frozen {
            at_work(&scene, process).await;
        }
    };
    fed(&queue, &Work::Quick, all_at_work).await;
    // So busy with claims that some are under way when the processes are frozen. Mostly, but not
    // always: then once more.
    for round in 1.. {
        let before = scene.runs().len();
        let busy = eventually(30 * SECOND, || scene.runs().len() > before + 300);
        fed(&queue, &Work::Quick, busy).await;
        queue.enqueue_many(vec![Work::Quick; 1_000]).await.unwrap();
        frozen.iter_mut().for_each(Process::pause);
        // What was on its way to Redis when they were frozen is still carried out.
        tokio::time::sleep(SECOND / 10).await;
        if queue.counts().await.unwrap().active > 0 {
            break;
        }
        assert!(round < 50, "nothing is ever under way");
        frozen.iter_mut().for_each(Process::resume);
    }
    let living = run(worker(&queue, &scene)
        .concurrency(40)
        .queue_settings(QueueSettings::new().max_stalls(50)));
    let counts = drained(&queue, 60 * SECOND).await;
    assert!(counts.totals.stalled > 0, "nothing was taken over");
    living.stop().await;
    let runs_before = scene.runs().len();

    frozen.iter_mut().for_each(Process::resume);
    let all_awake = || pids(&scene.runs()[runs_before..]).len() == frozen.len();
    let awake = eventually(30 * SECOND, all_awake);
    let slow = Work::sleep(SECOND / 20);
    let news = fed(&queue, &slow, awake).await;
    drained(&queue, 60 * SECOND).await;
    let begun = &scene.runs()[runs_before..];
    let old: Vec<&Run> = begun.iter().filter(|run| !news.contains(&run.id)).collect();
    // A thread can be frozen after it has looked at the lease and before the handler notes that
    // it begins: one job each. What had been claimed and not looked at must not begin.
    for process in &frozen {
        let its = old.iter().filter(|run| run.pid == process.id());
        let its: Vec<_> = its.collect();
        assert!(
            its.len() <= WORKER_THREADS,
            "begun when it was over: {its:?}"
        );
    }
}

/// Sees to it that there is always work in line until `done`; answers the ids of all of it.
async fn fed(queue: &Queue, job: &Work, done: impl Future<Output = ()>) -> HashSet<String> {
    let mut ids = HashSet::new();
    let mut done = pin!(done.fuse());
    // Between two requests, never within one: what it enqueues is known.
    while (&mut done).now_or_never().is_none() {
        if queue.counts().await.unwrap().waiting < 1_000 {
            let more = queue.enqueue_many(vec![job.clone(); 500]).await.unwrap();
            ids.extend(more.iter().map(|handle| handle.id().to_string()));
        }
        tokio::time::sleep(SECOND / 100).await;
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_progress_and_success_of_a_stale_attempt_are_refused_and_reported() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    // A lease is extended for the first time after 10 s, which is after the next round of recovery.
    let (builder, events) = watched(worker(&queue, &scene).lease(30 * SECOND));
    let worker = run(builder);
    // In the first rounds no lease is judged, and all leases are renewed.
    looked_after(&server).await;
    let handle = queue.enqueue(Work::Zombie { reports: true }).await.unwrap();
    eventually(5 * SECOND, || scene.runs_of(handle.id()).len() == 1).await;
    // The lease runs out early, for Redis only.
    server.cli(&["ZADD", "oxcart:{work}:active", "1", handle.id().as_str()]);
    let done = handle.result().within(20 * SECOND).await.unwrap();
    eventually(20 * SECOND, || !events.lost_leases().is_empty()).await;

    let runs = scene.runs_of(handle.id());
    let (stale, fresh) = (runs[0].fence, runs[1].fence);
    assert!(stale < fresh);
    assert_eq!(done.fence, fresh);
    let notes = [
        format!("cancelled {stale}"),
        format!("progress LeaseLost {stale}"),
    ];
    assert_eq!(scene.notes(), notes);
    assert_eq!(events.lost_leases(), [(handle.id().clone(), stale)]);
    let info = handle.info().await.unwrap().unwrap();
    assert_eq!(info.progress::<String>().unwrap(), None);
    let totals = queue.counts().await.unwrap().totals;
    assert_eq!((totals.refused, totals.completed), (2, 1));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_handlers_that_block_the_runtime_keep_their_leases() {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let bystander = bystander(&queue, &scene, 3).await;
    // A runtime of a single thread, on which nothing else happens while a handler blocks it.
    let url = server.url();
    let of_thread = scene.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let blocking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let queue = queue_at(&url).await;
            let blocked = run(worker(&queue, &of_thread).lease(3 * SECOND));
            let _ = stopped.await;
            blocked.stop().await;
        });
    });
    let handles = queue
        .enqueue_many([Work::Block { ms: 7_000 }, Work::sleep(SECOND / 2)])
        .await
        .unwrap();
    let all_done = async || queue.counts().await.unwrap().totals.completed == 2;
    eventually_async(30 * SECOND, all_done).await;
    let totals = queue.counts().await.unwrap().totals;
    assert_eq!((totals.stalled, totals.refused), (0, 0));
    for handle in &handles {
        assert_eq!(scene.runs_of(handle.id()).len(), 1);
    }
    stop.send(()).unwrap();
    tokio::task::block_in_place(|| blocking.join().unwrap());
    scene.release(1);
    bystander.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_a_rolling_restart_loses_nothing_and_repeats_nothing() {
    const BACKLOG: usize = 4_000;
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let settings = WorkerProcess {
        concurrency: 40,
        // No process is killed, and none may lose a job.
        lease: 30 * SECOND,
        ..WorkerProcess::of(&server)
    };
    let jobs = (0..BACKLOG).map(|n| Work::sleep(Duration::from_millis(10 + n as u64 % 40)));
    queue.enqueue_many(jobs).await.unwrap();
    let mut workers: Vec<Process> = (0..2).map(|_| settings.spawn(&scene)).collect();
    let restarts = async {
        for _ in 0..5 {
            let mut old = workers.remove(0);
            workers.push(settings.spawn(&scene));
            // It listens to SIGTERM by the time it has begun a job.
            at_work(&scene, &old).await;
            old.terminate();
            let status = old.wait(20 * SECOND);
            assert!(status.success(), "{status}");
        }
    };
    let more = fed(&queue, &Work::sleep(SECOND / 40), restarts).await;
    let jobs = BACKLOG + more.len();
    let counts = drained(&queue, 60 * SECOND).await;

    assert_eq!(counts.totals.completed, jobs as u64);
    assert_eq!(
        (counts.totals.stalled, counts.totals.refused, counts.dead),
        (0, 0, 0)
    );
    let runs = scene.runs();
    assert_eq!(runs.len(), jobs, "each ran once");
    assert!(runs.iter().all(|run| run.how == "ok"));
    assert!(pids(&runs).len() >= 6, "every process took its part");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g4_a_second_signal_ends_the_grace_period_at_once() {
    const GRACE: Duration = Duration::from_secs(600);
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let settings = WorkerProcess {
        grace: GRACE,
        ..WorkerProcess::of(&server)
    };
    queue.enqueue(Work::sleep(GRACE)).await.unwrap();
    let mut worker = settings.spawn(&scene);
    at_work(&scene, &worker).await;
    worker.terminate();
    // Two signals that come at once are one. The first has arrived when nothing more is claimed.
    let stops = async || {
        queue.enqueue(Work::Quick).await.unwrap();
        tokio::time::sleep(SECOND).await;
        queue.counts().await.unwrap().waiting > 0
    };
    eventually_async(30 * SECOND, stops).await;
    assert!(worker.is_running() && queue.counts().await.unwrap().active == 1);
    worker.terminate();
    let status = worker.wait(30 * SECOND);
    assert!(status.success(), "{status}");
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.active, counts.delayed, counts.dead), (0, 0, 0));
    assert_eq!((counts.totals.stalled, counts.totals.retried), (0, 0));
}
