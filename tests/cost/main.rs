//! What a job costs, counted instead of timed: commands and bytes are the same on every machine.
//!
//! Each workload has a budget. If a change makes one cheaper, lower its budget with it;
//! `make bench-smoke` prints both. If a change makes one dearer, that is what this test is for.

mod features;
mod flows;
mod groups;
mod meter;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use meter::{Budget, Meter, Used};
use oxcart::{Context, Failure, Job, Oxcart, Queue, QueueSettings, Rate, Retention, State, Worker};
use serde::{Deserialize, Serialize};
use support::Server;
use tokio::sync::Notify;

/// One caller, one job at a time. Exact.
const ENQUEUE: Budget = Budget {
    calls: 1.0,
    commands: 12.0,
    received: 714.0,
    sent: 35.2,
};

/// One call of `enqueue_many`. Exact.
const ENQUEUE_MANY: Budget = Budget {
    calls: 0.004,
    commands: 0.048,
    received: 188.0,
    sent: 0.15,
};

/// A backlog, worked off one job at a time. Exact, but for the start and the end of the worker: then it reports, in a call of about 550
/// bytes and 16 commands each, here as in the other workloads of one job at a time.
const PROCESS_1: Budget = Budget {
    calls: 1.012,
    commands: 19.134,
    // 911 with one call a job; a machine that is busy makes a few calls more.
    received: 917.2,
    sent: 344.1,
};

/// The same in a queue with limits that hold nothing back. What has started is read and written.
const PROCESS_LIMITED: Budget = Budget {
    calls: 1.012,
    commands: 22.134,
    // As above.
    received: 917.2,
    sent: 344.1,
};

/// A backlog, worked off at a concurrency of 100. How large the batches grow depends on timing,
/// a little.
const PROCESS_100: Budget = Budget {
    calls: 0.03,
    commands: 0.5,
    // As the calls: a few more are made on a machine that is busy.
    received: 74.0,
    sent: 205.0,
};

/// How many commands an idle worker may send in a minute; fewer than 60 is what is promised. The
/// periods of its duties have some jitter. Beside these a worker reports once in about 54 s, which does not fall into the time that is counted.
const IDLE_A_MINUTE: f64 = 57.0;

/// The same of a worker that runs one job all the time: its lease is renewed each 10 s, and a read of the requests to cancel it
/// lasts 4.5 s.
const LONG_JOB_A_MINUTE: f64 = IDLE_A_MINUTE + 6.0 + 13.3;

/// A caller that cancels or edits jobs that wait, one at a time. Exact. Among the keys that are sent are four of
/// gates, and three of unique keys and expiry: neither caller knows what a job has of these. A call that cancels sends two more, of the
/// outbox: the parent of the job may be in another queue.
const CANCEL: Budget = Budget {
    calls: 1.0,
    commands: 13.1,
    received: 1_062.1,
    sent: 80.0,
};
const EDIT: Budget = Budget {
    calls: 1.0,
    commands: 14.1,
    received: 907.1,
    sent: 32.5,
};

/// One caller: a job with a unique key that is free, and one whose key another job has. Exact. And a backlog of such jobs, worked
/// off one at a time.
const UNIQUE: Budget = Budget {
    calls: 1.0,
    commands: 19.1,
    received: 1_136.0,
    sent: 35.2,
};
const DUPLICATE: Budget = Budget {
    calls: 1.0,
    commands: 17.1,
    received: 1_136.1,
    sent: 70.0,
};
const PROCESS_UNIQUE: Budget = Budget {
    calls: 1.012,
    commands: 33.234,
    received: 1_305.0,
    sent: 369.1,
};

const JOBS: usize = 1_000;

/// A payload of 120 bytes.
#[derive(Serialize, Deserialize)]
struct Nothing {
    text: String,
}

impl Job for Nothing {
    const NAME: &'static str = "nothing";
    type Output = ();
}

/// Runs until its worker stops.
#[derive(Serialize, Deserialize)]
struct Long;

impl Job for Long {
    const NAME: &'static str = "long";
    type Output = ();
}

async fn hold(_: Long, context: Context) -> Result<(), Failure> {
    context.cancellation().cancelled().await;
    Err("stopped".into())
}

fn nothing() -> Nothing {
    Nothing {
        text: "x".repeat(112),
    }
}

/// A server that has seen an `enqueue`, and its queue, which is empty.
async fn server_and_queue() -> (Server, Queue) {
    let server = Server::start();
    let oxcart = Oxcart::connect(&server.url()).await.unwrap();
    let queue = oxcart.queue("cost").unwrap();
    let first = queue.enqueue(nothing()).await.unwrap();
    assert!(queue.remove(first.id()).await.unwrap().is_done());
    (server, queue)
}

#[tokio::test]
async fn enqueueing_one_after_the_other() {
    let (server, queue) = server_and_queue().await;
    let meter = Meter::start(&server);
    for _ in 0..JOBS {
        queue.enqueue(nothing()).await.unwrap();
    }
    meter.stop().assert_within("enqueue", &ENQUEUE);
}

#[tokio::test]
async fn enqueueing_many() {
    let (server, queue) = server_and_queue().await;
    let meter = Meter::start(&server);
    let jobs = std::iter::repeat_with(nothing).take(JOBS);
    queue.enqueue_many(jobs).await.unwrap();
    meter.stop().assert_within("enqueue_many", &ENQUEUE_MANY);
}

#[tokio::test]
async fn processing_one_at_a_time() {
    let used = process(1, QueueSettings::new()).await;
    used.assert_within("process at 1", &PROCESS_1);
}

#[tokio::test]
async fn processing_one_at_a_time_within_limits() {
    let limits = QueueSettings::new().rate(Rate::burst(1_000_000, Duration::from_secs(60)));
    let used = process(1, limits.concurrency(100)).await;
    used.assert_within("limited, at 1", &PROCESS_LIMITED);
}

/// All handlers of a batch end before the next call is sent, unless the machine is busy: then a call
/// goes with fewer. So the run with the fewest calls counts.
#[tokio::test]
async fn processing_a_hundred_at_a_time() {
    let mut runs = Vec::new();
    for _ in 0..8 {
        runs.push(process(100, QueueSettings::new()).await);
    }
    let used = runs.iter().min_by_key(|used| used.of("evalsha")).unwrap();
    used.assert_within("process at 100", &PROCESS_100);
}

struct Tally {
    left: AtomicUsize,
    done: Notify,
}

fn tally() -> Arc<Tally> {
    Arc::new(Tally {
        left: AtomicUsize::new(JOBS),
        done: Notify::new(),
    })
}

async fn handle(_: Nothing, tally: State<Arc<Tally>>) -> Result<(), Failure> {
    if tally.left.fetch_sub(1, Ordering::Relaxed) == 1 {
        tally.done.notify_one();
    }
    Ok(())
}

/// Works off a backlog, again and again until no script's text was sent meanwhile: that is done
/// once in a server's life, and is part of no job's cost.
async fn process(concurrency: usize, limits: QueueSettings) -> Used {
    const SCRIPTS: usize = 20;
    let (server, queue) = server_and_queue().await;
    let settings = limits.keep_completed(Retention::Nothing);
    for _ in 0..SCRIPTS {
        let used = work_off(&server, &queue, concurrency, settings).await;
        if used.of("eval") == 0 {
            return used;
        }
    }
    panic!("scripts are sent again and again");
}

/// The worker's connections, its start and its end are in it.
async fn work_off(
    server: &Server,
    queue: &Queue,
    concurrency: usize,
    settings: QueueSettings,
) -> Used {
    let jobs = std::iter::repeat_with(nothing).take(JOBS);
    queue.enqueue_many(jobs).await.unwrap();
    work_off_what_is_there(server, queue, concurrency, settings).await
}

async fn work_off_what_is_there(
    server: &Server,
    queue: &Queue,
    concurrency: usize,
    settings: QueueSettings,
) -> Used {
    let before = queue.counts().await.unwrap().totals.completed;
    let tally = tally();
    let worker = Worker::builder(queue)
        .concurrency(concurrency)
        .queue_settings(settings)
        .state(Arc::clone(&tally))
        .handle(handle)
        .build()
        .unwrap();
    let meter = Meter::start(server);
    worker.run_until(tally.done.notified()).await.unwrap();
    let used = meter.stop();
    let after = queue.counts().await.unwrap().totals.completed;
    assert_eq!(after - before, JOBS as u64, "every job is done");
    used
}

/// A caller cancels jobs that wait, one after the other. Exact.
#[tokio::test]
async fn cancelling_one_after_the_other() {
    let (server, queue) = server_and_queue().await;
    let jobs = std::iter::repeat_with(nothing).take(JOBS);
    let jobs = queue.enqueue_many(jobs).await.unwrap();
    // The text of the script is sent once in a server's life.
    let first = queue.enqueue(nothing()).await.unwrap();
    assert!(first.cancel().await.unwrap().is_done());
    let meter = Meter::start(&server);
    for job in &jobs {
        assert!(job.cancel().await.unwrap().is_done());
    }
    meter.stop().assert_within("cancel", &CANCEL);
}

/// Jobs get another priority and moment, one after the other. Exact.
#[tokio::test]
async fn editing_one_after_the_other() {
    let (server, queue) = server_and_queue().await;
    let jobs = std::iter::repeat_with(nothing).take(JOBS);
    let jobs = queue.enqueue_many(jobs).await.unwrap();
    let first = queue.enqueue(nothing()).await.unwrap();
    assert!(first.edit().priority(9).await.unwrap().is_done());
    let meter = Meter::start(&server);
    for job in &jobs {
        assert!(job.edit().priority(9).await.unwrap().is_done());
    }
    meter.stop().assert_within("edit", &EDIT);
}

/// Jobs with unique keys are enqueued, meet themselves, and are worked off, one after the other.
#[tokio::test]
async fn unique_keys() {
    let (server, queue) = server_and_queue().await;
    let enqueue = async |budget: &Budget, what: &str| {
        let first = queue.enqueue(nothing()).unique("first").await.unwrap();
        assert!(queue.remove(first.id()).await.unwrap().is_done());
        let meter = Meter::start(&server);
        for n in 0..JOBS {
            let key = format!("user-{n:04}");
            queue.enqueue(nothing()).unique(key).await.unwrap();
        }
        meter.stop().assert_within(what, budget);
    };
    enqueue(&UNIQUE, "with a key").await;
    let keys: u64 = server.ask(&["MEMORY", "USAGE", "oxcart:{cost}:unique", "SAMPLES", "0"]);
    println!("a key takes {} bytes", keys / JOBS as u64);
    enqueue(&DUPLICATE, "a duplicate").await;
    let settings = QueueSettings::new().keep_completed(Retention::Nothing);
    let mut used = work_off_what_is_there(&server, &queue, 1, settings).await;
    // As in `process`.
    while used.of("eval") > 0 {
        enqueue(&UNIQUE, "with a key").await;
        used = work_off_what_is_there(&server, &queue, 1, settings).await;
    }
    used.assert_within("process unique", &PROCESS_UNIQUE);
}

#[tokio::test]
async fn an_idle_worker_is_quiet() {
    let (server, queue) = server_and_queue().await;
    at_rest("an idle worker", &server, &queue, IDLE_A_MINUTE).await;
}

/// It renews a lease, and listens for a request to cancel the job.
#[tokio::test]
async fn a_worker_whose_job_runs_for_long_is_quiet() {
    let (server, queue) = server_and_queue().await;
    queue.enqueue(Long).await.unwrap();
    at_rest(
        "a worker with a long job",
        &server,
        &queue,
        LONG_JOB_A_MINUTE,
    )
    .await;
}

/// Counted over four rounds of the blocking pop, after a first one in which it settles down.
async fn at_rest(who: &str, server: &Server, queue: &Queue, most: f64) {
    const ROUND: Duration = Duration::from_millis(4_500);
    const ROUNDS: u32 = 4;
    let worker = Worker::builder(queue)
        .concurrency(100)
        .grace(Duration::ZERO)
        .state(tally())
        .handle(handle)
        .handle(hold)
        .build()
        .unwrap();
    let counted = async {
        tokio::time::sleep(ROUND / 2).await;
        let meter = Meter::start(server);
        tokio::time::sleep(ROUND * ROUNDS).await;
        meter.stop()
    };
    let (end, ended) = tokio::sync::oneshot::channel();
    let idle = async {
        let used = counted.await;
        end.send(()).unwrap();
        used
    };
    let (ran, used) = tokio::join!(worker.run_until(async { ended.await.unwrap() }), idle);
    ran.unwrap();
    // All else is what the scripts execute; their text is sent once in a server's life.
    let sent = used.of("evalsha") + used.of("bzpopmin") + used.of("xread");
    let all: u64 = used.commands.values().sum();
    let a_minute = |commands: u64| commands as f64 * 60.0 / (ROUND * ROUNDS).as_secs_f64();
    println!(
        "{who} sends {:.0} commands a minute, of {most:.0}; Redis executes {:.0}: {:?}",
        a_minute(sent),
        a_minute(all),
        used.commands
    );
    assert!(sent > 0, "it looks now and then: {:?}", used.commands);
    assert!(a_minute(sent) <= most, "{:?}", used.commands);
}
