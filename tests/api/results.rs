//! Waiting for what a job gives back, from any process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oxcart::{Failure, Oxcart, QueueSettings, Retention};
use tokio::sync::Notify;

use crate::rig::{Number, PATIENCE, Rig, Running};
use crate::support::eventually;

#[tokio::test]
async fn a_result_reaches_another_connection_even_if_nothing_is_kept() {
    let rig = Rig::new().await;
    let worker = rig
        .worker()
        .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing));
    let gate = Arc::new(Notify::new());
    let gated = {
        let gate = Arc::clone(&gate);
        move |Number(n): Number| {
            let gate = Arc::clone(&gate);
            async move {
                gate.notified().await;
                Ok::<_, Failure>(n + 1)
            }
        }
    };
    let running = Running::start(worker.handle::<Number, ()>(gated));
    let sent = rig.queue.enqueue(Number(1)).await.unwrap();
    let elsewhere = Oxcart::connect(&rig.server.url()).await.unwrap();
    let handle = elsewhere
        .queue("test")
        .unwrap()
        .handle::<Number>(sent.id().clone());
    let waits = tokio::spawn(handle.result().into_future());
    // Redis knows that a caller waits; only then may the job end.
    let awaited = "oxcart:{test}:awaited";
    eventually(PATIENCE, || rig.server.ask::<bool>(&["EXISTS", awaited])).await;
    gate.notify_one();
    assert_eq!(waits.await.unwrap().unwrap(), 2);
    // Asked for again: it is kept for a while, because a caller waited.
    assert_eq!(sent.result().await.unwrap(), 2);
    assert_eq!(rig.counts().await.completed, 1);
    running.stop().await;
}

#[tokio::test]
async fn many_callers_wait_at_once_and_each_gets_its_own() {
    let rig = Rig::new().await;
    let worker = rig
        .worker()
        .concurrency(50)
        .queue_settings(QueueSettings::new().keep_completed(Retention::Nothing));
    let running = Running::start(worker.handle(async |Number(n)| Ok::<_, Failure>(n * 2)));
    let started = Instant::now();
    let callers = (0..300).map(|n| {
        let queue = rig.queue.clone();
        tokio::spawn(async move { (n, queue.enqueue(Number(n)).result().await.unwrap()) })
    });
    for caller in callers.collect::<Vec<_>>() {
        let (n, result) = caller.await.unwrap();
        assert_eq!(result, n * 2);
    }
    // Announcements, not the look every few seconds, brought them.
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
    running.stop().await;
}

#[tokio::test]
async fn the_wait_has_a_limit_and_the_job_goes_on() {
    let rig = Rig::new().await;
    let sent = rig.queue.enqueue(Number(1)).await.unwrap();
    let error = sent
        .result()
        .within(Duration::from_millis(100))
        .await
        .unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.job_id(), Some(sent.id()));
    let running = Running::start(rig.worker().handle(async |Number(n)| Ok::<_, Failure>(n)));
    assert_eq!(sent.result().await.unwrap(), 1);
    running.stop().await;
}
