//! Many processes, many schedules, and workers that are killed: every tick fires exactly once.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use oxcart::{Queue, Retention, Scheduled, Timestamp};

use crate::support::jobs::{Run, Scene, Work};
use crate::support::workers::{WorkerProcess, drained, queue_at, server_and_queue};
use crate::support::{Process, child_of_test, eventually_async, spawn_self};

const SECOND: Duration = Duration::from_secs(1);
const PROCESSES: usize = 8;
/// Ticks before it ends; more with this variable.
const TICKS: u64 = 10_000;
const TICKS_VARIABLE: &str = "OXCART_SWARM_TICKS";

/// The name of each schedule, and its interval in milliseconds.
async fn define_fifty(queue: &Queue) -> BTreeMap<String, (u64, u64)> {
    let mut all = BTreeMap::new();
    for n in 0..50 {
        let name = format!("s{n}");
        // Nothing is kept of a job that is done: only the schedule can know that it was made.
        let request = queue.enqueue(Work::Quick).keep(Retention::Nothing);
        let (schedule, step) = match n % 5 {
            0 => (
                queue
                    .schedule(&name)
                    .cron("* * * * * *")
                    .timezone("Asia/Kolkata"),
                1_000,
            ),
            1 => (queue.schedule(&name).every(SECOND / 5), 200),
            _ => {
                let every = queue.schedule(&name).every(SECOND / 10);
                (every.offset(Duration::from_millis(n)), 100)
            }
        };
        assert_eq!(schedule.job(request).await.unwrap(), Scheduled::Created);
        let info = queue.schedule(&name).info().await.unwrap().unwrap();
        all.insert(name, (info.next_tick.unwrap().as_millis(), step));
    }
    all
}

async fn fired(queue: &Queue) -> u64 {
    let all = queue.schedules().await.unwrap();
    assert_eq!(all.len(), 50);
    all.iter().map(|info| info.fired).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_every_tick_of_fifty_schedules_fires_exactly_once_under_random_kills() {
    let wanted = std::env::var(TICKS_VARIABLE);
    let wanted = wanted.map_or(TICKS, |number| number.parse().expect("a number"));
    let (server, queue) = server_and_queue().await;
    let scene = Scene::new();
    let settings = WorkerProcess {
        // Longer than a process may stand still on a busy machine: only the killed lose jobs.
        lease: 6 * SECOND,
        max_stalls: 50,
        ..WorkerProcess::of(&server)
    };
    let expected = define_fifty(&queue).await;
    let mut workers: Vec<Process> = (0..PROCESSES).map(|_| settings.spawn(&scene)).collect();
    let mut killed = HashSet::new();
    let limit = Instant::now() + SECOND * u32::try_from(20 + wanted / 50).unwrap();
    while fired(&queue).await < wanted {
        assert!(Instant::now() < limit, "{} ticks", fired(&queue).await);
        tokio::time::sleep(SECOND.mul_f64(0.3 + fastrand::f64())).await;
        let mut victim = workers.swap_remove(fastrand::usize(..workers.len()));
        victim.kill();
        killed.insert(victim.id());
        workers.push(settings.spawn(&scene));
    }
    for name in expected.keys() {
        queue.schedule(name).pause().await.unwrap();
    }
    drained(&queue, 60 * SECOND).await;
    let runs = scene.runs_by_job();
    let mut ticks = 0;
    for info in queue.schedules().await.unwrap() {
        let (first, step) = expected[&info.name];
        let (last, _) = info.last_tick.unwrap();
        let due: BTreeSet<String> = (first..=last.as_millis())
            .step_by(usize::try_from(step).unwrap())
            .map(|tick| format!("{}@{tick}", info.name))
            .collect();
        let prefix = format!("{}@", info.name);
        let ran = runs.keys().filter(|id| id.starts_with(&prefix));
        assert_eq!(ran.cloned().collect::<BTreeSet<_>>(), due, "{}", info.name);
        assert_eq!(
            (info.fired, info.missed, info.overlapped),
            (due.len() as u64, 0, 0)
        );
        ticks += info.fired;
    }
    for (id, runs) in &runs {
        assert_once(id, runs, &killed);
    }
    assert!(ticks >= wanted && killed.len() > 5, "{ticks} ticks");
    println!("{ticks} ticks, {} workers killed", killed.len());
}

/// The job ran, not before its tick, and again only where its process was killed.
fn assert_once(id: &str, runs: &[Run], killed: &HashSet<u32>) {
    let tick: u64 = id.rsplit_once('@').unwrap().1.parse().unwrap();
    assert!(
        runs.iter().all(|run| run.began_ms >= tick),
        "early: {runs:?}"
    );
    assert_eq!(runs.last().unwrap().how, "ok", "{runs:?}");
    for pair in runs.windows(2) {
        assert!(killed.contains(&pair[0].pid), "fired twice: {pair:?}");
    }
}

const UPSERTS: usize = 1_000;

#[test]
fn upserting_process() {
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let queue = queue_at(&std::env::var("WORK_URL").unwrap()).await;
        for _ in 0..UPSERTS {
            nightly(&queue).await;
        }
    });
}

async fn nightly(queue: &Queue) -> Scheduled {
    let nightly = queue.schedule("nightly").cron("0 0 3 * * *");
    let zoned = nightly.timezone("America/New_York");
    zoned.job(Work::carry(3_000)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_the_same_schedule_from_many_processes_is_one_with_one_next_tick() {
    let (server, queue) = server_and_queue().await;
    let url = server.url();
    let spawn = |_| spawn_self("swarm::upserting_process", &[("WORK_URL", &url)]);
    let mut processes: Vec<Process> = (0..PROCESSES).map(spawn).collect();
    let mut ticks: BTreeSet<Timestamp> = BTreeSet::new();
    let next = async || {
        let all = queue.schedules().await.unwrap();
        all.first().and_then(|info| info.next_tick)
    };
    eventually_async(20 * SECOND, async || next().await.is_some()).await;
    for process in &mut processes {
        assert!(process.wait(60 * SECOND).success());
        ticks.extend(next().await);
    }
    assert_eq!(ticks.len(), 1, "the next tick moved: {ticks:?}");
    assert_eq!(queue.schedules().await.unwrap().len(), 1);
    assert_eq!(server.ask::<u64>(&["ZCARD", "oxcart:{work}:ticks"]), 1);
    assert_eq!(nightly(&queue).await, Scheduled::Unchanged);
    // Written once: the revision counts changes.
    let revision: u64 = server.ask(&["HGET", "oxcart:{work}:meta", "revision"]);
    assert_eq!(revision, 1);
}
