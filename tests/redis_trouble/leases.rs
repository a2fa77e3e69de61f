//! Leases that run out although no worker died: Redis refuses writes, its clock jumps, or it is far away.
//! No job is blamed for that, and none is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use oxcart::Queue;

use crate::support::jobs::{Scene, Work};
use crate::support::workers::{drained, looked_after, queue_at, run, server_and_queue, worker};
use crate::support::{Proxy, Server, eventually};

const SECOND: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(2);
const JOBS: usize = 50;

/// No job of a living worker was taken for a job of a dead worker.
async fn assert_none_stalled(queue: &Queue, scene: &Scene, jobs: usize) {
    let counts = drained(queue, 60 * SECOND).await;
    assert_eq!(counts.totals.completed, jobs as u64);
    assert_eq!((counts.totals.stalled, counts.dead), (0, 0));
    for runs in scene.runs_by_job().values() {
        assert!(
            runs.windows(2).all(|pair| pair[0].fence < pair[1].fence),
            "{runs:?}"
        );
    }
}

/// A Redis that refuses writes for longer than a lease; `others` look on, and have nothing to say
/// meanwhile.
async fn survive_refusals(outage: Duration, others: usize) {
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let busy = run(worker(&queue, &scene).concurrency(JOBS).lease(LEASE));
    let others: Vec<_> = (0..others)
        .map(|_| run(worker(&queue, &scene).concurrency(1).lease(LEASE)))
        .collect();
    looked_after(&server).await;
    queue.enqueue_many(vec![Work::Hold; JOBS]).await.unwrap();
    eventually(10 * SECOND, || scene.running().len() == JOBS).await;
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    tokio::time::sleep(outage).await;
    server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    scene.release(2 * JOBS);
    assert_none_stalled(&queue, &scene, JOBS).await;
    busy.stop().await;
    for other in others {
        other.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g6_g9_a_redis_that_refuses_writes_for_twice_a_lease_makes_no_suspects() {
    survive_refusals(2 * LEASE, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g6_g9_a_redis_that_refuses_writes_for_many_leases_makes_no_suspects() {
    survive_refusals(6 * LEASE, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g6_g9_thousands_of_leases_are_kept_over_a_long_way() {
    // Each reply comes 40 ms later, as with 20 ms each way.
    keep_far(5_000, SECOND, Duration::from_millis(40)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g6_g9_ten_thousand_leases_are_kept_over_a_very_long_way() {
    keep_far(10_000, 5 * SECOND, Duration::from_millis(200)).await;
}

/// As many as one call renews at most.
const LEASES_OF_A_CALL: usize = 256;

/// For how long the system let this process wait, because other programs had the processors.
#[derive(Default)]
struct Pauses {
    longest_ms: AtomicU64,
    all_ms: AtomicU64,
}

impl Pauses {
    /// Watches until it is dropped.
    fn watch() -> Arc<Self> {
        const STEP: Duration = Duration::from_millis(10);
        let pauses = Arc::<Self>::default();
        let kept = Arc::downgrade(&pauses);
        std::thread::spawn(move || {
            let mut last = Instant::now();
            while let Some(pauses) = kept.upgrade() {
                std::thread::sleep(STEP);
                let pause = last.elapsed().saturating_sub(STEP).as_millis() as u64;
                pauses.longest_ms.fetch_max(pause, Ordering::Relaxed);
                pauses.all_ms.fetch_add(pause, Ordering::Relaxed);
                last = Instant::now();
            }
        });
        pauses
    }

    fn longest(&self) -> Duration {
        Duration::from_millis(self.longest_ms.load(Ordering::Relaxed))
    }

    fn all(&self) -> Duration {
        Duration::from_millis(self.all_ms.load(Ordering::Relaxed))
    }
}

/// As many jobs at once as there are, each for longer than its lease.
async fn keep_far(jobs: usize, lease: Duration, way: Duration) {
    let (server, direct) = server_and_queue().await;
    let proxy = Proxy::start(server.tcp_addr());
    proxy.delay(way);
    let queue = queue_at(&proxy.url()).await;
    let scene = Scene::new();
    direct
        .enqueue_many(vec![Work::sleep(2 * lease); jobs])
        .await
        .unwrap();
    let began = Instant::now();
    let pauses = Pauses::watch();
    let worker = run(worker(&queue, &scene).concurrency(jobs).lease(lease));
    let counts = drained(&direct, 120 * SECOND).await;
    let (took, runs) = (began.elapsed(), scene.runs().len());
    let (pause, in_all) = (pauses.longest(), pauses.all());
    println!(
        "{runs} begun, {} ended in {took:?}; the process stood still for {pause:?} at most, {in_all:?} in all",
        counts.totals.completed
    );
    assert_eq!(counts.totals.completed, jobs as u64);
    assert_eq!(counts.dead, 0);
    // Each once. On a busy machine one of the calls that renew leases may come too late; and while the
    // process stands still, none is sent.
    let was_starved = pause >= lease / 4 || in_all >= took / 4;
    let again = match was_starved {
        true => jobs,
        false => LEASES_OF_A_CALL,
    };
    assert!(runs <= jobs + again, "{runs} runs of {jobs} jobs");
    worker.stop().await;
}

#[cfg(target_os = "linux")]
mod clock {
    use super::*;
    use crate::support::{SteppedClock, eventually_async};

    struct Stage {
        clock: SteppedClock,
        server: Server,
        queue: Queue,
        scene: Scene,
    }

    async fn stage() -> Stage {
        let clock = SteppedClock::new();
        let server = clock.options().start();
        let queue = queue_at(&server.url()).await;
        Stage {
            clock,
            server,
            queue,
            scene: Scene::new(),
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn g6_g9_many_small_steps_of_the_servers_clock_make_no_suspects() {
        let stage = stage().await;
        let (queue, scene) = (&stage.queue, &stage.scene);
        let workers = [(); 2].map(|()| run(worker(queue, scene).concurrency(10).lease(SECOND)));
        looked_after(&stage.server).await;
        queue.enqueue_many(vec![Work::Hold; 20]).await.unwrap();
        eventually(10 * SECOND, || scene.running().len() == 20).await;
        for _ in 0..10 {
            stage.clock.step(900);
            tokio::time::sleep(SECOND / 2).await;
        }
        // And while no worker judges for that reason.
        for _ in 0..5 {
            stage.clock.step(900);
            tokio::time::sleep(3 * SECOND).await;
        }
        scene.release(60);
        assert_none_stalled(queue, scene, 20).await;
        for worker in workers {
            worker.stop().await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn g6_g9_a_new_worker_does_not_take_the_living_for_dead_when_the_clock_jumps_ahead() {
        let stage = stage().await;
        let (queue, scene) = (&stage.queue, &stage.scene);
        // It renews every 10 s, and looks every 3 s.
        let old = run(worker(queue, scene).concurrency(20).lease(30 * SECOND));
        looked_after(&stage.server).await;
        queue.enqueue_many(vec![Work::Hold; 20]).await.unwrap();
        eventually(10 * SECOND, || scene.running().len() == 20).await;
        stage.clock.step(2 * 86_400_000);
        let new = run(worker(queue, scene).concurrency(20).lease(SECOND));
        tokio::time::sleep(15 * SECOND).await;
        scene.release(60);
        assert_none_stalled(queue, scene, 20).await;
        assert_eq!(scene.runs().len(), 20);
        old.stop().await;
        new.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn g6_g9_the_job_of_a_dead_worker_is_taken_back_though_the_clock_steps_back() {
        const HOUR_MS: i64 = 3_600_000;
        let stage = stage().await;
        let (queue, scene) = (&stage.queue, &stage.scene);
        let doomed = run(worker(queue, scene).concurrency(1).lease(SECOND));
        let zombie = Work::Zombie { reports: false };
        let handle = queue.enqueue(zombie).await.unwrap();
        eventually(20 * SECOND, || !scene.runs_of(handle.id()).is_empty()).await;
        let living = run(worker(queue, scene).lease(SECOND));
        looked_after(&stage.server).await;
        doomed.crash().await;
        stage.clock.step(-HOUR_MS);
        let died = Instant::now();
        eventually_async(30 * SECOND, async || scene.runs_of(handle.id()).len() == 2).await;
        let took = died.elapsed();
        println!("taken back after {took:?}");
        // A quiet period comes on top.
        assert!(took <= SECOND + 10 * SECOND, "{took:?}");
        let info = handle.info().await.unwrap().unwrap();
        assert_eq!((info.stalls, info.failed), (1, 0));
        living.stop().await;
    }
}
