//! Sagas whose handlers change, catch errors, or are overruled: nothing that was done is left without its undo unseen.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxcart::{
    Backoff, Changed, Context, DeadReason, Ended, Failure, Job, JobId, Next, Outcome, Oxcart,
    Queue, Saga, SagaState, State, Worker, WorkerBuilder,
};
use serde::{Deserialize, Serialize};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order;

impl Job for Order {
    const NAME: &'static str = "order";
    type Output = ();
}

/// What was done and undone, in order.
type Log = Arc<Mutex<Vec<String>>>;

fn note(log: &Log, what: &str) {
    log.lock().unwrap().push(what.to_owned());
}

fn noted(log: &Log) -> Vec<String> {
    log.lock().unwrap().clone()
}

async fn does(log: &Log, what: &'static str) -> Result<String, Failure> {
    note(log, what);
    Ok(what.to_owned())
}

async fn undo(what: String, log: State<Log>) -> Result<(), Failure> {
    note(&log, &format!("undo {what}"));
    Ok(())
}

struct Stage {
    oxcart: Oxcart,
    queue: Queue,
    log: Log,
}

impl Stage {
    fn new() -> Self {
        let oxcart = Oxcart::in_memory();
        let queue = oxcart.queue("orders").unwrap();
        let log = Log::default();
        Self { oxcart, queue, log }
    }

    fn builder(&self) -> WorkerBuilder {
        Worker::builder(&self.queue).state(Arc::clone(&self.log))
    }

    async fn enqueue(&self, attempts: u32) -> JobId {
        let request = self.queue.enqueue(Order).attempts(attempts);
        let job = request.backoff(Backoff::fixed(MINUTE)).await.unwrap();
        job.id().clone()
    }

    /// Runs what is due, again and again.
    async fn run(&self, builder: WorkerBuilder) {
        let worker = builder.build().unwrap();
        for _ in 0..6 {
            worker.drain().await;
            self.oxcart.advance_time(MINUTE);
        }
    }

    async fn ended(&self, id: &JobId) -> Option<Ended> {
        self.queue.job(id).await.unwrap().unwrap().ended
    }

    /// The error of the last attempt.
    async fn last_error(&self, id: &JobId) -> String {
        let info = self.queue.job(id).await.unwrap().unwrap();
        info.history.last().unwrap().error.clone()
    }
}

async fn two_steps_and_an_error(_: Order, saga: Saga, log: State<Log>) -> Result<(), Failure> {
    saga.step("reserve", || does(&log, "reserve"))
        .undo(undo)
        .await?;
    saga.step("pay", || does(&log, "pay")).undo(undo).await?;
    Err("the line is bad".into())
}

#[tokio::test]
async fn a_step_that_a_later_version_leaves_out_is_not_taken_for_undone() {
    let stage = Stage::new();
    let id = stage.enqueue(2).await;
    let worker = stage
        .builder()
        .handle(two_steps_and_an_error)
        .build()
        .unwrap();
    worker.drain().await;
    stage.oxcart.advance_time(MINUTE);
    let newer = async |_: Order, saga: Saga, log: State<Log>| {
        saga.step("reserve", || does(&log, "reserve"))
            .undo(undo)
            .await?;
        saga.step("ship", || does(&log, "ship")).await?;
        Ok::<_, Failure>(())
    };
    stage.run(stage.builder().handle(newer)).await;
    assert_eq!(noted(&stage.log), ["reserve", "pay"], "nothing was run");
    assert_eq!(stage.ended(&id).await, Some(Ended::Dead(DeadReason::Stuck)));
    let error = stage.last_error(&id).await;
    assert!(error.contains("`pay` is to be undone"), "{error}");
    // The earlier version undoes it.
    assert_eq!(stage.queue.replay(&id).await.unwrap(), Changed::Done);
    stage
        .run(stage.builder().handle(two_steps_and_an_error))
        .await;
    assert_eq!(noted(&stage.log)[2..], ["undo pay", "undo reserve"]);
    assert!(matches!(
        stage.ended(&id).await,
        Some(Ended::Compensated(_))
    ));
}

#[tokio::test]
async fn a_saga_that_is_partly_undone_does_not_complete() {
    async fn fails_twice(what: String, log: State<Log>) -> Result<(), Failure> {
        note(&log, "tries");
        match noted(&log).iter().filter(|line| *line == "tries").count() {
            1 | 2 => Err("the other side is away".into()),
            _ => undo(what, log).await,
        }
    }
    let stage = Stage::new();
    let id = stage.enqueue(3).await;
    let handler = async |_: Order, saga: Saga, log: State<Log>| {
        saga.step("reserve", || does(&log, "reserve"))
            .undo(fails_twice)
            .await?;
        saga.step("pay", || does(&log, "pay")).undo(undo).await?;
        // It fails until the undoing has begun, and not any more.
        match noted(&log).iter().any(|line| line == "undo pay") {
            true => Ok(()),
            false => Err(Failure::dead("no truck")),
        }
    };
    stage.run(stage.builder().handle(handler)).await;
    assert_eq!(
        noted(&stage.log),
        [
            "reserve",
            "pay",
            "undo pay",
            "tries",
            "tries",
            "tries",
            "undo reserve"
        ]
    );
    let ended = stage.ended(&id).await;
    assert_eq!(ended, Some(Ended::Compensated("no truck".into())));
}

#[tokio::test]
async fn an_undo_has_no_steps_and_cannot_sleep() {
    async fn sleepy(_: String, context: Context) -> Result<(), Failure> {
        context.sleep("a while", MINUTE).await
    }
    let stage = Stage::new();
    let id = stage.enqueue(2).await;
    let handler = async |_: Order, saga: Saga, log: State<Log>| {
        saga.step("reserve", || does(&log, "reserve"))
            .undo(sleepy)
            .await?;
        Err::<(), Failure>(Failure::dead("no truck"))
    };
    stage.run(stage.builder().handle(handler)).await;
    let info = stage.queue.saga(&id).info().await.unwrap().unwrap();
    assert_eq!(info.state, SagaState::Stuck);
    let error = stage.last_error(&id).await;
    assert!(error.contains("has no steps of its own"), "{error}");
    stage.queue.saga(&id).skip_undo("reserve").await.unwrap();
    assert_eq!(stage.queue.replay(&id).await.unwrap(), Changed::Done);
    let handler = async |_: Order, saga: Saga, log: State<Log>| {
        saga.step("reserve", || does(&log, "reserve"))
            .undo(sleepy)
            .await?;
        Ok::<_, Failure>(())
    };
    stage.run(stage.builder().handle(handler)).await;
    assert!(matches!(
        stage.ended(&id).await,
        Some(Ended::Compensated(_))
    ));
}

#[tokio::test]
async fn what_middleware_says_does_not_end_a_saga_that_is_to_be_undone() {
    async fn cancels(context: Context, next: Next) -> Outcome {
        match context.attempt().number {
            1 => next.run(context).await,
            _ => next.fail(Failure::cancel("not today")),
        }
    }
    let stage = Stage::new();
    let id = stage.enqueue(3).await;
    let builder = stage.builder().handle(two_steps_and_an_error).wrap(cancels);
    stage.run(builder).await;
    // Its attempts count from the first again when it is to be undone, so the handler runs, and undoes it.
    assert!(matches!(
        stage.ended(&id).await,
        Some(Ended::Compensated(_))
    ));
    assert_eq!(noted(&stage.log)[2..], ["undo pay", "undo reserve"]);
}

#[tokio::test]
async fn steps_of_any_kind_and_waits_end_when_the_saga_is_to_be_undone() {
    let stage = Stage::new();
    let id = stage.enqueue(3).await;
    let handler = async |_: Order, saga: Saga, context: Context, log: State<Log>| {
        saga.step("reserve", || does(&log, "reserve"))
            .undo(undo)
            .await?;
        context.sleep("a day", 1_440 * MINUTE).await?;
        context
            .step("mail", async || does(&log, "mail").await)
            .await?;
        Ok::<_, Failure>(())
    };
    let worker = stage.builder().handle(handler).build().unwrap();
    worker.drain().await;
    assert_eq!(
        stage.queue.cancel(&id).reason("moot").await.unwrap(),
        Changed::Requested
    );
    stage.run(stage.builder().handle(handler)).await;
    assert_eq!(noted(&stage.log), ["reserve", "undo reserve"]);
    assert_eq!(
        stage.ended(&id).await,
        Some(Ended::Compensated("moot".into()))
    );
}
