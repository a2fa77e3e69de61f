//! Outcomes that middleware changes or makes, and handlers that it leaves behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oxcart::{Context, Failure, Next, Outcome, Worker};
use tokio::sync::Notify;

use super::{Act, Seen, Stranger, act, described, queue, ran};

#[tokio::test]
async fn what_middleware_makes_of_an_outcome_stays_within_what_can_be_stored() {
    async fn exaggerates(context: Context, next: Next) -> Outcome {
        let mut outcome = next.run(context).await;
        match &mut outcome {
            Outcome::Retry { after, entry, .. } | Outcome::Bounced { after, entry, .. } => {
                *after = Duration::MAX;
                entry.error = "x".repeat(1 << 20);
            }
            Outcome::Dead { entry, .. } => entry.error = "x".repeat(1 << 20),
            _ => {}
        }
        outcome
    }
    let queue = queue();
    let dead = queue.enqueue(Act::Die).await.unwrap();
    let failed = queue.enqueue(Act::Fail).await.unwrap();
    let bounced = queue.enqueue(Stranger {}).await.unwrap();
    let builder = Worker::builder(&queue).handle(act).wrap(exaggerates);
    assert_eq!(ran(builder).await.len(), 3);
    for sent in [&dead, &failed] {
        let info = sent.info().await.unwrap().unwrap();
        assert!(info.history[0].error.len() <= 4096);
    }
    for sent in [&failed.id().clone(), &bounced.id().clone()] {
        let info = queue.job(sent).await.unwrap().unwrap();
        assert_eq!(info.failed, u32::from(sent == failed.id()));
    }
    let info = failed.info().await.unwrap().unwrap();
    let wait_ms = info.due_at.unwrap().as_millis() - info.enqueued_at.as_millis();
    assert_eq!(wait_ms / (365 * 24 * 3_600_000), 10);
}

#[tokio::test]
async fn middleware_cannot_say_of_a_job_that_it_is_lost() {
    let queue = queue();
    queue.enqueue(Act::Succeed).await.unwrap();
    let times = Arc::new(AtomicU32::new(0));
    let lies_once = move |context: Context, next: Next| {
        let is_first = times.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            match is_first {
                true => Outcome::LeaseLost,
                false => next.run(context).await,
            }
        }
    };
    let builder = Worker::builder(&queue).handle(act).wrap(lies_once);
    assert_eq!(ran(builder).await, ["released", "completed: -"]);
}

#[tokio::test]
async fn a_handler_that_middleware_leaves_behind_is_stopped_with_its_attempt() {
    let (queue, seen) = (queue(), Seen::default());
    let (begun, left) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (worked, begins) = (seen.clone(), begun.clone());
    let hangs = move |_: Act| {
        worked.note("begins");
        begins.notify_one();
        std::future::pending::<Result<u32, Failure>>()
    };
    let (told, is_left) = (seen.clone(), left.clone());
    let leaves_behind = move |context: Context, next: Next| {
        let (seen, rest) = (told.clone(), next.clone());
        let (begun, left) = (begun.clone(), is_left.clone());
        async move {
            tokio::spawn(async move {
                seen.note(described(&rest.run(context).await));
                left.notify_one();
            });
            begun.notified().await;
            next.complete(&8)
        }
    };
    queue.enqueue(Act::Succeed).await.unwrap();
    let builder = Worker::builder(&queue).handle(hangs).wrap(leaves_behind);
    assert_eq!(ran(builder).await, ["completed: -"]);
    left.notified().await;
    assert_eq!(seen.all(), ["begins", "released"]);
}
