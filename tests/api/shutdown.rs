//! Stopping a worker loses nothing and burns no attempt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oxcart::{Context, Failure, JobState, Outcome, State};
use tokio::sync::Semaphore;

use crate::rig::{Number, Rig, Running};
use crate::support::ids;

struct Gate(Semaphore);

async fn gated(Number(n): Number, gate: State<Arc<Gate>>) -> Result<u32, Failure> {
    gate.0.acquire().await?.forget();
    Ok(n)
}

#[tokio::test]
async fn what_runs_may_finish_and_nothing_more_is_claimed() {
    let rig = Rig::new().await;
    let sent = rig.queue.enqueue_many((0..10).map(Number)).await.unwrap();
    let gate = Arc::new(Gate(Semaphore::new(0)));
    let worker = rig
        .worker()
        .concurrency(4)
        .state(Arc::clone(&gate))
        .handle(gated);
    let running = Running::start(worker);
    running.until_started(4).await;
    let opening = Arc::clone(&gate);
    let open = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        opening.0.add_permits(100);
    });
    let told = running.stop().await;
    open.await.unwrap();
    let counts = rig.counts().await;
    assert_eq!((counts.completed, counts.waiting, counts.active), (4, 6, 0));
    let done = told
        .iter()
        .filter(|e| e.outcome().is_some_and(Outcome::is_completed));
    assert_eq!(done.count(), 4);
    let left = ids(&rig.queue, JobState::Waiting).await;
    let expected: Vec<_> = sent[4..].iter().map(|handle| handle.id().clone()).collect();
    assert_eq!(left, expected);
}

/// One handler listens to its token, one does not: both are handed back to their places.
#[tokio::test]
async fn g4_what_does_not_finish_is_handed_back_to_its_exact_place() {
    async fn stubborn(Number(n): Number, context: Context) -> Result<u32, Failure> {
        if n == 0 {
            context.cancellation().cancelled().await;
            Err("told to stop")?;
        }
        std::future::pending().await
    }
    let rig = Rig::new().await;
    let sent = rig.queue.enqueue_many((0..4).map(Number)).await.unwrap();
    let worker = rig.worker().concurrency(2).grace(Duration::from_millis(50));
    let running = Running::start(worker.handle(stubborn));
    running.until_started(2).await;
    let started = Instant::now();
    let told = running.stop().await;
    assert!(started.elapsed() < Duration::from_secs(15));
    let released = told
        .iter()
        .filter(|e| e.outcome() == Some(&Outcome::Released));
    assert_eq!(released.count(), 2);
    let left = ids(&rig.queue, JobState::Waiting).await;
    let expected: Vec<_> = sent.iter().map(|handle| handle.id().clone()).collect();
    assert_eq!(left, expected);
    let first = sent[0].info().await.unwrap().unwrap();
    assert_eq!((first.failed, first.stalls), (0, 0));
}

#[tokio::test]
async fn stopping_without_redis_is_bounded_and_says_so() {
    let rig = Rig::new().await;
    rig.queue.enqueue(Number(1)).await.unwrap();
    let worker = rig.worker().grace(Duration::from_millis(10));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let gate = Arc::new(Gate(Semaphore::new(0)));
    let worker = worker
        .state(Arc::clone(&gate))
        .handle(gated)
        .build()
        .unwrap();
    let control = worker.control();
    let run = tokio::spawn(worker.run_until(async {
        let _ = stopped.await;
    }));
    crate::support::eventually(crate::rig::PATIENCE, || control.running() == 1).await;
    rig.server.kill();
    stop.send(()).unwrap();
    let started = Instant::now();
    let error = run.await.unwrap().unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(25));
    assert!(
        error.is_unknown() && error.to_string().contains("test"),
        "{error}"
    );
}
