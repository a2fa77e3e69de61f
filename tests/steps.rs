//! Durable steps: no stored step runs again, wherever a worker is killed; a stale attempt stores nothing; no signal is lost.

#[path = "steps/children.rs"]
mod children;
#[path = "steps/in_memory.rs"]
mod in_memory;
#[path = "steps/seen.rs"]
mod seen;
mod support;

use std::collections::HashMap;
use std::time::Duration;

use oxcart::{
    Changed, Context, DeadReason, Ended, Error, ErrorKind, Failure, Job, JobId, JobState, Outcome,
    Oxcart, Queue, QueueSettings, Signalled, State, Worker, WorkerBuilder, WorkerEvent,
};
use serde::{Deserialize, Serialize};
use support::workers::{QUEUE, queue_at, server_and_queue};
use support::{Ledger, Process, child_of_test, eventually, eventually_async, spawn_self};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

/// Four steps, each of which leaves a line in the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Walk {
    name: String,
    /// The process ends in this place: at step 1 to 4, before its effect, behind it, or once it is stored.
    dies: Option<(u32, Place)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    Before,
    Effect,
    Stored,
}

impl Job for Walk {
    const NAME: &'static str = "walk";
    type Output = Vec<String>;
}

/// Once: the next process goes on.
fn die(ledger: &Ledger, job: &Walk, at: (u32, Place)) {
    let line = format!("{} dies", job.name);
    if job.dies == Some(at) && !ledger.lines().contains(&line) {
        ledger.record(&line);
        std::process::abort();
    }
}

async fn walk(job: Walk, ledger: State<Ledger>, context: Context) -> Result<Vec<String>, Failure> {
    let mut outputs = Vec::new();
    for n in 1..=4 {
        let output: String = context
            .step(&format!("step {n}"), async || {
                die(&ledger, &job, (n, Place::Before));
                ledger.record(&format!("{} {n}", job.name));
                die(&ledger, &job, (n, Place::Effect));
                Ok(format!("{n} by attempt {}", context.attempt().stalls))
            })
            .await?;
        die(&ledger, &job, (n, Place::Stored));
        outputs.push(output);
        if n == 2 {
            context.sleep("rest", Duration::from_millis(10)).await?;
        }
    }
    Ok(outputs)
}

fn walker(queue: &Queue, ledger: Ledger) -> WorkerBuilder {
    let settings = QueueSettings::new().max_stalls(5);
    Worker::builder(queue)
        .lease(SECOND)
        .queue_settings(settings)
        .state(ledger)
        .handle(walk)
}

#[test]
fn worker_process() {
    work_as_a_process(walker);
}

/// What the process is that `spawn_worker` starts: this worker, until it is told to stop. Of a test that cargo runs: nothing.
fn work_as_a_process(worker: impl FnOnce(&Queue, Ledger) -> WorkerBuilder) {
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let queue = queue_at(&std::env::var("STEPS_URL").unwrap()).await;
        let ledger = Ledger::open(std::env::var("STEPS_LEDGER").unwrap());
        let worker = worker(&queue, ledger).build().unwrap();
        worker.run_until(oxcart::shutdown_signal()).await.unwrap();
    });
}

fn spawn_worker(test: &str, url: &str, ledger: &Ledger) -> Process {
    let ledger = ledger.path().to_str().unwrap();
    spawn_self(test, &[("STEPS_URL", url), ("STEPS_LEDGER", ledger)])
}

fn spawn(url: &str, ledger: &Ledger) -> Process {
    spawn_worker("worker_process", url, ledger)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_no_stored_step_runs_again_wherever_the_process_dies() {
    let (server, queue) = server_and_queue().await;
    let ledger = Ledger::create();
    let mut process = spawn(&server.url(), &ledger);
    for n in 1..=4 {
        for place in [Place::Before, Place::Effect, Place::Stored] {
            let name = format!("{n}-{place:?}");
            let dies = Some((n, place));
            let job = queue
                .enqueue(Walk {
                    name: name.clone(),
                    dies,
                })
                .await
                .unwrap();
            eventually(PATIENCE, || !process.is_running()).await;
            process = spawn(&server.url(), &ledger);
            let outputs = tokio::time::timeout(PATIENCE, job.result()).await;
            let outputs = outputs.unwrap().unwrap();
            assert_eq!(outputs.len(), 4);
            let mut effects: HashMap<String, usize> = HashMap::new();
            for line in ledger.lines() {
                if let Some(step) = line.strip_prefix(&format!("{name} ")) {
                    *effects.entry(step.to_owned()).or_default() += 1;
                }
            }
            assert_eq!(effects.remove("dies"), Some(1));
            for step in 1..=4 {
                // Only what had happened and was not stored yet happens once more.
                let times = match place == Place::Effect && step == n {
                    true => 2,
                    false => 1,
                };
                assert_eq!(
                    effects.remove(&step.to_string()),
                    Some(times),
                    "{name}: step {step}"
                );
            }
        }
    }
    process.kill();
}

/// A job whose handler does what the test says.
#[derive(Debug, Serialize, Deserialize)]
struct Ask(String);

impl Job for Ask {
    const NAME: &'static str = "ask";
    type Output = Option<u32>;
}

struct Running {
    stop: oneshot::Sender<()>,
    worker: JoinHandle<Result<(), Error>>,
}

impl Running {
    fn start(builder: WorkerBuilder) -> Self {
        let worker = builder.build().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let worker = tokio::spawn(worker.run_until(async {
            let _ = stopped.await;
        }));
        Self { stop, worker }
    }

    async fn end(self) {
        drop(self.stop);
        self.worker.await.unwrap().unwrap();
    }
}

async fn waits(_: Ask, context: Context) -> Result<Option<u32>, Failure> {
    context.wait_for::<u32>("answer", None).await
}

/// It comes while the handler is on its way, while the attempt ends, or when the job is put aside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_signal_is_lost_at_whatever_moment_it_comes() {
    const JOBS: u32 = 200;
    let (_server, queue) = server_and_queue().await;
    let running = Running::start(Worker::builder(&queue).handle(waits).concurrency(8));
    let jobs: Vec<Ask> = (0..JOBS).map(|n| Ask(n.to_string())).collect();
    let jobs = queue.enqueue_many(jobs).await.unwrap();
    for (n, job) in jobs.iter().enumerate() {
        let n = n as u32;
        // As soon as it is accepted.
        eventually_async(PATIENCE, async || match job.signal("answer", &n).await {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotWaiting, "{error}");
                false
            }
        })
        .await;
    }
    for (n, job) in jobs.iter().enumerate() {
        let result = tokio::time::timeout(PATIENCE, job.result()).await;
        assert_eq!(result.unwrap().unwrap(), Some(n as u32));
    }
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.blocked, counts.delayed, counts.active), (0, 0, 0));
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_waits_holds_no_slot_and_is_answered_once() {
    let (_server, queue) = server_and_queue().await;
    let running = Running::start(Worker::builder(&queue).handle(waits).concurrency(1));
    let first = queue.enqueue(Ask("first".into())).await.unwrap();
    let state = async |id: &JobId| queue.job(id).await.unwrap().map(|job| job.state);
    eventually_async(PATIENCE, async || {
        state(first.id()).await == Some(JobState::Blocked)
    })
    .await;
    // The only slot is free.
    let second = queue.enqueue(Ask("second".into())).await.unwrap();
    eventually_async(PATIENCE, async || {
        state(second.id()).await == Some(JobState::Blocked)
    })
    .await;
    assert_eq!(
        second.signal("answer", &2_u32).await.unwrap(),
        Signalled::Stored
    );
    assert_eq!(second.result().await.unwrap(), Some(2));
    assert_eq!(
        first.signal("answer", &1_u32).await.unwrap(),
        Signalled::Stored
    );
    assert_eq!(first.result().await.unwrap(), Some(1));
    let late = first.signal("answer", &3_u32).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::NotWaiting);
    let nobody = queue
        .signal(&JobId::new("nobody").unwrap(), "answer", &1_u32)
        .await;
    assert_eq!(nobody.unwrap_err().kind(), ErrorKind::NotFound);
    running.end().await;
}
