//! Jobs that are cancelled, before they begin and while they run.

use std::time::Duration;

use futures::StreamExt;
use oxcart::{
    Changed, Context, Ended, ErrorKind, EventKind, Failure, JobId, JobState, Outcome, WorkerEvent,
};
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
        .cancel(&id)
        .reason("the customer has left")
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
    let again = rig.queue.cancel(&id).reason("once more").await.unwrap();
    assert_eq!(again, Changed::InState(JobState::Cancelled));
}

/// Goes on until it is told to end, and then says what it has heard.
async fn listen(Number(n): Number, context: Context) -> Result<u32, Failure> {
    context.cancellation().cancelled().await;
    match (n, context.cancel_reason()) {
        (1, Some(_)) => Ok(n),
        (2, Some(_)) => panic!("as asked"),
        (_, Some(reason)) => Err(format!("was told: {reason}").into()),
        (_, None) => Err("was told nothing".into()),
    }
}

#[tokio::test]
async fn a_job_that_runs_is_told_to_end_and_is_cancelled_unless_it_succeeds() {
    let rig = Rig::new().await;
    // A renewal of the lease, which would tell it, too, comes after 20 s.
    let running = Running::start(rig.worker().lease(MINUTE).handle(listen));
    for n in 1..=3 {
        let job = rig.queue.enqueue(Number(n)).await.unwrap();
        running.until_started(n as usize).await;
        let request = job.cancel().reason("the customer has left");
        assert_eq!(request.await.unwrap(), Changed::Requested);
        let result = timeout(PATIENCE / 2, job.result()).await.unwrap();
        let info = job.info().await.unwrap().unwrap();
        assert!(info.history.is_empty(), "{info:?}");
        if n == 1 {
            assert_eq!(result.unwrap(), 1);
            continue;
        }
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(
            error.to_string().contains("the customer has left"),
            "{error}"
        );
        let ended = Ended::Cancelled("the customer has left".to_owned());
        assert_eq!(info.ended, Some(ended));
    }
    let told = running.stop().await;
    let ended = told.iter().filter_map(WorkerEvent::outcome);
    let ended: Vec<_> = ended.map(Outcome::as_str).collect();
    assert_eq!(ended, ["completed", "cancelled", "cancelled"]);
    let counts = rig.counts().await;
    assert_eq!((counts.totals.cancelled, counts.totals.retried), (2, 0));
}

#[tokio::test]
async fn a_request_whose_announcement_is_lost_is_heard_with_the_next_renewal() {
    let rig = Rig::new().await;
    let lease = Duration::from_secs(2);
    let running = Running::start(rig.worker().lease(lease).handle(listen));
    let job = rig.queue.enqueue(Number(3)).await.unwrap();
    running.until_started(1).await;
    // As the script does it, but for the announcement.
    let store = "return redis.call('HSET', KEYS[1], ARGV[1], '\\129\\169cancelled\\164moot')";
    let field = format!("{}#cancel", job.id());
    let stored: u64 = rig
        .server
        .ask(&["EVAL", store, "1", "oxcart:{test}:attempts", &field]);
    assert_eq!(stored, 1);
    let error = timeout(PATIENCE, job.result()).await.unwrap().unwrap_err();
    assert!(
        error.is_cancelled() && error.to_string().contains("moot"),
        "{error}"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_caller_that_is_gone_takes_its_job_with_it_and_one_that_got_its_result_does_not() {
    let rig = Rig::new().await;
    let running = Running::start(rig.worker().lease(MINUTE).handle(listen));
    let request = rig.queue.enqueue(Number(3));
    let id = request.job_id().clone();
    let waiting = tokio::spawn(request.result().cancel_on_drop().into_future());
    running.until_started(1).await;
    waiting.abort();
    rig.until(|counts| counts.totals.cancelled == 1).await;
    let info = rig.queue.job(&id).await.unwrap().unwrap();
    let Some(Ended::Cancelled(reason)) = info.ended else {
        panic!("{info:?}");
    };
    assert!(reason.contains("is gone"), "{reason}");
    running.stop().await;

    let running = Running::start(rig.worker().handle(async |Number(n)| Ok::<_, Failure>(n)));
    let result = rig.queue.enqueue(Number(7)).result().cancel_on_drop();
    assert_eq!(
        timeout(PATIENCE, result.into_future())
            .await
            .unwrap()
            .unwrap(),
        7
    );
    running.stop().await;
    assert_eq!(rig.counts().await.totals.cancelled, 1);
}

/// Another caller made the job.
#[tokio::test]
async fn a_caller_whose_job_is_a_duplicate_leaves_the_other_one_alone() {
    let rig = Rig::new().await;
    let job = rig.queue.enqueue(Number(3)).unique("key").await.unwrap();
    let request = rig.queue.enqueue(Number(4)).unique("key");
    let waiting = tokio::spawn(request.result().cancel_on_drop().into_future());
    rig.until(|counts| counts.totals.duplicates == 1).await;
    // The caller has its answer by the time at which a later call of the same process has one.
    rig.queue.enqueue(Number(5)).await.unwrap();
    waiting.abort();
    let running = Running::start(rig.worker().handle(async |Number(n)| Ok::<_, Failure>(n)));
    assert_eq!(timeout(PATIENCE, job.result()).await.unwrap().unwrap(), 3);
    running.stop().await;
    assert_eq!(rig.counts().await.totals.cancelled, 0);
}

/// The same where the caller has the handle first, and waits then.
#[tokio::test]
async fn a_handle_of_a_job_that_was_there_leaves_it_alone_and_one_by_its_id_does_not() {
    let rig = Rig::new().await;
    let unique = rig.queue.enqueue(Number(3)).unique("key").await.unwrap();
    let id = JobId::new("given").unwrap();
    let given = rig.queue.enqueue(Number(4)).id(id.clone()).await.unwrap();
    let duplicate = rig.queue.enqueue(Number(5)).unique("key").await.unwrap();
    let there = rig.queue.enqueue(Number(4)).id(id).await.unwrap();
    let named = rig.queue.enqueue(Number(6)).await.unwrap();
    let by_id = rig.queue.handle::<Number>(named.id().clone());
    for handle in [duplicate, there, by_id] {
        let waiting = tokio::spawn(handle.result().cancel_on_drop().into_future());
        eventually_async(PATIENCE, async || {
            let awaited: u64 = rig.server.ask(&["ZCARD", "oxcart:{test}:awaited"]);
            awaited > 0
        })
        .await;
        waiting.abort();
        let _ = waiting.await;
        rig.server.ask::<u64>(&["DEL", "oxcart:{test}:awaited"]);
    }
    rig.until(|counts| counts.totals.cancelled == 1).await;
    let running = Running::start(rig.worker().handle(async |Number(n)| Ok::<_, Failure>(n)));
    for (job, number) in [(unique, 3), (given, 4)] {
        assert_eq!(
            timeout(PATIENCE, job.result()).await.unwrap().unwrap(),
            number
        );
    }
    let ended = named.info().await.unwrap().unwrap().ended.unwrap();
    assert!(matches!(ended, Ended::Cancelled(_)), "{ended:?}");
    running.stop().await;
    assert_eq!(rig.counts().await.totals.cancelled, 1);
}

#[tokio::test]
async fn what_is_not_there_or_has_ended_is_told_apart() {
    let rig = Rig::new().await;
    let unknown = oxcart::JobId::new("nobody").unwrap();
    let told = rig.queue.cancel(&unknown).await.unwrap();
    assert_eq!(told, Changed::NotFound);
    let job = rig.queue.enqueue(Number(7)).await.unwrap();
    let running = Running::start(rig.worker().handle(async |Number(n)| Ok::<_, Failure>(n)));
    assert_eq!(timeout(PATIENCE, job.result()).await.unwrap().unwrap(), 7);
    let told = job.cancel().await.unwrap();
    assert_eq!(told, Changed::InState(JobState::Completed));
    running.stop().await;
}
