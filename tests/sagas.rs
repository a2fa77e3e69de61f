//! Sagas whose processes are aborted at each of their steps and undos: each ends completed or compensated, and a ledger outside of Redis
//! says that each effect was kept or undone, and that nothing that was stored ran again.
//!
//! `SAGAS=full cargo test --release --test sagas -- --nocapture` has each point 200 times.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use oxcart::{
    Backoff, Context, Ended, Failure, Job, JobId, Queue, QueueSettings, Saga, State, Worker,
    WorkerBuilder,
};
use serde::{Deserialize, Serialize};
use support::workers::{drained, queue_at, run};
use support::{Ledger, Process, Proxy, Server, child_of_test, eventually, spawn_self};

const SECOND: Duration = Duration::from_secs(1);
const STEPS: [&str; 4] = ["reserve", "pay", "label", "ship"];

/// How often each point is tried.
fn times() -> usize {
    match std::env::var("SAGAS").as_deref() {
        Ok("full") => 200,
        _ => 2,
    }
}

/// Where a process is aborted, the first time that a saga gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Point {
    BeforeEffect(usize),
    AfterEffect(usize),
    AfterStep(usize),
    BeforeUndo(usize),
    AfterUndo(usize),
}

/// A saga of four steps, the last of which cannot be undone.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Fulfil {
    aborts_at: Option<Point>,
    /// The step that fails for good.
    fails_at: Option<usize>,
    /// How often each undo fails before it succeeds.
    undo_fails: u32,
}

impl Job for Fulfil {
    const NAME: &'static str = "fulfil";
    type Output = u64;
}

/// The world outside: what took effect, and what was undone. A folder with a ledger for each saga.
#[derive(Clone)]
struct World(Arc<Path>);

impl World {
    fn ledger(&self, id: &str) -> Ledger {
        Ledger::open(self.0.join(id))
    }

    fn note(&self, id: &JobId, what: &str, step: usize) {
        self.ledger(id.as_str()).record(&format!("{what} {step}"));
    }

    fn count(&self, id: &JobId, what: &str, step: usize) -> usize {
        let line = format!("{what} {step}");
        let lines = self.ledger(id.as_str()).lines();
        lines.iter().filter(|known| **known == line).count()
    }

    fn ids(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.0).unwrap();
        let name = |file: std::fs::DirEntry| file.file_name().into_string().unwrap();
        files.map(|file| name(file.unwrap())).collect()
    }

    /// How many sagas have done anything.
    fn len(&self) -> usize {
        self.ids().len()
    }

    /// Takes the process down if this is where this saga asks for it, and did not yet.
    fn abort_at(&self, id: &JobId, asked: Option<Point>, here: Point) {
        if asked == Some(here) && self.count(id, "aborted", 0) == 0 {
            self.note(id, "aborted", 0);
            std::process::abort();
        }
    }

    async fn take_effect(&self, id: &JobId, job: &Fulfil, step: usize) -> Result<Receipt, Failure> {
        if job.fails_at == Some(step) {
            return Err(Failure::dead(format!("{} is impossible", STEPS[step])));
        }
        self.abort_at(id, job.aborts_at, Point::BeforeEffect(step));
        self.note(id, "effect", step);
        tokio::task::yield_now().await;
        self.abort_at(id, job.aborts_at, Point::AfterEffect(step));
        Ok(Receipt {
            step,
            job: job.clone(),
        })
    }
}

/// What a step gives to its undo.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Receipt {
    step: usize,
    job: Fulfil,
}

async fn undo(receipt: Receipt, context: Context, world: State<World>) -> Result<(), Failure> {
    let (id, step) = (context.id(), receipt.step);
    world.abort_at(id, receipt.job.aborts_at, Point::BeforeUndo(step));
    let failed = world.count(id, "undo-failed", step);
    if failed < receipt.job.undo_fails as usize {
        world.note(id, "undo-failed", step);
        return Err("the other side is away".into());
    }
    world.note(id, "undo", step);
    tokio::task::yield_now().await;
    world.abort_at(id, receipt.job.aborts_at, Point::AfterUndo(step));
    Ok(())
}

async fn fulfil(
    job: Fulfil,
    saga: Saga,
    context: Context,
    world: State<World>,
) -> Result<u64, Failure> {
    let id = context.id();
    for (step, name) in STEPS.into_iter().enumerate() {
        let run = || world.take_effect(id, &job, step);
        let doing = saga.step(name, run);
        if step == STEPS.len() - 1 {
            doing.await?;
        } else {
            doing.undo(undo).await?;
        }
        if world.count(id, "stored", step) == 0 {
            world.note(id, "stored", step);
        }
        world.abort_at(id, job.aborts_at, Point::AfterStep(step));
    }
    Ok(7)
}

fn worker(queue: &Queue, world: &World) -> WorkerBuilder {
    Worker::builder(queue)
        .state(world.clone())
        .handle(fulfil)
        .lease(SECOND)
        .queue_settings(QueueSettings::new().max_stalls(20).keep_at_most(100_000))
}

/// What a worker process does until it is killed, or aborts.
#[test]
fn saga_process() {
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let url = std::env::var("SAGA_URL").unwrap();
        let ledger = std::env::var("SAGA_LEDGER").unwrap();
        let queue = queue_at(&url).await;
        let world = World(PathBuf::from(ledger).into());
        let worker = worker(&queue, &world).concurrency(1).build().unwrap();
        worker.run_until(oxcart::shutdown_signal()).await.unwrap();
    });
}

fn spawn(server: &Server, world: &World) -> Process {
    let ledger = world.0.to_str().unwrap();
    let envs = [("SAGA_URL", &*server.url()), ("SAGA_LEDGER", ledger)];
    spawn_self("saga_process", &envs)
}

async fn enqueue(queue: &Queue, id: String, job: Fulfil) {
    let id = JobId::new(id).unwrap();
    let backoff = Backoff::fixed(Duration::from_millis(10));
    let request = queue.enqueue(job).id(id).attempts(4).backoff(backoff);
    request.await.unwrap();
}

/// What the ledger and the queue say of one saga; what is wrong with it.
async fn judge(
    queue: &Queue,
    id: &JobId,
    lines: &[(String, usize)],
) -> Result<&'static str, String> {
    let info = queue.job(id).await.unwrap().ok_or("it is gone")?;
    let completed = match info.ended {
        Some(Ended::Completed) => true,
        Some(Ended::Compensated(_)) => false,
        other => {
            return Err(format!(
                "it has not ended well: {other:?}, {:?}",
                info.state
            ));
        }
    };
    for (step, name) in STEPS.into_iter().enumerate() {
        let at = |what: &str| -> Vec<usize> {
            let with_positions = lines.iter().enumerate();
            let is_it = |(_, (other, of)): &(usize, &(String, usize))| other == what && *of == step;
            with_positions.filter(is_it).map(|(at, _)| at).collect()
        };
        let (effects, undone, stored) = (at("effect"), at("undo"), at("stored"));
        if completed && (effects.is_empty() || !undone.is_empty()) {
            return Err(format!(
                "completed, and {name}: {effects:?}, undone {undone:?}"
            ));
        }
        let can_be_undone = step < STEPS.len() - 1;
        if !completed && !can_be_undone && !effects.is_empty() {
            return Err(format!("undone, and {name} took effect"));
        }
        if !completed && !effects.is_empty() && undone.last() < effects.last() {
            return Err(format!(
                "undone, and {name} stands: {effects:?}, {undone:?}"
            ));
        }
        if !completed && effects.is_empty() && !undone.is_empty() {
            return Err(format!("{name} was undone without an effect"));
        }
        if let Some(stored) = stored.first()
            && effects.iter().any(|effect| effect > stored)
        {
            return Err(format!("{name} was stored and ran again"));
        }
        // Undos run in reverse order, so one that has followed shows that this one was stored.
        let before = (0..step).flat_map(|earlier| {
            let is_it =
                move |(_, (what, of)): &(usize, &(String, usize))| what == "undo" && *of == earlier;
            lines.iter().enumerate().filter(is_it).map(|(at, _)| at)
        });
        if let (Some(last), Some(first)) = (undone.last(), before.min())
            && *last > first
        {
            return Err(format!("{name} was undone after a step before it"));
        }
    }
    Ok(if completed {
        "completed"
    } else {
        "compensated"
    })
}

async fn judge_all(queue: &Queue, world: &World) -> BTreeMap<&'static str, usize> {
    let mut ends = BTreeMap::new();
    for id in world.ids() {
        let lines = world.ledger(&id).lines();
        let line = |line: &String| {
            let (what, step) = line.split_once(' ').unwrap();
            (what.to_owned(), step.parse().unwrap())
        };
        let lines: Vec<(String, usize)> = lines.iter().map(line).collect();
        let end = judge(queue, &JobId::new(&id).unwrap(), &lines).await;
        let end = end.unwrap_or_else(|wrong| panic!("{id}: {wrong}\n{lines:#?}"));
        *ends.entry(end).or_default() += 1;
    }
    ends
}

/// Each point, with what the saga comes to if nothing goes wrong.
fn cases() -> Vec<(Point, Option<usize>)> {
    let mut cases = Vec::new();
    for fails_at in [None, Some(3), Some(1)] {
        let done = fails_at.unwrap_or(STEPS.len());
        for step in 0..done {
            let points = [
                Point::BeforeEffect(step),
                Point::AfterEffect(step),
                Point::AfterStep(step),
            ];
            cases.extend(points.map(|point| (point, fails_at)));
        }
        for step in 0..fails_at.unwrap_or(0) {
            let points = [Point::BeforeUndo(step), Point::AfterUndo(step)];
            cases.extend(points.map(|point| (point, fails_at)));
        }
    }
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_that_is_aborted_at_any_point_is_completed_or_compensated() {
    let server = Server::start();
    let queue = queue_at(&server.url()).await;
    let folder = tempfile::tempdir().unwrap();
    let world = World(folder.path().into());
    let mut sagas = 0;
    for round in 0..times() {
        for (case, (point, fails_at)) in cases().into_iter().enumerate() {
            let job = Fulfil {
                aborts_at: Some(point),
                fails_at,
                undo_fails: (case % 2) as u32,
            };
            enqueue(&queue, format!("saga-{round}-{case}"), job).await;
            sagas += 1;
        }
    }
    let mut processes: Vec<Process> = (0..4).map(|_| spawn(&server, &world)).collect();
    let mut aborts = 0;
    let limit = std::time::Instant::now() + times() as u32 * 60 * SECOND;
    while queue.counts().await.unwrap().left() > 0 {
        assert!(
            std::time::Instant::now() < limit,
            "{sagas} sagas, {aborts} aborts"
        );
        for process in &mut processes {
            if !process.is_running() {
                aborts += 1;
                *process = spawn(&server, &world);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(processes);
    let ends = judge_all(&queue, &world).await;
    println!("{sagas} sagas, {aborts} aborts: {ends:?}");
    assert_eq!(ends.values().sum::<usize>(), sagas);
    assert!(aborts >= sagas, "each aborts once: {aborts} of {sagas}");
    let whole = cases()
        .iter()
        .filter(|(_, fails_at)| fails_at.is_none())
        .count();
    assert_eq!(ends["completed"], whole * times());
}

/// The plain saga, some that fail, some whose undos fail at first.
async fn enqueue_all_kinds(queue: &Queue, n: usize) {
    for i in 0..n {
        let job = Fulfil {
            aborts_at: None,
            fails_at: [None, Some(0), Some(1), Some(2), Some(3)][i % 5],
            undo_fails: (i % 3) as u32,
        };
        enqueue(queue, format!("saga-{i}"), job).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sagas_whose_replies_are_lost_end_well() {
    let n = 20 * times().min(10);
    let server = Server::start();
    let direct = queue_at(&server.url()).await;
    let proxy = Proxy::start(server.tcp_addr());
    let queue = queue_at(&proxy.url()).await;
    let folder = tempfile::tempdir().unwrap();
    let world = World(folder.path().into());
    enqueue_all_kinds(&direct, n).await;
    proxy.drop_reply_every(5);
    let running = run(worker(&queue, &world).concurrency(10));
    drained(&direct, 120 * SECOND).await;
    assert!(proxy.replies_dropped() >= 10, "the network was good");
    let ends = judge_all(&direct, &world).await;
    assert_eq!((ends["completed"], ends["compensated"]), (n / 5, n / 5 * 3));
    running.crash().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sagas_survive_kills_of_redis() {
    let n = 100 * times().min(10);
    let server = Server::options().aof_always().start();
    let queue = queue_at(&server.url()).await;
    let folder = tempfile::tempdir().unwrap();
    let world = World(folder.path().into());
    enqueue_all_kinds(&queue, n).await;
    let running = run(worker(&queue, &world).concurrency(5));
    for kill in 1..=3 {
        let enough = || world.len() > kill * n / 5;
        eventually(60 * SECOND, enough).await;
        server.kill();
        server.restart();
    }
    drained(&queue, 120 * SECOND).await;
    let ends = judge_all(&queue, &world).await;
    assert_eq!((ends["completed"], ends["compensated"]), (n / 5, n / 5 * 3));
    running.stop().await;
}
