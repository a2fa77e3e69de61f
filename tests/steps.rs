//! Durable steps: no stored step runs again, wherever a worker is killed; a stale attempt stores nothing; no signal is lost.

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
    if !child_of_test() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let queue = queue_at(&std::env::var("STEPS_URL").unwrap()).await;
        let ledger = Ledger::open(std::env::var("STEPS_LEDGER").unwrap());
        let worker = walker(&queue, ledger).build().unwrap();
        worker.run_until(oxcart::shutdown_signal()).await.unwrap();
    });
}

fn spawn(url: &str, ledger: &Ledger) -> Process {
    let ledger = ledger.path().to_str().unwrap();
    spawn_self(
        "worker_process",
        &[("STEPS_URL", url), ("STEPS_LEDGER", ledger)],
    )
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

/// How handlers in memory end, one job each.
async fn outcome_of<F, Fut>(handler: F) -> Outcome
where
    F: Fn(Ask, Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<u32>, Failure>> + Send + 'static,
{
    let queue = Oxcart::in_memory().queue(QUEUE).unwrap();
    let worker = Worker::builder(&queue).handle(handler).build().unwrap();
    queue.enqueue(Ask(String::new())).await.unwrap();
    worker.drain().await.remove(0).outcome
}

fn dead(outcome: &Outcome, text: &str) {
    let Outcome::Dead { reason, entry, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(*reason, DeadReason::Declared);
    assert!(entry.error.contains(text), "{}", entry.error);
}

#[tokio::test]
async fn mistakes_are_not_retried_and_say_what_is_wrong() {
    let twice = outcome_of(async |_, context: Context| {
        context.step("a", async || Ok(1)).await?;
        context.step("a", async || Ok(2)).await.map(Some)
    });
    dead(&twice.await, "step 2 is called `a`, and so is step 1");
    let many = outcome_of(async |_, context: Context| {
        for n in 0..257 {
            context.step(&format!("n {n}"), async || Ok(n)).await?;
        }
        Ok(None)
    });
    dead(&many.await, "`n 256` would be step 257");
    let nameless =
        outcome_of(async |_, context: Context| context.step("", async || Ok(1)).await.map(Some));
    dead(&nameless.await, "the name of a step has 1 to 128 bytes");
    let large = outcome_of(async |_, context: Context| {
        let output = context
            .step("large", async || Ok(vec![7_u8; 70_000_000]))
            .await?;
        Ok(Some(output.len() as u32))
    });
    dead(&large.await, "the output of step `large` has");
}

/// A deploy changes the handler while its job sleeps.
#[tokio::test]
async fn a_step_that_has_changed_is_an_error_that_names_both_and_runs_nothing() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue(QUEUE).unwrap();
    let before = Worker::builder(&queue).handle(async |_: Ask, context: Context| {
        context.step("charge", async || Ok(7)).await?;
        context.sleep("night", SECOND).await?;
        Ok::<_, Failure>(None)
    });
    let before = before.build().unwrap();
    let ledger = Ledger::create();
    let path = ledger.path().to_owned();
    let after = Worker::builder(&queue).state(Ledger::open(path)).handle(
        async |_: Ask, context: Context, ledger: State<Ledger>| {
            let refund = context.step("refund", async || {
                ledger.record("refund");
                Ok(8)
            });
            // A handler may go on, and nothing runs.
            refund.await.map(Some)
        },
    );
    let after = after.build().unwrap();
    let job = queue.enqueue(Ask(String::new())).await.unwrap();
    assert!(matches!(
        before.drain().await[0].outcome,
        Outcome::Suspended { .. }
    ));
    oxcart.advance_time(SECOND);
    let ran = after.drain().await;
    let text = "its step 1 is a step named `charge` as it is stored, and a step named `refund` as the handler calls it";
    dead(&ran[0].outcome, text);
    assert_eq!(ledger.lines(), [""; 0]);
    let info = job.info().await.unwrap().unwrap();
    assert_eq!(info.ended, Some(Ended::Dead(DeadReason::Declared)));
    // Replayed, with the earlier handler, it goes on where it was.
    assert_eq!(queue.replay(job.id()).await.unwrap(), Changed::Done);
    assert!(before.drain().await[0].outcome.is_completed());
}

#[tokio::test]
async fn steps_beside_one_another_and_waits_beside_steps() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue(QUEUE).unwrap();
    let ledger = Ledger::create();
    let path = ledger.path().to_owned();
    let worker = Worker::builder(&queue)
        .state(Ledger::open(path))
        .handle(async |_: Ask, context: Context, ledger: State<Ledger>| {
            let slow = async || {
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                ledger.record("slow");
                Ok(1_u32)
            };
            // The wait does not end the attempt before what runs beside it is stored.
            let (answer, slow) = tokio::join!(
                context.wait_for::<u32>("answer", None),
                context.step("slow", slow),
            );
            let late = tokio::select! {
                late = context.wait_for::<u32>("late", None) => late?,
                over = context.sleep("too late", SECOND) => { over?; None }
            };
            Ok::<_, Failure>(Some(answer?.unwrap_or(0) + slow? + late.unwrap_or(40)))
        })
        .build()
        .unwrap();
    let job = queue.enqueue(Ask(String::new())).await.unwrap();
    assert!(matches!(
        worker.drain().await[0].outcome,
        Outcome::Suspended { after: None, .. }
    ));
    assert_eq!(ledger.lines(), ["slow"]);
    job.signal("answer", &1_u32).await.unwrap();
    let ran = worker.drain().await;
    assert!(matches!(&ran[0].outcome, Outcome::Suspended { steps, .. } if *steps == [3, 4]));
    oxcart.advance_time(SECOND);
    worker.drain().await;
    assert_eq!(job.result().await.unwrap(), Some(42));
    assert_eq!(ledger.lines(), ["slow"]);
}

#[tokio::test]
async fn a_wait_that_was_in_vain_stays_so() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue(QUEUE).unwrap();
    let worker = Worker::builder(&queue)
        .handle(async |_: Ask, context: Context| {
            let answer = context.wait_for::<u32>("answer", SECOND).await?;
            if context.attempt().number == 1 {
                return Err(Failure::retry_after(SECOND, "once more"));
            }
            Ok::<_, Failure>(answer)
        })
        .build()
        .unwrap();
    let job = queue.enqueue(Ask(String::new())).await.unwrap();
    worker.drain().await;
    oxcart.advance_time(SECOND);
    assert!(matches!(
        worker.drain().await[0].outcome,
        Outcome::Retry { .. }
    ));
    let late = job.signal("answer", &1_u32).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::NotWaiting);
    oxcart.advance_time(SECOND);
    worker.drain().await;
    assert_eq!(job.result().await.unwrap(), None);
}

#[tokio::test]
async fn a_long_loop_goes_on_where_it_was() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue(QUEUE).unwrap();
    let worker = Worker::builder(&queue)
        .handle(async |_: Ask, context: Context| {
            let first = context.last_checkpoint::<u32>().await?.unwrap_or(0);
            for row in first..10 {
                if row == 7 && context.attempt().number == 1 {
                    return Err(Failure::retry_after(SECOND, "broken"));
                }
                context.checkpoint(&(row + 1)).await?;
            }
            Ok::<_, Failure>(Some(first))
        })
        .build()
        .unwrap();
    let job = queue.enqueue(Ask(String::new())).await.unwrap();
    worker.drain().await;
    oxcart.advance_time(SECOND);
    worker.drain().await;
    assert_eq!(job.result().await.unwrap(), Some(7));
}

/// Another attempt has the job: its worker was frozen for longer than its lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_stale_attempt_stores_no_step() {
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue(QUEUE).unwrap();
    let (began, begins) = (
        State::new(tokio::sync::Semaphore::new(0)),
        State::new(tokio::sync::Semaphore::new(0)),
    );
    let handler =
        async |_: Ask, context: Context, gates: State<[State<tokio::sync::Semaphore>; 2]>| {
            let stalls = context.attempt().stalls;
            let output = context.step("once", async || {
                if stalls == 0 {
                    gates[0].add_permits(1);
                    gates[1].acquire().await.unwrap().forget();
                }
                Ok(stalls)
            });
            output.await.map(Some)
        };
    let worker = Worker::builder(&queue)
        .lease(SECOND)
        .state([began.clone(), begins.clone()])
        .handle(handler);
    let worker = worker.build().unwrap();
    let job = queue.enqueue(Ask(String::new())).await.unwrap();
    let stale = tokio::spawn(async move { worker.drain().await });
    began.acquire().await.unwrap().forget();
    oxcart.advance_time(60 * SECOND);
    let other = Worker::builder(&queue)
        .lease(SECOND)
        .state([began.clone(), begins.clone()])
        .handle(handler);
    let other = other.build().unwrap();
    assert!(other.drain().await[0].outcome.is_completed());
    begins.add_permits(1);
    let ran = stale.await.unwrap();
    assert_eq!(ran[0].outcome, Outcome::LeaseLost);
    assert_eq!(job.result().await.unwrap(), Some(1));
}

/// A handler of several jobs cannot end for one of them.
#[tokio::test]
async fn no_job_of_a_batch_sleeps() {
    let queue = Oxcart::in_memory().queue(QUEUE).unwrap();
    let worker = Worker::builder(&queue)
        .handle_batch(
            oxcart::Batch::up_to(2),
            async |jobs: Vec<oxcart::Batched<Ask>>| {
                for job in jobs {
                    let slept = job.context().sleep("night", SECOND).await;
                    match slept {
                        Ok(()) => job.complete(None),
                        Err(failure) => job.fail(failure),
                    }
                }
                Ok::<_, Failure>(())
            },
        )
        .build()
        .unwrap();
    queue.enqueue(Ask(String::new())).await.unwrap();
    dead(&worker.drain().await[0].outcome, "cannot sleep or wait");
}

/// Middleware sees that an attempt was put aside; and what the hooks hear.
#[tokio::test]
async fn a_handler_alone_gets_what_its_test_gives() {
    let context = Context::builder()
        .signal("answer", &5_u32)
        .checkpoint(&3_u32)
        .build();
    assert_eq!(
        waits(Ask(String::new()), context.clone()).await.unwrap(),
        Some(5)
    );
    assert_eq!(context.last_checkpoint::<u32>().await.unwrap(), Some(3));
    context.checkpoint(&4_u32).await.unwrap();
    assert_eq!(context.last_checkpoint::<u32>().await.unwrap(), Some(4));
    context.sleep("an hour", 3_600 * SECOND).await.unwrap();
    let output: u32 = context.step("one", async || Ok(1)).await.unwrap();
    assert_eq!(output, 1);
    let twice = context.step("one", async || Ok(1_u32)).await;
    assert!(twice.is_err());
    let _ = |event: &WorkerEvent| event.outcome().is_some();
}
