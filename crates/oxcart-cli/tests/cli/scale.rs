//! A large queue while a worker works on it: each command answers soon, or shows how far it is; no call keeps Redis busy for long, and
//! the worker hardly notices.
//!
//! `SCALE=full cargo test --release -p oxcart-cli --test cli scale -- --nocapture` has the large numbers, and asserts the times.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use oxcart::{Failure, Job, Queue, State, Worker};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::rig::{HOUR, PATIENCE, Rig};
use crate::support::eventually_async;
use crate::terminal::{Terminal, plain};

/// How long a command may be silent.
const SOON: Duration = Duration::from_secs(1);
/// A call is slow from so many microseconds.
const SLOW_MICROS: &str = "10000";
/// One of so many calls may be slow: now and then the machine takes the processor away from Redis in the middle of one.
const SLOW_OF: usize = 1_000;

#[derive(Clone, Copy)]
struct Size {
    waiting: usize,
    dead: usize,
    delayed: usize,
    /// Over how long the speed of the worker is measured.
    measured: Duration,
    is_full: bool,
}

fn size() -> Size {
    let is_full = std::env::var("SCALE").as_deref() == Ok("full");
    match is_full {
        true => Size {
            waiting: 1_000_000,
            dead: 100_000,
            delayed: 10_000,
            measured: Duration::from_secs(10),
            is_full,
        },
        false => Size {
            waiting: 5_000,
            dead: 1_000,
            delayed: 500,
            measured: Duration::from_millis(500),
            is_full,
        },
    }
}

/// A job that takes as long as a small query does.
#[derive(Serialize, Deserialize)]
struct Query {
    row: usize,
}

impl Job for Query {
    const NAME: &'static str = "query";
    type Output = ();
}

async fn query(Query { row }: Query, done: State<Arc<AtomicU64>>) -> Result<(), Failure> {
    if row < 100_000_000 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        done.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    Err(Failure::dead(format!(
        "row {row} of shard {}: no such column",
        ["a", "b", "c", "d"][row % 4]
    )))
}

/// The worker, and a producer that keeps the line as long as it is.
struct Load {
    done: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    tasks: [JoinHandle<()>; 2],
}

impl Load {
    fn start(queue: &Queue, waiting: usize) -> Self {
        let done = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let worker = Worker::builder(queue).concurrency(100);
        let worker = worker.state(Arc::clone(&done)).handle(query);
        let worker = worker.build().unwrap();
        let until = Arc::clone(&stop);
        let working = tokio::spawn(async move {
            let stopped = async { while_not(&until).await };
            worker.run_until(stopped).await.unwrap();
        });
        let (queue, until) = (queue.clone(), Arc::clone(&stop));
        let producing = tokio::spawn(async move {
            while !until.load(Ordering::Relaxed) {
                let missing =
                    waiting as u64 - queue.counts().await.unwrap().waiting.min(waiting as u64);
                if missing < 200 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
                let rows = (0..missing as usize).map(|row| Query { row });
                queue.enqueue_many(rows.take(1_000)).await.unwrap();
            }
        });
        Self {
            done,
            stop,
            tasks: [working, producing],
        }
    }

    /// Jobs a second, over that time.
    async fn speed(&self, measured: Duration) -> f64 {
        let (before, started) = (self.done.load(Ordering::Relaxed), Instant::now());
        tokio::time::sleep(measured).await;
        self.since(before, started)
    }

    fn since(&self, before: u64, started: Instant) -> f64 {
        (self.done.load(Ordering::Relaxed) - before) as f64 / started.elapsed().as_secs_f64()
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

async fn while_not(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Dead, delayed and waiting jobs.
async fn fill(queue: &Queue, size: Size) {
    let rows = (0..size.dead).map(|row| Query {
        row: 100_000_000 + row,
    });
    let rows: Vec<Query> = rows.collect();
    queue.enqueue_many(rows).await.unwrap();
    let worker = Worker::builder(queue).concurrency(256);
    let worker = worker.state(Arc::<AtomicU64>::default()).handle(query);
    let dead = eventually_async(6 * PATIENCE, async || {
        queue.counts().await.unwrap().dead == size.dead as u64
    });
    worker.build().unwrap().run_until(dead).await.unwrap();
    let later = (0..size.delayed).map(|row| queue.enqueue(Query { row }).delay(HOUR));
    queue.enqueue_many(later).await.unwrap();
    for from in (0..size.waiting).step_by(50_000) {
        let rows = from..(from + 50_000).min(size.waiting);
        let rows = rows.map(|row| Query { row });
        queue.enqueue_many(rows).await.unwrap();
    }
}

/// What an operator types.
fn typed(dead: &str, delayed: &str, file: &str) -> Vec<Vec<String>> {
    let lines = [
        "queue ls",
        "queue show billing",
        "queue history billing",
        "queue settings billing",
        "job ls billing",
        "job ls billing --state waiting --newest -n 50",
        "job ls billing --state delayed --name query",
        "job ls billing --state dead --error shard -n 50",
        "job ls billing --state waiting --id-prefix nobody-has-this",
        "job ls billing --state dead --error nothing-like-that",
        &format!("job show billing {delayed}"),
        &format!("job promote billing {delayed}"),
        &format!("job remove billing {delayed} --yes"),
        "job enqueue billing query {\"row\":1}",
        "dead ls billing",
        "dead groups billing",
        &format!("dead show billing {dead}"),
        &format!("dead edit billing {dead} --attempts 3"),
        &format!("dead replay billing {dead} --yes"),
        "group ls billing",
        "schedule ls billing",
        "worker ls billing",
        "audit billing",
        "alert ls billing",
        "doctor",
        "queue pause billing",
        "queue resume billing",
        "queue orphans billing",
        "dead replay billing --all --dry-run",
        &format!("dead export billing {file}"),
        "job promote billing --all --yes",
        "queue clean billing --state completed --older-than 1h --yes",
        "dead replay billing --all --rate 1000 --yes",
        "dead purge billing --older-than 0s --yes",
    ];
    let words = |line: &&str| line.split(' ').map(str::to_owned).collect();
    lines.iter().map(words).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_answers_soon_on_a_large_queue_under_load() {
    let size = size();
    let rig = Rig::new().await;
    let queue = &rig.queue;
    fill(queue, size).await;
    let ids = |state: &str| {
        rig.run(&[
            "job", "ls", "billing", "--state", state, "-n", "1", "--json",
        ])
    };
    let id = |state: &str| ids(state).object()["id"].as_str().unwrap().to_owned();
    let (dead, delayed) = (id("dead"), id("delayed"));
    let _: () = rig.server.ask(&[
        "CONFIG",
        "SET",
        "slowlog-log-slower-than",
        SLOW_MICROS,
        "slowlog-max-len",
        "10000",
    ]);
    let _: () = rig.server.ask(&["SLOWLOG", "RESET"]);
    let _: () = rig.server.ask(&["CONFIG", "RESETSTAT"]);

    let load = Load::start(queue, size.waiting);
    tokio::time::sleep(size.measured / 5).await;
    let mut alone = load.speed(size.measured).await;
    let (mut measured, mut beside, mut late) = (0, 0.0, Vec::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dead.jsonl");
    for args in typed(&dead, &delayed, file.to_str().unwrap()) {
        let (before, started) = (load.done.load(Ordering::Relaxed), Instant::now());
        let mut terminal = Terminal::start(rig.program().args(&args));
        let first = terminal.first_sign();
        let (text, exit) = terminal.end_within(10 * PATIENCE);
        let took = started.elapsed();
        let speed = load.since(before, started);
        println!(
            "{first:>8.0?} {took:>8.0?} {speed:>6.0}/s  {}",
            args.join(" ")
        );
        // `doctor` has found what is planted here.
        let expected = if args[0] == "doctor" { 5 } else { 0 };
        assert_eq!(exit, Some(expected), "{args:?}\n{}", plain(&text));
        if first > SOON {
            late.push(args.join(" "));
        }
        if !args.contains(&"pause".to_owned()) && took > Duration::from_millis(200) {
            measured += 1;
            beside += speed;
        }
    }
    let beside = beside / f64::from(measured.max(1));
    alone = (alone + load.speed(size.measured).await) / 2.0;
    println!("{alone:.0} jobs a second alone, {beside:.0} beside the commands");
    load.stop().await;
    // All that wait are removed while nobody works on them.
    let mut terminal = Terminal::start(rig.program().args(["queue", "drain", "billing", "--yes"]));
    let first = terminal.first_sign();
    let started = Instant::now();
    let (text, exit) = terminal.end_within(20 * PATIENCE);
    println!(
        "{first:>8.0?} {:>8.0?}  queue drain billing --yes",
        started.elapsed()
    );
    assert_eq!(exit, Some(0), "{}", plain(&text));
    assert_eq!(queue.counts().await.unwrap().waiting, 0);
    let slow: usize = rig.server.ask(&["SLOWLOG", "LEN"]);
    let calls = calls(&rig);
    println!("{slow} of {calls} calls were slow");
    if size.is_full {
        assert!(late.is_empty(), "{late:?}");
        assert!(slow <= calls / SLOW_OF, "{slow} of {calls}");
        assert!(beside > 0.9 * alone, "{beside} {alone}");
    }
}

/// How many scripts Redis has run.
fn calls(rig: &Rig) -> usize {
    let stats: String = rig.server.ask(&["INFO", "commandstats"]);
    let of_scripts = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    let calls = of_scripts.and_then(|rest| rest.split(',').next());
    calls.and_then(|calls| calls.parse().ok()).unwrap()
}
