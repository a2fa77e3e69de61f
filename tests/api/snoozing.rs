//! Jobs that their handlers put off.

use std::time::Duration;

use futures::StreamExt;
use oxcart::{AttemptKind, Context, DeadReason, Ended, EventKind, Failure, Outcome, WorkerEvent};
use tokio::time::timeout;

use crate::rig::{Number, PATIENCE, Rig, Running};

const SHORT: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_job_is_put_off_without_burning_an_attempt_and_everybody_can_count_it() {
    let rig = Rig::new().await;
    let mut events = rig.queue.events().await.unwrap();
    let running = Running::start(rig.worker().handle(async |_: Number, context: Context| {
        let attempt = context.attempt();
        assert_eq!((attempt.number, attempt.attempts), (1, 1));
        match attempt.snoozes {
            2 => Ok(attempt.snoozes),
            _ => Err(Failure::snooze(SHORT)),
        }
    }));
    let job = rig.queue.enqueue(Number(7)).attempts(1).await.unwrap();
    assert_eq!(timeout(PATIENCE, job.result()).await.unwrap().unwrap(), 2);
    let info = job.info().await.unwrap().unwrap();
    assert_eq!((info.snoozes, info.failed, info.history.len()), (2, 0, 0));
    assert_eq!(rig.counts().await.totals.snoozed, 2);
    let mut counted = Vec::new();
    while counted.len() < 2 {
        let event = timeout(PATIENCE, events.next()).await.unwrap().unwrap();
        if let EventKind::Snoozed {
            id, until, times, ..
        } = event.kind
        {
            assert_eq!((&id, until > event.at), (job.id(), true));
            counted.push(times);
        }
    }
    assert_eq!(counted, [1, 2]);
    let told = running.stop().await;
    let ended: Vec<_> = told.iter().filter_map(WorkerEvent::outcome).collect();
    assert!(matches!(ended[0], Outcome::Snoozed { after, .. } if *after == SHORT));
}

#[tokio::test]
async fn a_job_that_is_put_off_for_too_long_is_dead() {
    let rig = Rig::new().await;
    let worker = rig.worker().snooze_for(5 * SHORT);
    let running =
        Running::start(worker.handle(async |_: Number| Err::<u32, _>(Failure::snooze(SHORT))));
    let job = rig.queue.enqueue(Number(7)).await.unwrap();
    let error = timeout(PATIENCE, job.result()).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("snoozed-too-long"), "{error}");
    let info = job.info().await.unwrap().unwrap();
    assert_eq!(info.ended, Some(Ended::Dead(DeadReason::SnoozedTooLong)));
    assert_eq!(info.history[0].kind, AttemptKind::Snoozed);
    assert!(info.snoozes >= 1);
    running.stop().await;
}
