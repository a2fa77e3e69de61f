//! Jobs that are cancelled before they begin.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use oxcart::{Changed, Ended, ErrorKind, EventKind, Failure, JobState, State};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::rig::{Number, PATIENCE, Rig, Running};
use crate::support::eventually_async;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_job_that_waits_is_cancelled_and_its_waiter_gets_the_reason() {
    let rig = Rig::new().await;
    let mut events = rig.queue.events().await.unwrap();
    let job = rig.queue.enqueue(Number(1)).delay(MINUTE).await.unwrap();
    let id = job.id().clone();
    let waiting = tokio::spawn(async move { job.result().await });
    eventually_async(PATIENCE, async || {
        let awaited: u64 = rig.server.ask(&["ZCARD", "oxcart:{test}:awaited"]);
        awaited == 1
    })
    .await;

    let told = rig
        .queue
        .cancel(&id, "the customer has left")
        .await
        .unwrap();
    assert_eq!(told, Changed::Done);
    let error = timeout(PATIENCE, waiting)
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(
        error.to_string().contains("the customer has left"),
        "{error}"
    );
    let mut names = Vec::new();
    while names.last() != Some(&"drained") {
        let event = timeout(PATIENCE, events.next()).await.unwrap().unwrap();
        if let EventKind::Cancelled(cancelled) = &event.kind {
            assert_eq!(cancelled, &id);
        }
        names.push(event.kind.name());
    }
    assert_eq!(names, ["added", "delayed", "cancelled", "drained"]);

    let info = rig.queue.job(&id).await.unwrap().unwrap();
    let ended = info.ended.unwrap();
    assert_eq!(ended, Ended::Cancelled("the customer has left".to_owned()));
    assert_eq!(rig.queue.counts().await.unwrap().totals.cancelled, 1);
    let again = rig.queue.cancel(&id, "once more").await.unwrap();
    assert_eq!(again, Changed::InState(JobState::Cancelled));
}

async fn hold(Number(n): Number, held: State<Arc<Notify>>) -> Result<u32, Failure> {
    held.notified().await;
    Ok(n)
}

#[tokio::test]
async fn a_job_that_runs_is_left_alone_and_an_unknown_id_is_told() {
    let rig = Rig::new().await;
    let held = Arc::new(Notify::new());
    let worker = rig.worker().state(Arc::clone(&held)).handle(hold);
    let running = Running::start(worker);
    let job = rig.queue.enqueue(Number(7)).await.unwrap();
    running.until_started(1).await;
    let told = rig.queue.cancel(job.id(), "too late").await.unwrap();
    assert_eq!(told, Changed::InState(JobState::Active));
    held.notify_one();
    assert_eq!(timeout(PATIENCE, job.result()).await.unwrap().unwrap(), 7);
    let unknown = oxcart::JobId::new("nobody").unwrap();
    let told = rig.queue.cancel(&unknown, "whatever").await.unwrap();
    assert_eq!(told, Changed::NotFound);
    running.stop().await;
}
